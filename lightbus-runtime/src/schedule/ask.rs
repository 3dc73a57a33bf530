//! Asks the replica that fires how the schedules are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::status::Status;
use crate::boxed::Boxed;
use crate::bus::Core;
use crate::connection::publisher::Outgoing;
use crate::connection::{LinkClosed, pause};
use crate::error::Error;
use crate::rpc::replies;
use crate::topology;

/// All schedules of the app, in the order of their names.
pub(super) fn statuses(core: &Arc<Core>) -> Boxed<Result<Vec<Status>, Error>> {
    let core = Arc::clone(core);
    Box::pin(async move {
        let timeout = core.config.call_timeout;
        let asked = tokio::time::timeout(timeout, ask(&core, timeout)).await;
        asked.unwrap_or_else(|_| Err(nobody_answers(&core, timeout)))
    })
}

async fn ask(core: &Arc<Core>, timeout: Duration) -> Result<Vec<Status>, Error> {
    let deadline = Instant::now() + timeout;
    let app = &core.config.app;
    let exchange = topology::cron_exchange(app);
    core.replies
        .get_or_try_init(|| replies::start(core))
        .await?;
    let mut waiting = loop {
        ready(core, &exchange).await?;
        let waiting = core.pending.register(core.clock.new_id(), None);
        let left = deadline.saturating_duration_since(Instant::now());
        let message = Outgoing {
            exchange: &exchange,
            key: topology::CRON_ASK,
            mandatory: false,
            properties: core.sender.request(waiting.id, left, &[]),
            payload: &[],
        };
        if core.direct.submit(message).is_ok() {
            break waiting;
        }
        waiting.was_not_sent();
    };
    let reply = (&mut waiting.answer).await.map_err(|_| Error::Closed)?;
    let reply = reply.map_err(|_| Error::Closed)?;
    serde_json::from_slice(&reply.payload).map_err(|error| Error::Broker {
        object: format!("the schedules of app `{app}`"),
        detail: format!("the answer of the replica that fires them cannot be read: {error}"),
    })
}

async fn ready(core: &Core, exchange: &str) -> Result<(), Error> {
    while !core.direct.is_ready(exchange) {
        let opened = core.direct.open().await;
        opened.map_err(|LinkClosed| Error::Closed)?;
        let plan = || topology::cron_exchange_plan(&core.config.app);
        match core.direct.ensure(exchange, plan).await {
            Err(Error::Broker { .. } | Error::Closed) if !core.life.stop.is_cancelled() => {
                pause().await;
            }
            ended => ended?,
        }
    }
    Ok(())
}

fn nobody_answers(core: &Core, timeout: Duration) -> Error {
    let trouble = core.io.publish.trouble();
    let why = trouble.unwrap_or(
        "does a process of the app run that has schedules in its code? After a lost connection another one takes over, within some heartbeats",
    );
    Error::Broker {
        object: format!("the schedules of app `{}`", core.config.app),
        detail: format!(
            "no replica answered within {} ms: {why}",
            timeout.as_millis()
        ),
    }
}
