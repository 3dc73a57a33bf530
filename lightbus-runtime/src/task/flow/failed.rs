//! The end of a flow at one of its tasks that is dead for good.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::advance::{End, end};
use super::next::{Bytes, Next, Step, following};
use super::posting::{Posting, next_group, next_task};
use super::word::{Part, Word};
use super::{Place, Stuck, join, record};
use crate::boxed::BoxedFor;
use crate::bus::Core;
use crate::codec::encode;
use crate::task::journal::write;
use crate::task::record::{Failed, Says};
use crate::task::results::attempts as attempts_in_words;
use crate::topology::Log;

/// Which task of a flow is dead for good, and why: what [`Flow::on_failure`](crate::Flow::on_failure) gives to the task that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailedStep {
    /// API and task, `auth.resize_avatar`.
    pub task: String,
    /// Its message's id, which its dead letter has.
    pub id: String,
    /// How many attempts were made.
    pub attempts: u32,
    /// A word for it, as dead letters have: `failed`, `panicked`, `expired`, `undecodable` …
    pub reason: String,
    /// Its error, in words.
    pub error: String,
}

impl fmt::Display for FailedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            task,
            id,
            attempts,
            reason,
            error,
        } = self;
        write!(
            f,
            "{task} ({id}) is dead ({reason}) after {}: {error}",
            attempts_in_words(*attempts)
        )
    }
}

/// Why a flow ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cause {
    pub(super) failed: FailedStep,
    /// The task's own error, encoded: as long as what follows has no other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) domain: Option<Bytes>,
}

/// What a task is dead of that was taken back.
pub(in crate::task) const CANCELLED: &str = "cancelled";

impl Cause {
    pub(super) fn is_cancelled(&self) -> bool {
        self.failed.reason == CANCELLED
    }
}

/// Tells everybody who waits for what follows `place` that nothing does.
pub(super) fn fail<'a>(
    core: &'a Core,
    place: Place<'a>,
    then: &'a [Next],
    cause: &'a Cause,
) -> BoxedFor<'a, Result<(), Stuck>> {
    Box::pin(async move {
        let mut here = place;
        let mut domain = cause.domain.clone();
        // Whoever waits is told, whatever becomes of a rescue.
        let mut rescued = Ok(());
        for (at, next) in then.iter().enumerate() {
            match next {
                Next::Rescue(step) if !cause.is_cancelled() => {
                    let rescue = here.at(following(place.id, &format!("rescue {at}")));
                    rescued = rescued.and(send_rescue(core, rescue, step, cause).await);
                }
                Next::Rescue(_) => {}
                Next::Join(member) => {
                    let part = Part {
                        failed: vec![member.index],
                        cause: Some(Cause {
                            domain,
                            ..cause.clone()
                        }),
                        ..Part::of(member, &then[at + 1..], here)
                    };
                    let told = join::tell(core, &member.to.api, &Word::of(part)).await;
                    return told.map_err(Stuck::Refused).and(rescued);
                }
                Next::Task(_) => {
                    domain = None;
                    here = here.at(next_task(here.id));
                }
                Next::Group { .. } | Next::Each { .. } => {
                    domain = None;
                    here = here.at(next_group(here.id));
                }
            }
        }
        match end(place.id, then) {
            Some(end) => note(core, &end, place.replayed, cause, None)
                .await
                .and(rescued),
            None => rescued,
        }
    })
}

async fn send_rescue(
    core: &Core,
    place: Place<'_>,
    step: &Step,
    cause: &Cause,
) -> Result<(), Stuck> {
    let value = encode(&cause.failed).unwrap_or_default();
    let posting = Posting::step(core, &place, step, &[], &value)?;
    posting.store(core).await.map_err(Stuck::Refused)
}

/// Writes down how something ended that had not begun, if anybody wants to know.
pub(super) async fn note(
    core: &Core,
    end: &End<'_>,
    replayed: i64,
    cause: &Cause,
    domain: Option<Bytes>,
) -> Result<(), Stuck> {
    let Some(ttl) = end.ttl_ms else {
        return Ok(());
    };
    let says = match cause.is_cancelled() {
        true => Says::Cancelled,
        false => Says::Failed(Failed {
            reason: cause.failed.reason.clone(),
            error: format!("a task before it failed: {}", cause.failed),
            domain: domain.map(|bytes| bytes.0),
        }),
    };
    let record = record(&core.clock, end.id, replayed, ttl, says);
    let written = write(core, end.api, Log::Journal, &record).await;
    written.map_err(Stuck::Refused)
}
