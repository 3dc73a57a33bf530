//! An attempt of a listener that handles each message once.

use std::time::Duration;

use tracing::{debug, error};

use super::{Attempted, Attempts, Failed, Handled, HandlerEnd, Job};
use crate::idempotence::{Begun, Claim, Deduplicate, StoreError};
use crate::observer::Why;
use crate::retry::HandlerError;

/// A message that is being handled elsewhere is asked for again after this, after twice this, and so on.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// All waits together, where the message need not stay: mostly the other one has ended by then.
const WAIT_IN_PLACE: Duration = Duration::from_millis(500);
/// The other one's lease may be long, and its handler soon done.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(5);

impl<J: Job> Attempts<J> {
    pub(super) async fn once(
        &self,
        layer: &Deduplicate,
        claim: &Claim,
        handler: impl Future<Output = HandlerEnd>,
    ) -> Attempted {
        let left = match self.begin(layer, claim).await {
            Ok(Begun::New) => return self.handle(layer, claim, handler).await,
            Ok(Begun::Done) => {
                self.job.tally().duplicate.add();
                debug!(?claim, "this message is handled already");
                let observed = &self.job.core().config.observed;
                observed.skipped(claim.message_id(), self.job.queue(), Why::Known);
                return Attempted::Handled(Handled::Done);
            }
            Ok(Begun::Running { left }) => left,
            Err(error) => return Attempted::Failed(Failed::from(HandlerError::from(error))),
        };
        Attempted::Elsewhere(left.min(LONGEST_PUT_OFF))
    }

    /// Waits for another one that is at it; where the message may be put off, not for long.
    async fn begin(&self, layer: &Deduplicate, claim: &Claim) -> Result<Begun, StoreError> {
        let (mut wait, mut waited) = (FIRST_WAIT, Duration::ZERO);
        loop {
            let begun = layer.begin(claim).await?;
            let enough = waited >= WAIT_IN_PLACE && !self.job.stays_in_place();
            if !matches!(begun, Begun::Running { .. }) || enough || !self.wait(wait).await {
                return Ok(begun);
            }
            waited += wait;
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }

    async fn handle(
        &self,
        layer: &Deduplicate,
        claim: &Claim,
        handler: impl Future<Output = HandlerEnd>,
    ) -> Attempted {
        let end = layer.hold(claim, handler).await;
        if !matches!(end, Ok(Ok(Handled::Done))) {
            layer.release(claim).await;
        } else if let Err(error) = layer.done(claim).await {
            self.job.tally().not_noted.add();
            error!(
                ?claim, %error,
                "an event is handled, and cannot be noted so; should it come again, it will be handled again"
            );
        }
        end.into()
    }
}
