//! Frames in what passes in one direction, however it is cut into reads.

use crate::frames::{self, BadFrame, Frame, PROTOCOL};

/// The largest payload that is looked at; brokers allow far less.
const FRAME_MAX: usize = 16 << 20;

/// What was read of one direction and is no whole frame yet.
#[derive(Debug)]
pub(super) struct Scanner {
    rest: Vec<u8>,
    /// So many bytes are no frames: a client's first ones.
    greeting: usize,
}

impl Scanner {
    /// From a client, which begins with the protocol's header.
    pub(super) fn of_client() -> Self {
        Self {
            rest: Vec::new(),
            greeting: PROTOCOL.len(),
        }
    }

    pub(super) fn of_broker() -> Self {
        Self {
            rest: Vec::new(),
            greeting: 0,
        }
    }

    /// Hands on the frames that are whole with what was read now.
    pub(super) fn scan(
        &mut self,
        mut read: &[u8],
        mut found: impl FnMut(&Frame<'_>),
    ) -> Result<(), BadFrame> {
        let skipped = self.greeting.min(read.len());
        self.greeting -= skipped;
        read = read.get(skipped..).unwrap_or_default();
        if self.rest.is_empty() {
            let used = cut(read, &mut found)?;
            self.rest
                .extend_from_slice(read.get(used..).unwrap_or_default());
        } else {
            self.rest.extend_from_slice(read);
            let used = cut(&self.rest, &mut found)?;
            self.rest.drain(..used);
        }
        Ok(())
    }
}

/// Hands on whole frames, and says how many bytes they were.
fn cut(bytes: &[u8], found: &mut impl FnMut(&Frame<'_>)) -> Result<usize, BadFrame> {
    let mut used = 0;
    while let Some((frame, length)) =
        frames::next(bytes.get(used..).unwrap_or_default(), FRAME_MAX)?
    {
        found(&frame);
        used += length;
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{HEARTBEAT_FRAME, METHOD, content, deliver};

    fn conversation() -> Vec<u8> {
        let mut bytes = PROTOCOL.to_vec();
        deliver(&mut bytes, 1, "tag", 5, true, "x", "k");
        bytes.extend_from_slice(&HEARTBEAT_FRAME);
        content(&mut bytes, 1, &[0, 0], &[7; 100], 48);
        bytes
    }

    fn scanned(bytes: &[u8], step: usize) -> Vec<(u8, usize)> {
        let (mut scanner, mut seen) = (Scanner::of_client(), Vec::new());
        for read in bytes.chunks(step) {
            let found = scanner.scan(read, |frame| seen.push((frame.kind, frame.payload.len())));
            assert_eq!(found, Ok(()));
        }
        assert!(scanner.rest.is_empty());
        seen
    }

    #[test]
    fn reads_of_any_size_hold_the_same_frames() {
        let bytes = conversation();
        let whole = scanned(&bytes, bytes.len());
        assert_eq!(whole.len(), 6);
        for step in 1..60 {
            assert_eq!(scanned(&bytes, step), whole, "reads of {step} bytes");
        }
    }

    #[test]
    fn what_is_no_frame_is_said() {
        let mut scanner = Scanner::of_broker();
        let seen = scanner.scan(b"HTTP/1.1 400 Bad Request", |_| ());
        assert_eq!(seen, Err(BadFrame::Kind(b'H')));
        let mut scanner = Scanner::of_broker();
        let huge = [METHOD, 0, 1, 0xFF, 0, 0, 0];
        assert!(matches!(
            scanner.scan(&huge, |_| ()),
            Err(BadFrame::TooLarge { .. })
        ));
    }
}
