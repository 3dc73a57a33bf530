//! The server: the core behind its one lock, the accept loop, and the clock that wakes the core.

use crate::{
    clock::{Clock, NotManual},
    config::{Limits, Settings},
    core::{ConnId, Core, Directive, Event, IdMap, Now, WatcherId},
    events::Watched,
    flush::{Flush, PATIENCE},
    link::Link,
    outage::Outage,
    session,
};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};

/// How long sessions may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);
/// How soon to look again at writers that have not taken everything yet.
const GLANCE: Duration = Duration::from_millis(1);

/// What all tasks of a broker share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// To the clock: there is an earlier deadline.
    earlier: Notify,
    pub(crate) stop: Notify,
    pub(crate) limits: Limits,
    /// To those who watch: something happened.
    pub(crate) news: Notify,
    /// Nothing more will happen.
    ended: AtomicBool,
    flush: Flush,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) clock: Clock,
    pub(crate) links: IdMap<ConnId, Arc<Link>>,
    pub(crate) outage: Outage,
    /// What the clock is set to.
    alarm: Option<Instant>,
}

impl State {
    /// Hands on what came of something: bytes to writers, leave to readers. Says whether the alarm is to be set earlier.
    fn hand_on(&mut self) -> bool {
        let links = &self.links;
        self.core.take_output(|id, bytes| match links.get(&id) {
            Some(link) => link.hand_over(bytes),
            None => bytes.clear(),
        });
        for id in self.core.take_resumed() {
            if let Some(link) = self.links.get(&id) {
                link.resume.notify_one();
            }
        }
        let next = self.core.next_deadline();
        let earlier =
            self.clock.goes() && next.is_some_and(|next| self.alarm.is_none_or(|set| next < set));
        if earlier {
            self.alarm = next;
        }
        earlier
    }
}

impl Shared {
    pub(crate) fn new(settings: Settings, limits: Limits) -> Self {
        let clock = if limits.manual_clock {
            Clock::manual()
        } else {
            Clock::System
        };
        let now = clock.now();
        let mut core = Core::new(settings, now);
        core.set_epoch(clock.date(now));
        let state = State {
            core,
            clock,
            links: IdMap::default(),
            outage: Outage::default(),
            alarm: None,
        };
        Self {
            state: Mutex::new(state),
            earlier: Notify::new(),
            stop: Notify::new(),
            limits,
            news: Notify::new(),
            ended: AtomicBool::new(false),
            flush: Flush::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the core, then hands on what came of it.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Core, Now) -> R) -> R {
        let mut state = self.lock();
        let now = state.clock.now();
        let result = act(&mut state.core, now);
        self.hand_on(&mut state);
        result
    }

    /// Hands on what came of something: bytes, leave to read, the next alarm, news.
    pub(crate) fn hand_on(&self, state: &mut State) {
        if state.hand_on() {
            self.earlier.notify_one();
        }
        if state.core.take_news() {
            self.news.notify_waiters();
        }
    }

    /// The broker's thread has come to its end.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.news.notify_waiters();
    }
    /// Moves a manual clock from deadline to deadline, and waits until the sockets have what came of it.
    pub(crate) fn advance(&self, by: Duration) -> Result<(), NotManual> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let until = state.clock.as_manual().ok_or(NotManual)?.after(by);
        loop {
            let next = state.core.next_deadline().filter(|next| *next <= until);
            if let Some(clock) = state.clock.as_manual() {
                clock.set(next.unwrap_or(until));
            }
            state.core.tick(state.clock.now());
            self.hand_on(state);
            if next.is_none() {
                break;
            }
        }
        drop(guard);
        self.flush.wait();
        Ok(())
    }

    /// How far a manual clock is from the next deadline.
    pub(crate) fn next_due(&self) -> Result<Option<Duration>, NotManual> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let now = state.clock.now().instant;
        state.clock.as_manual().ok_or(NotManual)?;
        let next = state.core.next_deadline();
        Ok(next.map(|next| next.saturating_duration_since(now)))
    }

    /// Like [`Shared::with`], where no frame is to blame: a panic in the core is contained here.
    pub(crate) fn guarded(&self, act: impl FnOnce(&mut Core, Now)) {
        if catch_unwind(AssertUnwindSafe(|| self.with(act))).is_err() {
            tracing::error!("the broker's core panicked");
            // What it had said until then still goes out, and the clock is set again.
            self.with(|_, _| ());
        }
    }

    /// Lets a connection in, unless it is to be refused or there are too many.
    pub(crate) fn connect(&self, peer: String, link: &Arc<Link>) -> Option<ConnId> {
        let mut state = self.lock();
        if !state.outage.welcomes(link) {
            return None;
        }
        if state.links.len() >= self.limits.connections {
            tracing::warn!("too many connections");
            return None;
        }
        let id = state.core.connect(peer, link.meter.clone());
        state.links.insert(id, link.clone());
        Some(id)
    }

    pub(crate) fn disconnect(&self, id: ConnId) {
        self.lock().links.remove(&id);
        self.guarded(|core, now| core.disconnect(id, now));
        self.guarded(|core, _| core.forget(id));
    }

    /// Says goodbye to all connections. Clients that can answer do, and close; nobody waits for the others.
    fn dismiss_all(&self) {
        self.guarded(|core, now| core.close_all(now));
        let state = self.lock();
        for (id, link) in &state.links {
            match state.core.directive(*id) {
                Directive::Close | Directive::Linger => link.close(),
                _ => link.resume.notify_one(),
            }
        }
    }

    /// Tells those who wait for it that the writers have taken everything there is.
    async fn keep_flushing(self: Arc<Self>) {
        loop {
            let _waiting = self.flush.wanted().await;
            // After that they no longer wait.
            let _ = timeout(PATIENCE, self.flushed()).await;
        }
    }

    /// Waits until the writers have taken everything there is. Most have when they are first looked at.
    async fn flushed(&self) {
        while !self.lock().links.values().all(|link| link.is_flushed()) {
            sleep(GLANCE).await;
        }
    }

    /// Wakes the core at its deadlines.
    async fn keep_time(self: Arc<Self>) {
        loop {
            let alarm = self.lock().alarm;
            let Some(alarm) = alarm else {
                self.earlier.notified().await;
                continue;
            };
            tokio::select! {
                () = sleep_until(alarm.into()) => {}
                () = self.earlier.notified() => continue,
            }
            self.lock().alarm = None;
            self.guarded(|core, now| core.tick(now));
        }
    }
}

