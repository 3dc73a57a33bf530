//! The server: the core behind its one lock, the accept loop, and the clock that wakes the core.

use crate::{
    config::Limits,
    core::{ConnId, Core, Directive, IdMap, Now},
    link::Link,
    session,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

/// How long sessions may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all tasks of a broker share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// To the clock: there is an earlier deadline.
    earlier: Notify,
    pub(crate) stop: Notify,
    pub(crate) limits: Limits,
}

#[derive(Debug)]
struct State {
    core: Core,
    links: IdMap<ConnId, Arc<Link>>,
    /// What the clock is set to.
    alarm: Option<Instant>,
}

pub(crate) fn now() -> Now {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Now {
        instant: Instant::now(),
        unix,
    }
}

impl Shared {
    pub(crate) fn new(core: Core, limits: Limits) -> Self {
        let state = State {
            core,
            links: IdMap::default(),
            alarm: None,
        };
        Self {
            state: Mutex::new(state),
            earlier: Notify::new(),
            stop: Notify::new(),
            limits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the core, then hands on what came of it.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Core, Now) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state.core, now());
        let State { core, links, alarm } = &mut *state;
        core.take_output(|id, bytes| match links.get(&id) {
            Some(link) => link.hand_over(bytes),
            None => bytes.clear(),
        });
        for id in core.take_resumed() {
            if let Some(link) = links.get(&id) {
                link.resume.notify_one();
            }
        }
        let next = core.next_deadline();
        if next.is_some_and(|next| alarm.is_none_or(|set| next < set)) {
            *alarm = next;
            self.earlier.notify_one();
        }
        result
    }

    /// Like [`Shared::with`], where no frame is to blame: a panic in the core is contained here.
    pub(crate) fn guarded(&self, act: impl FnOnce(&mut Core, Now)) {
        if catch_unwind(AssertUnwindSafe(|| self.with(act))).is_err() {
            tracing::error!("the broker's core panicked");
        }
    }

    /// Lets a connection in, unless there are too many.
    pub(crate) fn connect(&self, peer: String, link: &Arc<Link>) -> Option<ConnId> {
        let mut state = self.lock();
        if state.links.len() >= self.limits.connections {
            return None;
        }
        let id = state.core.connect(peer, link.meter.clone());
        state.links.insert(id, link.clone());
        Some(id)
    }

    pub(crate) fn disconnect(&self, id: ConnId) {
        self.lock().links.remove(&id);
        self.guarded(|core, now| core.disconnect(id, now));
    }

    /// Cuts all connections. What they had in the broker is gone when this returns.
    pub(crate) fn cut_all(&self) -> usize {
        let links: Vec<_> = self.lock().links.drain().collect();
        for (id, link) in &links {
            self.guarded(|core, now| core.disconnect(*id, now));
            link.cut.notify_one();
        }
        links.len()
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

    /// Wakes the core at its deadlines.
    async fn keep_time(self: Arc<Self>) {
        loop {
            let alarm = self.lock().alarm;
            let Some(alarm) = alarm else {
                self.earlier.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep_until(alarm.into()) => {}
                () = self.earlier.notified() => continue,
            }
            self.lock().alarm = None;
            self.guarded(|core, now| core.tick(now));
        }
    }
}

/// Runs a broker until it is told to stop. Dropped, it ends everything at once.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut tasks = JoinSet::new();
    let clock = tasks.spawn(shared.clone().keep_time());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(&shared, &mut tasks, stream, peer.to_string()),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = tasks.join_next() => {}
            () = shared.stop.notified() => break,
        }
    }
    drop(listener);
    clock.abort();
    shared.dismiss_all();
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, ended).await.is_err() {
        tasks.shutdown().await;
    }
}

fn accept(shared: &Arc<Shared>, tasks: &mut JoinSet<()>, stream: TcpStream, peer: String) {
    let link = Arc::new(Link::default());
    match shared.connect(peer, &link) {
        Some(id) => {
            tasks.spawn(session::run(shared.clone(), id, link, stream));
        }
        None => tracing::warn!("too many connections"),
    }
}
