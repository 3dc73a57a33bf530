//! Publishes what is in an outbox: takes a batch, publishes it in order, removes what the broker has confirmed.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use uuid::Uuid;

use super::Outbox;
use super::rows::{self, Batch, Row};
use crate::budget::Room;
use crate::bus::{Bus, Core};
use crate::error::Error;
use crate::event::check_size;
use crate::health::{Owner, Part, State};
use crate::idempotence::StoreError;
use crate::publishing::{Message, Progress, Refusal};
use crate::sql::{SqlDatabase, millis};
use crate::topology;
use crate::wire::check_headers;

/// Events taken at a time. More would be in memory, and published again after a crash.
const BATCH: i64 = 128;
/// Bytes on their way at a time, of events that leave without waiting for each other.
const RUN_BYTES: usize = 8 * 1024 * 1024;
/// Between two looks for what others have inserted.
const POLL: Duration = Duration::from_secs(1);
/// The first look for what was inserted here, and may not be committed yet; later ones take twice as long each.
const QUICK: Duration = Duration::from_millis(2);
/// Until an event is tried again that went nowhere for now: a queue is full, or its exchange cannot be declared.
const PUT_OFF: Duration = Duration::from_secs(5);
/// A batch is a crashed relay's for as long as it could have been at work, and this.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// When the relay is stopped, confirmations may still come for so long.
const PARTING: Duration = Duration::from_secs(1);

/// What publishes an outbox's events, in this process. Dropping this does not end it: that is for [`stop`](Self::stop), or the end of the bus.
#[derive(Debug)]
pub struct Relay {
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Takes no more events from the outbox, and returns when those under way are confirmed, or after a second. What was not confirmed stays.
    pub async fn stop(self) {
        self.stop.cancel();
        // An abort at the end of the runtime is an end as well.
        let _ = self.ended.await;
    }
}

impl<DB: SqlDatabase> Outbox<DB> {
    /// Publishes the outbox's events over `bus`, as that app, until the bus is closed. Any number of replicas may do so at once, each event in one of them; after a crash, its
    /// batch of up to 128 events is another's when [`publish_timeout`](crate::BusBuilder::publish_timeout) and 10 s have passed.
    ///
    /// An event that a full queue refuses is tried again every 5 s, and one that the broker refuses for good is [kept](Self::refused); neither holds up the others. Both are
    /// [counted](crate::Counts). [`Bus::health`] says how many events wait while the broker is away.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the outbox cannot be read, with the database's words. Once begun, a relay survives the loss of its database.
    pub async fn relay(&self, bus: &Bus) -> Result<Relay, StoreError> {
        self.counts().await?;
        let core = bus.core();
        let stop = core.life.stop.child_token();
        let relaying = Relaying {
            outbox: self.clone(),
            core: Arc::clone(core),
            owner: core.life.monitor.owner(),
            stop: stop.clone(),
        };
        let ended = core.spawn(relaying.run());
        Ok(Relay { stop, ended })
    }
}

/// The task behind a relay.
struct Relaying<DB: SqlDatabase> {
    outbox: Outbox<DB>,
    core: Arc<Core>,
    /// The latest relay speaks for the outbox.
    owner: Owner,
    stop: CancellationToken,
}

/// What came of publishing an event.
#[derive(Clone, Debug)]
enum Fate {
    Stored,
    /// Not confirmed: it may or may not be stored.
    Unknown,
    Later(String),
    Never(String),
}

impl<DB: SqlDatabase> Relaying<DB> {
    async fn run(self) {
        self.tell(State::Starting, None);
        let mut pause = QUICK;
        while self.broker().await.is_some() {
            pause = match self.round().await {
                Ok(taken) => {
                    self.tell(State::Ready, None);
                    match taken {
                        0 => self.idle(pause).await,
                        _ => QUICK,
                    }
                }
                Err(error) => {
                    warn!(%error, "the outbox is not being published");
                    self.tell(State::Lost, Some(error.to_string()));
                    self.sleep(POLL).await;
                    QUICK
                }
            };
        }
        self.tell(State::Ended, None);
    }

    fn tell(&self, state: State, reason: Option<String>) {
        let monitor = &self.core.life.monitor;
        monitor.set(self.owner, &Part::Outbox, state, reason);
    }

    async fn sleep(&self, time: Duration) {
        let slept = self.stop.run_until_cancelled(tokio::time::sleep(time));
        slept.await;
    }

    /// Waits until the broker takes messages: what is taken from the outbox earlier would be withheld from other replicas. None after the stop.
    async fn broker(&self) -> Option<()> {
        let link = &self.core.io.publish;
        while let Some(trouble) = link.trouble() {
            let state = match link.is_blocked() {
                true => State::Blocked,
                false => State::Lost,
            };
            let reason = match self.outbox.counts().await {
                Ok(counts) => format!("{} event(s) wait: {trouble}", counts.waiting),
                Err(error) => error.to_string(),
            };
            self.tell(state, Some(reason));
            let connected = async {
                match link.now() {
                    Some(_) => std::future::pending().await,
                    None => drop(link.up().await),
                }
            };
            let waited = tokio::time::timeout(POLL, connected);
            let _ = self.stop.run_until_cancelled(waited).await?;
        }
        (!self.stop.is_cancelled()).then_some(())
    }

