//! Methods with `#[rpc(cancel)]`: a caller that gives up tells the providers, and the one that runs the call drops its handler.
//!
//! Which replica has the call the caller does not know: all that serve the API are told. Nothing is confirmed, and what is lost on
//! the way costs no more than the handler running until its deadline.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::message::Delivery;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use super::call::CallSpec;
use super::in_progress::CallKey;
use super::own_queue;
use crate::bus::Core;
use crate::clock::Clock;
use crate::connection::consumer::Source;
use crate::connection::publisher::Outgoing;
use crate::counters::Counters;
use crate::delivery::{Outcome, Work};
use crate::error::Error;
use crate::{topology, wire};

const PREFETCH: u16 = 500;
/// Calls given up of which nothing else is known here: most are another replica's, some are still to come.
const EARLY_MAX: usize = 1024;

// ---- the caller's side

/// Tells the providers of an API that a call is given up.
pub(crate) struct Canceller<'a> {
    core: &'a Core,
    pub(super) api: &'static str,
}

impl<'a> Canceller<'a> {
    /// `None` for methods that are not cancelled.
    pub(super) fn of(core: &'a Core, spec: &CallSpec) -> Option<Self> {
        spec.cancel.then_some(Self {
            core,
            api: spec.api,
        })
    }

    /// Waits for nothing: the caller may be in the midst of being dropped.
    pub(super) fn cancel(&self, call: Uuid) {
        let (core, counters) = (self.core, &self.core.counters);
        let message = Outgoing {
            exchange: topology::CONTROL,
            key: &topology::cancel_key(self.api),
            mandatory: false,
            properties: core.sender.cancel(call),
            payload: &[],
        };
        match core.direct.is_ready(topology::CONTROL) && core.direct.submit(message).is_ok() {
            true => counters.calls_given_up.add(),
            false => {
                counters.cancels_lost.add();
                debug!(api = self.api, %call, "cannot tell the providers that a call is given up");
            }
        }
    }
}

/// The bus is closing, and no answer will come any more.
pub(super) fn abandon_calls(core: &Core) {
    for (call, api) in core.pending.abandon() {
        Canceller { core, api }.cancel(call);
    }
}

// ---- the provider's side

/// Declares the queue by which this instance hears of calls that are given up, and starts the task that reads it. Each API that is
/// served binds it.
pub(super) async fn listen(core: &Core) -> Result<(), Error> {
    let (app, instance) = (&core.config.app, &core.instance);
    let source = Source {
        queue: topology::control_queue(app, instance),
        plan: topology::control_queue_plan(app, instance),
        prefetch: PREFETCH,
    };
    let (cancels, counters) = (Arc::clone(&core.cancels), Arc::clone(&core.counters));
    let take = move |delivery: Delivery| {
        let properties = &delivery.properties;
        match CallKey::of(properties).filter(|_| wire::is_kind(properties, wire::CONTROL)) {
            Some(call) if cancels.cancel(&call) => {}
            Some(_) => counters.cancels_unmatched.add(),
            None => {
                counters.control_ignored.add();
                debug!(key = %delivery.routing_key, "ignored a control message that says nothing");
            }
        }
        Work::Settled(Outcome::Done)
    };
    let starting = own_queue::read(core, source, take, || {});
    starting.first_start(core).await
}

/// Calls in progress that may be cancelled, and calls that were cancelled before they came.
#[derive(Debug, Default)]
pub(crate) struct Cancels(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: HashMap<CallKey, CancellationToken>,
    early: HashSet<CallKey>,
    /// The same, oldest first.
    early_order: VecDeque<CallKey>,
}

impl Cancels {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: it has been given up already.
    pub(super) fn begin(self: &Arc<Self>, call: CallKey) -> Option<Cancellable> {
        let mut state = self.state();
        if state.early.contains(&call) {
            return None;
        }
        let token = state.running.entry(call.clone()).or_default().clone();
        drop(state);
        Some(Cancellable {
            cancels: Arc::clone(self),
            call,
            token,
        })
    }

    /// Does the call run here? Only the instance that made it can name it: the address for the answer is part of the key.
    fn cancel(&self, call: &CallKey) -> bool {
        let mut state = self.state();
        if let Some(token) = state.running.remove(call) {
            token.cancel();
            return true;
        }
        if state.early.insert(call.clone()) {
            state.early_order.push_back(call.clone());
        }
        if state.early_order.len() > EARLY_MAX
            && let Some(oldest) = state.early_order.pop_front()
        {
            state.early.remove(&oldest);
        }
        false
    }
}

/// A call in progress that ends when it is cancelled.
pub(super) struct Cancellable {
    cancels: Arc<Cancels>,
    call: CallKey,
    token: CancellationToken,
}

impl Cancellable {
    /// Runs a handler until it has answered, or is cancelled, or nobody waits for the answer any more: then it is dropped.
    pub(super) async fn run(
        self,
        clock: Clock,
        deadline: Option<Instant>,
        counters: Arc<Counters>,
        handling: impl Future<Output = Outcome>,
    ) -> Outcome {
        let expired = async {
            match deadline {
                Some(deadline) => clock.sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            biased;
            outcome = handling => return outcome,
            () = self.token.cancelled() => "its caller gave it up",
            () = expired => "its deadline passed",
        };
        counters.calls_cancelled.add();
        debug!(call = ?self.call, why, "cancelled a call");
        Outcome::Done
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.cancels.state().running.remove(&self.call);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::short;
    use lapin::BasicProperties;

    fn call(caller: char, id: usize) -> CallKey {
        let instance = caller.to_string().repeat(32);
        let properties = BasicProperties::default()
            .with_reply_to(short(&format!("shop/{instance}")))
            .with_correlation_id(short(&id.to_string()));
        CallKey::of(&properties).unwrap()
    }

    #[test]
    fn only_the_callers_own_instance_cancels() {
        let cancels = Arc::<Cancels>::default();
        let running = cancels.begin(call('a', 1)).unwrap();
        assert!(!cancels.cancel(&call('b', 1)));
        assert!(!running.token.is_cancelled());
        assert!(cancels.cancel(&call('a', 1)));
        assert!(running.token.is_cancelled());
    }

    #[test]
    fn what_was_given_up_before_it_came_does_not_begin() {
        let cancels = Arc::<Cancels>::default();
        cancels.cancel(&call('a', 1));
        assert!(cancels.begin(call('a', 1)).is_none());
        assert!(cancels.begin(call('a', 2)).is_some());
    }

    #[test]
    fn memory_is_bounded_and_what_has_ended_is_forgotten() {
        let cancels = Arc::<Cancels>::default();
        for id in 0..=EARLY_MAX {
            cancels.cancel(&call('a', id));
            cancels.cancel(&call('a', id));
        }
        assert_eq!(cancels.state().early.len(), EARLY_MAX);
        assert_eq!(cancels.state().early_order.len(), EARLY_MAX);
        assert!(cancels.begin(call('a', 0)).is_some(), "the oldest is gone");
        assert!(cancels.begin(call('a', EARLY_MAX)).is_none());
        assert!(cancels.state().running.is_empty());
    }
}
