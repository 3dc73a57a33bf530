//! A channel that publishes, opened again whenever it is lost.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind, PublisherConfirm};
use tokio::sync::Mutex as AsyncMutex;

use super::{Link, LinkClosed, Session, declare, pause};
use crate::Error;
use crate::counters::Counters;
use crate::topology::Plan;
use crate::wire::short;

/// One message on its way out.
pub(crate) struct Outgoing<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) key: &'a str,
    pub(crate) mandatory: bool,
    pub(crate) properties: BasicProperties,
    pub(crate) payload: &'a [u8],
}

/// Does the broker confirm what is published here?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Direct,
    Confirmed,
}

/// What lapin has of a message, also after its sender has given up.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Its frames may not have left this process.
    pub(crate) frames: bool,
    /// They have, and the broker is to confirm it.
    pub(crate) confirm: Option<PublisherConfirm>,
}

/// There is no open channel at the moment; [`Publisher::open`] waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOpen;

#[derive(Debug)]
pub(crate) struct Publisher {
    link: Link,
    mode: Mode,
    counters: Arc<Counters>,
    /// Held for one poll at a time: two first polls at once would give lapin's confirms to the wrong publishers.
    current: Mutex<Option<Open>>,
    /// One opens or declares, the others wait for what comes of it.
    opening: AsyncMutex<()>,
    /// Exchanges that this app may not publish to: a try would close the channel for all.
    suspects: Mutex<HashSet<String>>,
}

#[derive(Clone, Debug)]
struct Open {
    channel: Arc<Channel>,
    session: Arc<Session>,
    /// Exchanges, and queues of tasks, known to exist. Forgotten with the channel, which a missing exchange would close.
    known: Arc<Mutex<HashSet<String>>>,
}

