//! A stream that comes in pieces, and is read in pieces.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_io::AsyncRead;

use crate::connection::guard::{Guard, Limits};
use crate::counters::Counters;

/// Gives out bytes in pieces of sizes that go round.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let size = *self.sizes.next().unwrap_or(&1);
        let count = size.max(1).min(buf.len()).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(count);
        buf[..count].copy_from_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(count))
    }
}

/// What comes out of a guard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) bytes: Vec<u8>,
    /// How many messages had to be replaced.
    pub(crate) replaced: u64,
    /// Did it end the connection?
    pub(crate) broken: bool,
}

/// Sends `bytes` through a guard that cuts bodies beyond `body` bytes: they come in pieces of the sizes in `written`, and are read in pieces of those in `read`.
pub(crate) fn pass(body: usize, bytes: &[u8], written: &[usize], read: &[usize]) -> Passed {
    let counters = Arc::<Counters>::default();
    let pieces = Pieces {
        bytes,
        sizes: written.iter().cycle(),
    };
    let limits = Limits {
        body,
        counters: Arc::clone(&counters),
    };
    let mut guard = Guard::new(pieces, limits);
    let mut context = Context::from_waker(Waker::noop());
    let mut passed = Vec::new();
    let mut broken = false;
    let mut room = vec![0; read.iter().copied().max().unwrap_or_default()];
    for size in read.iter().cycle() {
        let buf = &mut room[..*size];
        match Pin::new(&mut guard).poll_read(&mut context, buf) {
            Poll::Ready(Ok(0)) => break,
            Poll::Ready(Ok(count)) => passed.extend_from_slice(&buf[..count]),
            Poll::Ready(Err(_)) => {
                broken = true;
                break;
            }
            Poll::Pending => panic!("these bytes are always there"),
        }
    }
    Passed {
        bytes: passed,
        replaced: counters.read().messages_unreadable,
        broken,
    }
}
