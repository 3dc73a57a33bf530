//! Calls whose handlers did not finish at once, so that one which comes again is left to its handler.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use lapin::BasicProperties;
use lapin::types::ShortString;

use crate::wire;

/// A call by its caller's address and the id it has there: ids are as good as those who make them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallKey {
    caller: ShortString,
    id: ShortString,
}

impl CallKey {
    /// Of the call itself, or of what its caller says about it.
    pub(super) fn of(properties: &BasicProperties) -> Option<Self> {
        wire::reply_to(properties)?;
        Some(Self {
            caller: properties.reply_to().clone()?,
            id: wire::call_id(properties)?.clone(),
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct InProgress(Mutex<HashSet<CallKey>>);

impl InProgress {
    fn calls(&self) -> MutexGuard<'_, HashSet<CallKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contains(&self, call: &BasicProperties) -> bool {
        CallKey::of(call).is_some_and(|key| self.calls().contains(&key))
    }

    /// Waits for a handler; noted down only if there is something to wait for.
    pub(super) async fn wait<T>(
        &self,
        call: &BasicProperties,
        handler: impl Future<Output = T>,
    ) -> T {
        let mut handler = pin!(handler);
        if let Poll::Ready(ended) = poll_fn(|cx| Poll::Ready(handler.as_mut().poll(cx))).await {
            return ended;
        }
        let noted = CallKey::of(call).map(|key| Noted::new(self, key));
        let ended = handler.await;
        drop(noted);
        ended
    }
}

/// Crosses a call out again, also when its handler is dropped.
struct Noted<'a> {
    calls: &'a InProgress,
    key: CallKey,
}

impl<'a> Noted<'a> {
    fn new(calls: &'a InProgress, key: CallKey) -> Self {
        calls.calls().insert(key.clone());
        Self { calls, key }
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.calls.calls().remove(&self.key);
    }
}