    /// Waits for more, for `pause` at most, and returns the next pause.
    async fn idle(&self, pause: Duration) -> Duration {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => pause,
            () = self.outbox.inserted.notified() => {
                self.sleep(QUICK).await;
                QUICK
            }
            () = tokio::time::sleep(pause) => (2 * pause).min(POLL),
        }
    }

    /// One batch; returns how many events it had.
    async fn round(&self) -> Result<usize, StoreError> {
        let timeout = self.core.config.publish_timeout;
        let batch = rows::claim(self.outbox.store(), BATCH, millis(timeout + LEASE_MARGIN)).await?;
        let mut fates = vec![Fate::Unknown; batch.rows.len()];
        let deadline = Instant::now() + timeout;
        let (mut rows, mut left) = (&batch.rows[..], &mut fates[..]);
        while !rows.is_empty() {
            let run = self.run_of(rows);
            self.publish(&rows[..run], &mut left[..run], deadline).await;
            if left[..run].iter().any(|fate| matches!(fate, Fate::Unknown)) {
                // What comes after must not overtake it.
                break;
            }
            rows = &rows[run..];
            left = &mut left[run..];
        }
        self.settle(&batch, &fates).await?;
        Ok(batch.rows.len())
    }

    /// How many rows may be published at once. One whose exchange is not known yet has to wait for it, and the others would overtake it.
    fn run_of(&self, rows: &[Row]) -> usize {
        let mut bytes = 0;
        let together = rows.iter().take_while(|row| {
            bytes += row.payload.len();
            let exchange = topology::event_exchange(&row.api);
            bytes <= RUN_BYTES && self.core.confirmed.is_ready(&exchange)
        });
        together.count().max(1)
    }

    /// Publishes rows without waiting for one before the next; the frames leave in their order.
    async fn publish(&self, rows: &[Row], fates: &mut [Fate], deadline: Instant) {
        let all = async {
            let sizes = rows.iter().map(|row| row.payload.len());
            let rooms = self.core.budget.reserve_each(sizes).await;
            let one = async |(nth, (row, room))| (nth, self.publish_one(row, room).await);
            // Polled first in the order in which they come.
            let mut publishing: FuturesUnordered<_> =
                rows.iter().zip(rooms).enumerate().map(one).collect();
            while let Some((nth, fate)) = publishing.next().await {
                fates[nth] = fate;
            }
        };
        let mut all = pin!(all);
        tokio::select! {
            biased;
            () = &mut all => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = self.parted() => {}
        }
    }

    async fn parted(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(PARTING).await;
    }

    async fn publish_one(&self, row: &Row, room: Room) -> Fate {
        let (id, headers) = match read(row, self.core.config.payload_limit) {
            Ok(checked) => checked,
            Err(reason) => return Fate::Never(reason),
        };
        let created = u64::try_from(row.created_ms / 1000).unwrap_or_default();
        let exchange = topology::event_exchange(&row.api);
        let message = Message {
            exchange: &exchange,
            needs: &exchange,
            key: &row.routing_key,
            plan: &|| topology::event_plan(&row.api),
            properties: &|| self.core.sender.event(id, &headers).with_timestamp(created),
            payload: &row.payload,
            must_route: false,
        };
        let mut progress = Progress::new(&self.core.clock);
        progress.take_place(&self.core, room);
        match self.core.store(&message, &mut progress).await {
            Ok(()) => Fate::Stored,
            Err(Refusal::Full) => Fate::Later("a queue that it goes to is full".to_owned()),
            Err(Refusal::Denied(reason)) => Fate::Never(reason),
            Err(Refusal::Failed(Error::Closed)) => Fate::Unknown,
            Err(Refusal::Failed(error)) => Fate::Later(error.to_string()),
        }
    }

    /// Notes what was not published, and removes the rest.
    async fn settle(&self, batch: &Batch, fates: &[Fate]) -> Result<(), StoreError> {
        let (store, counters) = (self.outbox.store(), &self.core.counters);
        for (row, fate) in batch.rows.iter().zip(fates) {
            match fate {
                Fate::Stored => {}
                Fate::Unknown => {
                    counters.outbox_repeated.add();
                    let reason = self.core.io.publish.trouble();
                    let reason = reason.unwrap_or("it was not confirmed in time");
                    rows::put_off(store, batch, row, reason, 0).await?;
                }
                Fate::Later(reason) => {
                    counters.outbox_repeated.add();
                    warn!(event = %Named(row), reason, "an event of the outbox has to wait");
                    rows::put_off(store, batch, row, reason, millis(PUT_OFF)).await?;
                }
                Fate::Never(reason) => {
                    counters.outbox_refused.add();
                    error!(event = %Named(row), reason, "an event of the outbox is refused for good; `refused` shows it");
                    rows::refuse(store, batch, row, reason).await?;
                }
            }
        }
        rows::confirmed(store, batch).await
    }
}

/// An event, for people.
struct Named<'a>(&'a Row);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row {
            api,
            event,
            message_id,
            ..
        } = self.0;
        write!(f, "{api}.{event} (message {message_id})")
    }
}

type Headers = Vec<(String, String)>;

/// The row's id and headers. It may be older than this bus's limit, or another program's.
fn read(row: &Row, limit: usize) -> Result<(Uuid, Headers), String> {
    check_size(row.payload.len(), limit)?;
    let id = Uuid::try_parse(&row.message_id).map_err(|_| "its message id is no UUID".to_owned());
    let headers: Result<Headers, _> = serde_json::from_str(&row.headers);
    let headers = headers.map_err(|error| format!("its headers cannot be read: {error}"))?;
    check_headers(&headers)?;
    Ok((id?, headers))
}
