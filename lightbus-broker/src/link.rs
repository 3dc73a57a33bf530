//! Between the core and the socket of one connection: the bytes to send, and the signals to its reader and writer.

use crate::{core::Meter, gate::Gate};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Buffers larger than this are not kept for reuse.
const KEEP: usize = 1 << 20;
/// A client that asks without reading the answers is not read any further with this much unsent.
pub(crate) const ENOUGH: usize = 16 << 20;

/// One connection's out-buffer and signals.
#[derive(Debug, Default)]
pub(crate) struct Link {
    outbox: Mutex<Outbox>,
    pub(crate) meter: Arc<Meter>,
    heartbeat: AtomicU16,
    /// To the writer: there is something to do.
    work: Notify,
    /// To the reader: there is room for answers again.
    pub(crate) room: Notify,
    /// To the reader: go on.
    pub(crate) resume: Notify,
    /// To the session: cut the connection.
    pub(crate) cut: Notify,
    /// To the session: the broker closed the connection by itself; the client has only so long to confirm that.
    pub(crate) overdue: Notify,
    /// Shut by a test, nothing is read or written.
    pub(crate) gate: Gate,
    /// It was let in only to find silence.
    pub(crate) silent: AtomicBool,
}

#[derive(Debug, Default)]
struct Outbox {
    bytes: Vec<u8>,
    closed: bool,
    /// The writer has not come back for more yet, if it ever will.
    busy: bool,
}

/// What the writer does next.
#[derive(Debug)]
pub(crate) enum Work {
    Send(Vec<u8>),
    /// Everything was sent, and there will be no more.
    End,
    /// Nothing came for so long that a heartbeat is due.
    Heartbeat,
}

impl Link {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes to send; leaves the buffer empty.
    pub(crate) fn hand_over(&self, bytes: &mut Vec<u8>) {
        self.meter.add(bytes.len());
        let mut outbox = self.outbox();
        if outbox.bytes.is_empty() {
            std::mem::swap(&mut outbox.bytes, bytes);
        } else {
            outbox.bytes.append(bytes);
        }
        drop(outbox);
        if bytes.capacity() > KEEP {
            *bytes = Vec::new();
        }
        self.work.notify_one();
    }

    /// Whether the writer has taken what there is, or is held up: by a client that does not read, or on purpose.
    pub(crate) fn is_flushed(&self) -> bool {
        let outbox = self.outbox();
        outbox.bytes.is_empty() || outbox.busy || self.gate.is_shut()
    }

    /// The writer ends when it has sent what there is.
    pub(crate) fn close(&self) {
        self.outbox().closed = true;
        self.work.notify_one();
    }

    pub(crate) fn set_heartbeat(&self, seconds: u16) {
        if self.heartbeat.swap(seconds, Ordering::Relaxed) != seconds {
            self.work.notify_one();
        }
    }

    /// Waits for something to send. `sent` is the buffer sent last, empty, to be filled again.
    pub(crate) async fn work(&self, sent: Vec<u8>) -> Work {
        let mut spare = Some(sent)
            .filter(|sent| sent.capacity() <= KEEP)
            .unwrap_or_default();
        loop {
            {
                let mut outbox = self.outbox();
                outbox.busy = !outbox.bytes.is_empty();
                if outbox.busy {
                    std::mem::swap(&mut outbox.bytes, &mut spare);
                    return Work::Send(spare);
                }
                if outbox.closed {
                    outbox.busy = true;
                    return Work::End;
                }
            }
            let seconds = self.heartbeat.load(Ordering::Relaxed);
            if seconds == 0 {
                self.work.notified().await;
            } else {
                let interval = Duration::from_millis(u64::from(seconds) * 500);
                if tokio::time::timeout(interval, self.work.notified())
                    .await
                    .is_err()
                {
                    self.outbox().busy = true;
                    return Work::Heartbeat;
                }
            }
        }
    }

    /// Books what was sent.
    pub(crate) fn sent(&self, bytes: usize) {
        self.meter.sub(bytes);
        self.room.notify_one();
    }

    /// Waits until the client has read enough of what it asked for.
    pub(crate) async fn room(&self) {
        while self.meter.unsent() > ENOUGH {
            self.room.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_writer_that_is_held_up_has_nothing_to_flush() {
        let link = Link::default();
        link.set_heartbeat(1);
        assert!(matches!(link.work(Vec::new()).await, Work::Heartbeat));
        link.hand_over(&mut vec![1]);
        assert!(link.is_flushed(), "it is still at the heartbeat");
        assert!(matches!(link.work(Vec::new()).await, Work::Send(_)));
        link.hand_over(&mut vec![2]);
        assert!(link.is_flushed(), "it is still at the first byte");
        link.close();
        assert!(matches!(link.work(Vec::new()).await, Work::Send(_)));
        assert!(matches!(link.work(Vec::new()).await, Work::End));
        link.hand_over(&mut vec![3]);
        assert!(link.is_flushed(), "it is gone");
    }

    #[test]
    fn a_writer_that_is_stalled_has_nothing_to_flush() {
        let link = Link::default();
        link.hand_over(&mut vec![1]);
        assert!(!link.is_flushed());
        link.gate.shut();
        assert!(link.is_flushed());
    }
}
