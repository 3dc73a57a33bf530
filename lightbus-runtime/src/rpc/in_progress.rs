//! Calls whose handlers did not finish at once, so that one which comes again is left to its handler.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use lapin::BasicProperties;
use lapin::types::ShortString;
use tokio::sync::oneshot;

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
pub(super) struct InProgress(Mutex<HashMap<CallKey, Awaited>>);

/// Deliveries of a call that came again, and wait for its handler.
type Awaited = Vec<oneshot::Sender<()>>;

impl InProgress {
    fn calls(&self) -> MutexGuard<'_, HashMap<CallKey, Awaited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contains(&self, call: &BasicProperties) -> bool {
        CallKey::of(call).is_some_and(|key| self.calls().contains_key(&key))
    }

    /// The end of a call's handler; an error if the handler is dropped first. `None` when it does not run.
    pub(super) fn end_of(&self, call: &BasicProperties) -> Option<oneshot::Receiver<()>> {
        let key = CallKey::of(call)?;
        let mut calls = self.calls();
        let (sender, end) = oneshot::channel();
        calls.get_mut(&key)?.push(sender);
        Some(end)
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
        if let Some(noted) = noted {
            noted.ended();
        }
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
        calls.calls().entry(key.clone()).or_default();
        Self { calls, key }
    }

    fn ended(self) {
        let awaited = self.calls.calls().remove(&self.key);
        for delivery in awaited.unwrap_or_default() {
            // Its consumer may be lost in its turn.
            let _ = delivery.send(());
        }
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.calls.calls().remove(&self.key);
    }
}