impl Watched for Shared {
    fn open_watch(&self) -> WatcherId {
        self.with(|core, _| core.open_watch())
    }

    fn close_watch(&self, id: WatcherId) {
        self.with(|core, _| core.close_watch(id));
    }

    fn read_watch(&self, id: WatcherId, most: usize, into: &mut VecDeque<Event>) {
        self.with(|core, _| core.read_watch(id, most, into));
    }

    fn news(&self) -> &Notify {
        &self.news
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// Runs a broker until it is told to stop. Dropped, it ends everything at once.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut tasks = JoinSet::new();
    let clock = tasks.spawn(shared.clone().keep_time());
    let flush = tasks.spawn(shared.clone().keep_flushing());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(&shared, &mut tasks, stream, peer.to_string()),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = tasks.join_next() => {}
            () = shared.stop.notified() => break,
        }
    }
    drop(listener);
    clock.abort();
    flush.abort();
    shared.dismiss_all();
    let ended = async { while tasks.join_next().await.is_some() {} };
    if timeout(FAREWELL, ended).await.is_err() {
        tasks.shutdown().await;
    }
}

fn accept(shared: &Arc<Shared>, tasks: &mut JoinSet<()>, stream: TcpStream, peer: String) {
    let link = Arc::new(Link::default());
    if let Some(id) = shared.connect(peer, &link) {
        tasks.spawn(session::run(shared.clone(), id, link, stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Settings, frames::PROTOCOL, refusal::Refusal};

    fn shared() -> (Shared, [ConnId; 2]) {
        let limits = Limits {
            connections: 2,
            handshake: Duration::ZERO,
            manual_clock: false,
        };
        let shared = Shared::new(Settings::default(), limits);
        let ids = [(); 2].map(|()| shared.connect("test".into(), &Arc::default()));
        (shared, ids.map(|id| id.unwrap_or(ConnId(0))))
    }

    #[test]
    fn connections_that_come_are_met_as_is_said() {
        let (shared, ids) = shared();
        let shut = |link: &Arc<Link>| link.gate.is_shut();
        shared.disconnect(ids[0]);
        shared.refuse(Some(Refusal::Closed));
        assert!(shared.connect("test".into(), &Arc::default()).is_none());
        shared.refuse(Some(Refusal::Silent));
        let link = Arc::default();
        assert!(shared.connect("test".into(), &link).is_some() && shut(&link));
        // Let in while everything stands still, it goes on with the others, whoever else is to find silence.
        shared.stall_all(true);
        shared.refuse(None);
        assert!(shut(&link));
        shared.refuse(Some(Refusal::Silent));
        shared.stall_all(false);
        assert!(!shut(&link));
    }

    #[test]
    fn a_panic_while_a_connection_ends_leaves_nothing_of_it() {
        let (shared, [gone, left]) = shared();
        shared.with(|core, _| core.trap = true);
        shared.disconnect(gone);
        assert_eq!(shared.with(|core, _| core.connections()), [left]);
        shared.with(|core, _| core.greet(left, PROTOCOL));
        assert_eq!(shared.with(|core, _| core.directive(left)), Directive::Read);
    }

    #[test]
    fn a_panic_of_a_timer_stops_no_other() {
        let (shared, _) = shared();
        let now = shared.lock().clock.now();
        let soon = now.instant + Duration::from_secs(1);
        shared.with(|core, _| {
            core.trap = true;
            core.set_alarms(&[soon, soon + Duration::from_secs(1)]);
        });
        shared.lock().alarm = None;
        let due = Now {
            instant: soon,
            ..now
        };
        shared.guarded(|core, _| core.tick(due));
        assert_eq!(shared.lock().alarm, Some(soon + Duration::from_secs(1)));
    }
}
