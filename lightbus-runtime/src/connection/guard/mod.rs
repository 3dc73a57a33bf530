//! A stream that lets nothing through which would break who reads it.
//!
//! lapin decodes headers by recursion, on a thread whose stack any publisher could overflow: that ends the process. And text in a message
//! that is not UTF-8 ends the connection, again with each delivery of that message. So frames are looked at before lapin sees them. A message
//! that cannot be read becomes one that can, and says so: the runtime refuses it as it refuses any other. And a body that is longer than
//! anybody accepts is cut, before as many of them as there is room for in a prefetch take all memory.
//!
//! What is in order passes as it was read, where it was read: nothing is copied.

mod content;
mod reactor;
mod screen;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use tracing::warn;

pub(crate) use reactor::GuardedReactor;
use screen::{Replacement, Screen, Step};
#[cfg(any(test, fuzzing))]
pub(crate) use table::DEEPEST;

use crate::counters::Counters;

/// What is read at once when the reader's own buffer has no room.
const CHUNK: usize = 8 * 1024;

/// A stream of frames from a broker, and of ours to it.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    stream: S,
    screen: Screen,
    /// Read, and not looked at: between two reads, the beginning of a frame.
    raw: Vec<u8>,
    /// Looked at, and not handed out. Empty but for after a message that could not be read, or when the reader takes little at once.
    passed: Vec<u8>,
    taken: usize,
    limits: Limits,
}

/// What is let through, and where the rest is counted.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The longest body that anybody accepts, in bytes.
    pub(crate) body: usize,
    pub(crate) counters: Arc<Counters>,
}

impl<S> Guard<S> {
    pub(crate) fn new(stream: S, limits: Limits) -> Self {
        Self {
            stream,
            screen: Screen::new(limits.body),
            raw: Vec::new(),
            passed: Vec::new(),
            taken: 0,
            limits,
        }
    }

    /// Hands out of what has passed. `None` when there is none.
    fn take(&mut self, buf: &mut [u8]) -> Option<usize> {
        let rest = &self.passed[self.taken..];
        if rest.is_empty() {
            return None;
        }
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        if self.taken == self.passed.len() {
            self.passed = Vec::new();
            self.taken = 0;
        }
        Some(count)
    }

    /// Looks at what was read into `buf`, and tells how much of it passes. What comes after that is kept.
    fn look(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.screen.look(buf)? {
            Step::Pass(clean) => {
                self.raw.extend_from_slice(&buf[clean..]);
                Ok(clean)
            }
            Step::Replace(replacement) => {
                self.replace(&replacement);
                self.raw.extend_from_slice(&buf[replacement.end..]);
                self.look_at_raw()?;
                Ok(replacement.start)
            }
        }
    }

    /// Moves what may pass of `raw` to `passed`.
    fn look_at_raw(&mut self) -> io::Result<()> {
        let mut raw = std::mem::take(&mut self.raw);
        let mut at = 0;
        loop {
            match self.screen.look(&mut raw[at..])? {
                Step::Pass(clean) => {
                    self.passed.extend_from_slice(&raw[at..at + clean]);
                    raw.drain(..at + clean);
                    self.raw = raw;
                    return Ok(());
                }
                Step::Replace(replacement) => {
                    self.passed
                        .extend_from_slice(&raw[at..at + replacement.start]);
                    self.replace(&replacement);
                    at += replacement.end;
                }
            }
        }
    }

    fn replace(&mut self, replacement: &Replacement) {
        self.passed.extend_from_slice(&replacement.by);
        let Some(fault) = replacement.fault else {
            return;
        };
        self.limits.counters.messages_unreadable.add();
        warn!(%fault, "a message cannot be read; an event goes to the dead letters, a call is refused, a reply fails its call");
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            if let Some(count) = guard.take(buf) {
                return Poll::Ready(Ok(count));
            }
            let kept = guard.raw.len();
            if kept < buf.len() {
                let read = ready!(Pin::new(&mut guard.stream).poll_read(cx, &mut buf[kept..]))?;
                if read == 0 {
                    return Poll::Ready(Ok(0));
                }
                buf[..kept].copy_from_slice(&guard.raw);
                guard.raw.clear();
                let clean = guard.look(&mut buf[..kept + read])?;
                if clean > 0 {
                    return Poll::Ready(Ok(clean));
                }
            } else {
                let mut more = [0; CHUNK];
                let read = ready!(Pin::new(&mut guard.stream).poll_read(cx, &mut more))?;
                if read == 0 {
                    return Poll::Ready(Ok(0));
                }
                guard.raw.extend_from_slice(&more[..read]);
                guard.look_at_raw()?;
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}
