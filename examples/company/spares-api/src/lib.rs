//! What spares offers its peers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Keeps the spare parts.
#[lightbus::api(name = "spares")]
pub trait SparesApi {
    /// How many of this part are on the shelf, and what does one cost?
    #[rpc(timeout = "2s", idempotent)]
    async fn in_stock(&self, part: String) -> Result<Stock, SparesError>;

    /// Takes one part from the shelf, and posts it. To whom is left out of recordings.
    async fn send(
        &self,
        part: String,
        #[lightbus(secret)] customer: String,
    ) -> Result<Posted, SparesError>;

    /// A supplier brings parts.
    async fn deliver(&self, part: String, count: u32) -> Result<Stock, SparesError>;

    /// The last one left the shelf.
    #[event]
    fn part_ran_out(
        /// The part's name.
        part: String,
    );

    /// There are some again.
    #[event]
    fn part_arrived(
        /// The part's name.
        part: String,
        /// How many came.
        count: u32,
    );
}

/// What is on the shelf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// How many.
    pub left: u32,
    /// What one costs, in euros.
    pub euros: u32,
}

impl fmt::Display for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on the shelf, €{} each", self.left, self.euros)
    }
}

/// A part is on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posted {
    /// How many there are still.
    pub left: u32,
}

impl fmt::Display for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left {
            0 => write!(f, "posted; it was the last one"),
            left => write!(f, "posted; {left} left"),
        }
    }
}

/// Why spares cannot help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum SparesError {
    /// There is none left.
    #[error("no {part} left")]
    NoneLeft {
        /// The part's name.
        part: String,
    },
    /// Our machines have no such part.
    #[error("our machines have no {part}")]
    NoSuchPart {
        /// What somebody asked for.
        part: String,
    },
    /// The change of the stock could not be announced.
    #[error("please try again later: {reason}")]
    TryLater {
        /// What happened.
        reason: String,
    },
}
