//! Calls that wait for their reply, by id.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lapin::BasicProperties;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::failure::Failure;
use super::replies::Reply;
use crate::wire;

pub(crate) type Answer = Result<Reply, Failure>;

#[derive(Debug, Default)]
pub(crate) struct Pending {
    calls: Mutex<HashMap<Uuid, oneshot::Sender<Answer>>>,
}

/// A waiting call. Dropped, it is forgotten, and a late reply is ignored.
pub(crate) struct Waiting<'a> {
    pending: &'a Pending,
    pub(crate) id: Uuid,
    pub(crate) answer: oneshot::Receiver<Answer>,
}

impl Pending {
    fn calls(&self) -> MutexGuard<'_, HashMap<Uuid, oneshot::Sender<Answer>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn register(&self) -> Waiting<'_> {
        let (sender, answer) = oneshot::channel();
        let id = wire::new_id();
        self.calls().insert(id, sender);
        Waiting {
            pending: self,
            id,
            answer,
        }
    }

    /// The call that a message answers, unless it has given up, or never was.
    pub(crate) fn take(&self, properties: &BasicProperties) -> Option<oneshot::Sender<Answer>> {
        let id = Uuid::try_parse(wire::call_id(properties)?.as_str()).ok()?;
        self.calls().remove(&id)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.calls().len()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pending.calls().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::short;

    fn reply_to(id: &str) -> BasicProperties {
        BasicProperties::default().with_correlation_id(short(id))
    }

    #[test]
    fn a_dropped_call_leaves_nothing_behind() {
        let pending = Pending::default();
        let (one, two) = (pending.register(), pending.register());
        assert_eq!(pending.len(), 2);
        drop(one);
        assert_eq!(pending.len(), 1);
        assert!(pending.take(&reply_to(&two.id.to_string())).is_some());
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn an_answer_to_nobody_is_nobodys() {
        let pending = Pending::default();
        let waiting = pending.register();
        for id in ["", "x", "01a1fd88-d5d9-749a-96dd-18d6e3aec036"] {
            assert!(pending.take(&reply_to(id)).is_none());
        }
        assert!(pending.take(&BasicProperties::default()).is_none());
        drop(waiting);
    }
}
