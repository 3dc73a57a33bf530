//! Keeps one connection to the broker open: opens it, watches it, opens the next one. Never gives up before the bus is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::Event;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::STEP;
use super::connector::connect;
use super::session::Session;
use super::thread::Life;
use crate::Error;
use crate::config::Config;
use crate::counters::Counters;
use crate::health::{Monitor, Owner, Part, State as Health};
use crate::retry::chance;

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LONGEST: Duration = Duration::from_secs(10);
/// A connection that lasted so long was lost by chance: the next attempt comes soon. One that is lost at once is lost again and again,
/// perhaps by what is sent on it.
const STABLE: Duration = Duration::from_millis(250);

#[derive(Clone, Debug)]
enum State {
    Down,
    Up(Arc<Session>),
    Closed,
}

/// The bus was closed: no session will come any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkClosed;

/// A supervised connection, as its users see it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    state: watch::Receiver<State>,
    /// Asked for each message: lapin's own answer takes a lock that its I/O thread wants too.
    blocked: Arc<AtomicBool>,
    monitor: Arc<Monitor>,
}

impl Link {
    pub(crate) fn new(role: &'static str, life: &Life) -> (Self, Supervisor) {
        let (sender, state) = watch::channel(State::Down);
        let blocked = Arc::<AtomicBool>::default();
        let link = Self {
            state,
            blocked: Arc::clone(&blocked),
            monitor: Arc::clone(&life.monitor),
        };
        let supervisor = Supervisor {
            role,
            state: sender,
            blocked,
            monitor: Arc::clone(&life.monitor),
            counters: Arc::clone(&life.counters),
        };
        supervisor.tell(Health::Starting, None);
        (link, supervisor)
    }

    /// Where the state of what works on this connection is noted.
    pub(crate) fn monitor(&self) -> &Arc<Monitor> {
        &self.monitor
    }

    /// The present session, or the next one as soon as there is one.
    pub(crate) async fn up(&self) -> Result<Arc<Session>, LinkClosed> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Down)).await;
        match settled.as_deref() {
            Ok(State::Up(session)) => Ok(Arc::clone(session)),
            _ => Err(LinkClosed),
        }
    }

    /// The present session, if there is one.
    pub(crate) fn now(&self) -> Option<Arc<Session>> {
        match &*self.state.borrow() {
            State::Up(session) => Some(Arc::clone(session)),
            _ => None,
        }
    }

    /// Does the broker take nothing more for now? What is handed to lapin meanwhile would stay in its memory.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Why nothing gets through at the moment, for an error message.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match &*self.state.borrow() {
            State::Closed => Some("the bus is closed"),
            State::Down => Some("there is no connection to the broker; lightbus keeps trying"),
            State::Up(session) if session.connection().status().blocked() => {
                Some("the broker blocks publishers because of a memory or disk alarm")
            }
            State::Up(_) => None,
        }
    }
}

/// The task that owns the connection. Runs on the AMQP thread.
pub(crate) struct Supervisor {
    role: &'static str,
    state: watch::Sender<State>,
    blocked: Arc<AtomicBool>,
    monitor: Arc<Monitor>,
    counters: Arc<Counters>,
}

impl Supervisor {
    fn tell(&self, state: Health, reason: Option<String>) {
        let part = Part::Connection(self.role);
        self.monitor.set(Owner::default(), &part, state, reason);
    }

    /// Runs until `stop`. The first attempt has the whole connect deadline, and its outcome is what `first` hears; unless the start is lazy.
    pub(crate) async fn run(
        self,
        config: &Config,
        first: oneshot::Sender<Result<(), Error>>,
        stop: &CancellationToken,
    ) {
        let connecting = async {
            match config.lazy {
                true => Ok(self.reconnect(config, &mut { BACKOFF_FIRST }).await),
                false => self.connect(config, config.connect_deadline).await,
            }
        };
        match stop.run_until_cancelled(connecting).await {
            Some(Ok(session)) => {
                // The receiver is gone when `connect` itself was dropped; `stop` follows.
                let _ = first.send(Ok(()));
                self.keep(config, session, stop).await;
            }
            Some(Err(error)) => {
                let _ = first.send(Err(error));
            }
            None => {}
        }
        self.state.send_replace(State::Closed);
        self.tell(Health::Ended, None);
    }

    async fn connect(&self, config: &Config, deadline: Duration) -> Result<Session, Error> {
        connect(config, self.role, deadline, &self.counters).await
    }

    async fn keep(&self, config: &Config, first: Session, stop: &CancellationToken) {
        let mut session = Arc::new(first);
        let mut backoff = BACKOFF_FIRST;
        loop {
            let begun = Instant::now();
            let events = session.connection().events_listener();
            self.state.send_replace(State::Up(Arc::clone(&session)));
            self.tell(Health::Ready, None);
            let lost = stop
                .run_until_cancelled(self.until_lost(&session, events))
                .await;
            self.blocked.store(false, Ordering::Relaxed);
            self.state.send_replace(State::Down);
            let Some(reason) = lost else { break };
            warn!(connection = self.role, broker = %config.broker(), %reason, "lost the connection to the broker");
            self.tell(Health::Lost, Some(reason));
            session.cut();
            if begun.elapsed() > STABLE {
                backoff = BACKOFF_FIRST;
            }
            let next = self.reconnect(config, &mut backoff);
            match stop.run_until_cancelled(next).await {
                Some(next) => session = Arc::new(next),
                None => return,
            }
        }
        session.close().await;
    }

    /// Full jitter: after a broker's restart its clients do not come back all at once.
    async fn reconnect(&self, config: &Config, longest: &mut Duration) -> Session {
        loop {
            tokio::time::sleep(longest.mul_f64(chance())).await;
            *longest = (*longest * 2).min(BACKOFF_LONGEST);
            match self.connect(config, STEP).await {
                Ok(session) => {
                    info!(connection = self.role, broker = %config.broker(), "connected to the broker again");
                    return session;
                }
                Err(error) => {
                    warn!(connection = self.role, %error, "no connection yet");
                    self.tell(Health::Lost, Some(error.to_string()));
                }
            }
        }
    }

    /// Waits for the end of a connection. An error of one channel is also announced here, and is that channel's business.
    async fn until_lost(
        &self,
        session: &Session,
        events: impl futures_util::Stream<Item = Event>,
    ) -> String {
        let mut events = std::pin::pin!(events);
        let mut reason = "the connection ended".to_owned();
        // Looked at first: what was lost before the listener was there is announced to nobody.
        while session.connection().status().connected() {
            let Some(event) = events.next().await else {
                break;
            };
            match event {
                Event::Error(error) if error.is_amqp_soft_error() => {
                    warn!(connection = self.role, %error, "the broker closed a channel");
                }
                Event::Error(error) => reason = error.to_string(),
                Event::ConnectionBlocked(why) => {
                    self.blocked.store(true, Ordering::Relaxed);
                    warn!(%why, "the broker blocks publishing: a memory or disk alarm");
                    self.tell(Health::Blocked, Some(why.to_string()));
                }
                Event::ConnectionUnblocked => {
                    self.blocked.store(false, Ordering::Relaxed);
                    info!("the broker accepts publishing again");
                    self.tell(Health::Ready, None);
                }
                other => debug!(?other, "connection event"),
            }
        }
        reason
    }
}
