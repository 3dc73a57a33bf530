//! Calls that wait for their reply, by id.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lapin::BasicProperties;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::cancel::Canceller;
use super::failure::Failure;
use super::replies::Reply;
use crate::wire;

pub(crate) type Answer = Result<Reply, Failure>;

#[derive(Debug, Default)]
pub(crate) struct Pending {
    calls: Mutex<HashMap<Uuid, Call>>,
}

#[derive(Debug)]
struct Call {
    answer: oneshot::Sender<Answer>,
    /// The API whose providers are told when the call is given up.
    cancels: Option<&'static str>,
}

/// A waiting call. Dropped, it is given up: forgotten, and a late reply is ignored.
pub(crate) struct Waiting<'a> {
    pending: &'a Pending,
    canceller: Option<Canceller<'a>>,
    pub(crate) id: Uuid,
    pub(crate) answer: oneshot::Receiver<Answer>,
}

impl Pending {
    fn calls(&self) -> MutexGuard<'_, HashMap<Uuid, Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id tells the time: to be made when the call leaves.
    pub(crate) fn register<'a>(
        &'a self,
        id: Uuid,
        canceller: Option<Canceller<'a>>,
    ) -> Waiting<'a> {
        let (sender, answer) = oneshot::channel();
        let call = Call {
            answer: sender,
            cancels: canceller.as_ref().map(|canceller| canceller.api),
        };
        self.calls().insert(id, call);
        Waiting {
            pending: self,
            canceller,
            id,
            answer,
        }
    }

    /// The call that a message answers, unless it has given up, or never was.
    pub(crate) fn take(&self, properties: &BasicProperties) -> Option<oneshot::Sender<Answer>> {
        let id = Uuid::try_parse(wire::call_id(properties)?.as_str()).ok()?;
        self.calls().remove(&id).map(|call| call.answer)
    }

    /// Does anybody wait for the answer to this call?
    pub(crate) fn has(&self, id: &str) -> bool {
        Uuid::try_parse(id).is_ok_and(|id| self.calls().contains_key(&id))
    }

    /// Tells all that wait that no answer will come any more. Returns the calls whose providers want to know, with their APIs.
    pub(crate) fn abandon(&self) -> Vec<(Uuid, &'static str)> {
        let calls = std::mem::take(&mut *self.calls());
        let tell = |(id, call): (Uuid, Call)| {
            // One that gives up at this moment is not interested.
            drop(call.answer.send(Err(Failure::abandoned())));
            call.cancels.map(|api| (id, api))
        };
        calls.into_iter().filter_map(tell).collect()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.calls().len()
    }
}

impl Waiting<'_> {
    /// Then nobody needs to be told that it is given up.
    pub(crate) fn was_not_sent(mut self) {
        self.canceller = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let unanswered = self.pending.calls().remove(&self.id).is_some();
        if let Some(canceller) = self.canceller.as_ref().filter(|_| unanswered) {
            canceller.cancel(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system;
    use crate::wire::short;

    fn reply_to(id: &str) -> BasicProperties {
        BasicProperties::default().with_correlation_id(short(id))
    }

    fn register(pending: &Pending) -> Waiting<'_> {
        pending.register(system::new_id(), None)
    }

    #[test]
    fn a_dropped_call_leaves_nothing_behind() {
        let pending = Pending::default();
        let (one, two) = (register(&pending), register(&pending));
        assert_eq!(pending.len(), 2);
        drop(one);
        assert_eq!(pending.len(), 1);
        assert!(pending.take(&reply_to(&two.id.to_string())).is_some());
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn an_answer_to_nobody_is_nobodys() {
        let pending = Pending::default();
        let waiting = register(&pending);
        for id in ["", "x", "01a1fd88-d5d9-749a-96dd-18d6e3aec036"] {
            assert!(pending.take(&reply_to(id)).is_none());
        }
        assert!(pending.take(&BasicProperties::default()).is_none());
        drop(waiting);
    }
}
