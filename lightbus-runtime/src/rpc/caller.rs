//! Where an answer goes.

use lapin::BasicProperties;
use lapin::types::ShortString;
use tracing::warn;

use crate::bus::Core;
use crate::connection::pause;
use crate::connection::publisher::Outgoing;
use crate::error::Error;
use crate::topology;
use crate::wire::{self, Status};

/// Where the answer of one call goes.
pub(crate) struct Caller {
    exchange: String,
    instance: String,
    pub(super) id: ShortString,
}

impl Caller {
    /// Who sent this call; `None` if it is no call, or says no legal address.
    pub(crate) fn of(properties: &BasicProperties) -> Option<Self> {
        let (app, instance) =
            wire::reply_to(properties).filter(|_| wire::is_kind(properties, wire::REQUEST))?;
        Some(Self {
            exchange: topology::reply_exchange(app),
            instance: instance.to_owned(),
            id: wire::call_id(properties)?.clone(),
        })
    }

    pub(crate) async fn answer(self, core: &Core, status: Option<(Status, &str)>, payload: &[u8]) {
        loop {
            if !core.direct.is_ready(&self.exchange) {
                match self.find(core).await {
                    Some(true) => {}
                    Some(false) => return self.dropped(core, "its address does not exist"),
                    None => return self.dropped(core, "the bus was closed"),
                }
            }
            let message = Outgoing {
                exchange: &self.exchange,
                key: &self.instance,
                mandatory: false,
                properties: core.sender.reply(self.id.clone(), status),
                payload,
            };
            if core.direct.submit(message).is_ok() {
                return;
            }
        }
    }

    fn dropped(&self, core: &Core, why: &str) {
        core.counters.replies_dropped.add();
        warn!(exchange = self.exchange, id = %self.id, "dropped a reply: {why}");
    }

    /// Does the caller's exchange exist? `None` when the bus is closed. Waits out a lost connection: the caller's queue does too.
    async fn find(&self, core: &Core) -> Option<bool> {
        loop {
            core.direct.open().await.ok()?;
            match core.direct.find(&self.exchange).await {
                Ok(found) => return Some(found),
                Err(Error::Broker { .. } | Error::Closed) => pause().await,
                Err(error) => {
                    warn!(exchange = self.exchange, %error, "cannot reply");
                    return Some(false);
                }
            }
        }
    }
}