impl Publisher {
    pub(crate) fn new(link: Link, mode: Mode, counters: &Arc<Counters>) -> Self {
        Self {
            link,
            mode,
            counters: Arc::clone(counters),
            current: Mutex::default(),
            opening: AsyncMutex::default(),
            suspects: Mutex::default(),
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Open>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Option<Open> {
        self.current()
            .clone()
            .filter(|open| open.channel.status().connected())
    }

    /// Makes sure that a channel is open; waits for the connection if need be.
    pub(crate) async fn open(&self) -> Result<(), LinkClosed> {
        let _one_at_a_time = self.opening.lock().await;
        loop {
            let session = self.link.up().await?;
            if self.link.is_blocked() {
                pause().await;
                continue;
            }
            if self.usable().is_some() {
                return Ok(());
            }
            match self.open_on(&session).await {
                Ok(channel) => {
                    let open = Open {
                        channel: Arc::new(channel),
                        session,
                        known: Arc::default(),
                    };
                    let last = self.current().replace(open);
                    self.note_end(last);
                }
                // The connection is going down, and the link has not said so yet.
                Err(_) => pause().await,
            }
        }
    }

    async fn open_on(&self, session: &Session) -> Result<Channel, lapin::Error> {
        let channel = session.channel().await?;
        if self.mode == Mode::Confirmed {
            session
                .step(channel.confirm_select(ConfirmSelectOptions::default()))
                .await?;
        }
        Ok(channel)
    }

    /// A channel that is closed while its connection is not was closed by the broker, over a message. Nothing is confirmed on one of calls: what else was
    /// on its way there may be lost.
    fn note_end(&self, last: Option<Open>) {
        let closed = last.is_some_and(|open| open.session.connection().status().connected());
        if closed && self.mode == Mode::Direct {
            self.counters.call_channels_closed.add();
        }
    }

    /// May a message that needs this go at once? Else [`open`](Self::open) waits for a channel, and for an alarm to end.
    pub(crate) fn is_ready(&self, needed: &str) -> bool {
        let current = self.current();
        let known = current
            .as_ref()
            .is_some_and(|open| lock(&open.known).contains(needed));
        known && !self.link.is_blocked()
    }

    /// Declares what a publish needs, once for each channel.
    pub(crate) async fn ensure(
        &self,
        needed: &str,
        plan: impl FnOnce() -> Plan,
    ) -> Result<(), Error> {
        let _one_at_a_time = self.opening.lock().await;
        let Some(open) = self.usable() else {
            return Err(Error::Closed);
        };
        if lock(&open.known).contains(needed) {
            return Ok(());
        }
        let plan = plan();
        self.declare(&plan).await?;
        let declared = plan.exchanges.into_iter().map(|exchange| exchange.name);
        let mut known = lock(&open.known);
        known.extend(declared);
        known.insert(needed.to_owned());
        Ok(())
    }

    /// What was needed, or what is bound to it, is not there any more: the next one who needs it declares it.
    pub(crate) fn unlearn(&self, needed: &str) {
        if let Some(open) = &*self.current() {
            lock(&open.known).remove(needed);
        }
    }

    async fn declare(&self, plan: &Plan) -> Result<(), Error> {
        let session = self.link.up().await.map_err(|LinkClosed| Error::Closed)?;
        declare::declare(&session, plan).await
    }

    /// From now on, what goes to this exchange goes alone.
    pub(crate) fn suspect(&self, exchange: &str) {
        lock(&self.suspects).insert(exchange.to_owned());
        self.unlearn(exchange);
    }

    /// Asked on the way that an exchange takes once for each channel, a suspect one always.
    pub(crate) fn is_suspect(&self, exchange: &str) -> bool {
        lock(&self.suspects).contains(exchange)
    }

    pub(crate) fn trust(&self, exchange: &str) {
        lock(&self.suspects).remove(exchange);
    }

    /// Asks the broker whether an exchange exists that somebody else has to declare.
    pub(crate) async fn find(&self, exchange: &str) -> Result<bool, Error> {
        let _one_at_a_time = self.opening.lock().await;
        let Some(open) = self.usable() else {
            return Err(Error::Closed);
        };
        if lock(&open.known).contains(exchange) {
            return Ok(true);
        }
        let session = self.link.up().await.map_err(|LinkClosed| Error::Closed)?;
        let found = declare::exchange_exists(&session, exchange).await?;
        if found {
            lock(&open.known).insert(exchange.to_owned());
        }
        Ok(found)
    }

    /// Hands the message to lapin and waits for nothing. The frames leave in the order of these calls.
    pub(crate) fn submit(&self, message: Outgoing<'_>) -> Result<(), NotOpen> {
        let mut current = self.current();
        let open = current.as_ref().ok_or(NotOpen)?;
        let polled =
            pin!(publish(&open.channel, message)).poll(&mut Context::from_waker(Waker::noop()));
        if matches!(&polled, Poll::Ready(Err(error)) if was_closed(error)) {
            self.note_end(current.take());
            return Err(NotOpen);
        }
        // Any other error may come after the frames have left: a second attempt could be a second call.
        Ok(())
    }

    /// Publishes and waits for the broker's confirmation; `sent` tells whether the message has been handed to lapin. Dropping the future does not take the message back:
    /// `held` is what lapin still has of it.
    pub(crate) async fn confirmed(
        &self,
        message: Outgoing<'_>,
        sent: &mut bool,
        held: &mut Held,
    ) -> Result<Confirmation, Unconfirmed> {
        let channel = self
            .current()
            .as_ref()
            .map(|open| Arc::clone(&open.channel));
        let channel = channel.ok_or(Unconfirmed::NotSent)?;
        let mut publishing = pin!(publish(&channel, message));
        let first = std::future::poll_fn(|cx| {
            let _serialised = self.current();
            Poll::Ready(publishing.as_mut().poll(cx))
        });
        let confirm = match first.await {
            Poll::Ready(Err(error)) if was_closed(&error) => {
                self.forget(&channel);
                return Err(Unconfirmed::NotSent);
            }
            first => {
                *sent = true;
                held.frames = true;
                match first {
                    Poll::Ready(written) => written,
                    Poll::Pending => publishing.await,
                }
            }
        };
        held.frames = false;
        let confirm = confirm.map_err(Unconfirmed::Lost)?;
        let confirmation = held.confirm.insert(confirm).await;
        held.confirm = None;
        confirmation.map_err(Unconfirmed::Lost)
    }

    /// lapin keeps a list of the confirms that were dropped, and crosses out those that have come only when it is asked for returned messages; asked
    /// once, it waits for the last confirm instead.
    pub(crate) fn cross_out_dropped(&self) {
        for _ in 0..2 {
            self.returned();
        }
    }

    /// The next publish waits for another channel.
    fn forget(&self, channel: &Arc<Channel>) {
        let mut current = self.current();
        if current
            .as_ref()
            .is_some_and(|open| Arc::ptr_eq(&open.channel, channel))
        {
            *current = None;
        }
    }

    /// Mandatory messages that came back since the last look. lapin wakes nobody for them.
    pub(crate) fn returned(&self) -> Vec<BasicReturnMessage> {
        let channel = self
            .current()
            .as_ref()
            .map(|open| Arc::clone(&open.channel));
        let returned = channel.and_then(|channel| channel.wait_for_confirms().now_or_never());
        let is_closed = |open: &mut Open| !open.channel.status().connected();
        let closed = self.current().take_if(is_closed);
        self.note_end(closed);
        returned.and_then(Result::ok).unwrap_or_default()
    }
}

/// Why there is no confirmation.
pub(crate) enum Unconfirmed {
    /// Nothing left this process.
    NotSent,
    /// The channel was lost before the confirmation came.
    Lost(lapin::Error),
}

/// lapin looks at the channel before it makes any frame: with this error, nothing has left.
fn was_closed(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidChannelState(..))
}

fn lock(names: &Mutex<HashSet<String>>) -> MutexGuard<'_, HashSet<String>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing happens before the first poll, which hands the frames to lapin.
pub(super) fn publish<'a>(
    channel: &'a Channel,
    message: Outgoing<'a>,
) -> impl Future<Output = Result<PublisherConfirm, lapin::Error>> + Send + 'a {
    let options = BasicPublishOptions {
        mandatory: message.mandatory,
        immediate: false,
    };
    let (exchange, key) = (short(message.exchange), short(message.key));
    channel.basic_publish(exchange, key, options, message.payload, message.properties)
}
