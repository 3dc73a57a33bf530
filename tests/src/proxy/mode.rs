//! What a proxy does to the bytes that come through it.

use std::time::Duration;

/// What a [`Proxy`](super::Proxy) does to its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Hands everything on.
    Pass,
    /// Reads nothing and hands nothing on, both ways, as behind a pulled cable. What was sent comes late, not never.
    Stall,
    /// The same for what clients send; what the broker sends gets through.
    StallToBroker,
    /// The same for what the broker sends; what clients send gets through.
    StallToClient,
    /// Takes everything and hands nothing on, both ways, as a router does that forgot the connection: no sender notices.
    /// What was taken is gone, so cut before passing again.
    Blackhole,
    /// The same for what clients send; what the broker sends gets through.
    BlackholeToBroker,
    /// Resets connections that come, at once. Those that are there pass.
    Refuse,
    /// Accepts connections that come, and never answers on them. Those that are there pass.
    Silence,
    /// A slow link, each way.
    Slow {
        /// How long each byte is under way.
        latency: Duration,
        /// How many of them get through in a second; at least 1.
        bytes_per_second: u32,
    },
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToBroker,
    ToClient,
}

/// What happens to the bytes that go one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Pass,
    Stall,
    Discard,
}

impl Mode {
    pub(super) fn flow(self, direction: Direction) -> Flow {
        match (self, direction) {
            (Self::Stall, _)
            | (Self::StallToBroker, Direction::ToBroker)
            | (Self::StallToClient, Direction::ToClient) => Flow::Stall,
            (Self::Blackhole, _) | (Self::BlackholeToBroker, Direction::ToBroker) => Flow::Discard,
            _ => Flow::Pass,
        }
    }

    pub(super) fn latency(self) -> Duration {
        match self {
            Self::Slow { latency, .. } => latency,
            _ => Duration::ZERO,
        }
    }

    /// How long so many bytes take on the wire.
    pub(super) fn duration_of(self, bytes: usize) -> Duration {
        match self {
            Self::Slow {
                bytes_per_second, ..
            } => Duration::from_secs_f64(bytes as f64 / f64::from(bytes_per_second.max(1))),
            _ => Duration::ZERO,
        }
    }
}
