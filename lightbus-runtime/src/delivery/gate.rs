//! What a delivery waits for besides a slot: its queue's turn, or its time.

use lapin::message::Delivery;

use super::pace::Pace;
use super::turns::{Share, Waiting};

#[derive(Clone, Debug)]
pub(crate) enum Gate {
    /// Nothing.
    Open,
    /// Its queue's turn, among those that share the slots.
    Shared(Share),
    /// Its time.
    Paced(Pace),
}

/// A delivery before the gate.
pub(super) struct Held {
    pub(super) delivery: Delivery,
    _waiting: Option<Waiting>,
}

impl Gate {
    /// May there be something to wait for?
    pub(super) fn is_there(&self) -> bool {
        !matches!(self, Self::Open)
    }

    /// May what has arrived begin at once, given a slot?
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Open => true,
            Self::Shared(share) => share.is_alone(),
            Self::Paced(_) => false,
        }
    }

    pub(super) fn hold(&self, delivery: Delivery) -> Held {
        let waiting = match self {
            Self::Shared(share) => Some(share.wait()),
            Self::Open | Self::Paced(_) => None,
        };
        Held {
            delivery,
            _waiting: waiting,
        }
    }

    /// Waits until the held delivery may begin.
    pub(super) async fn opens(&self) {
        match self {
            Self::Open => {}
            Self::Shared(share) => share.turn().await,
            Self::Paced(pace) => pace.wait().await,
        }
    }

    /// It has begun.
    pub(super) fn begun(&self) {
        match self {
            Self::Open => {}
            Self::Shared(share) => share.begun(),
            Self::Paced(pace) => pace.begun(),
        }
    }
}
