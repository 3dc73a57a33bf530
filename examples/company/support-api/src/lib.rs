//! What support offers: to customers a call, to its peers an event.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Helps when a machine is broken.
#[lightbus::api(name = "support")]
pub trait SupportApi {
    /// This part of the customer's machine is broken: what now?
    async fn help(
        &self,
        customer: String,
        serial: String,
        part: String,
    ) -> Result<Help, SupportError>;

    /// Writes to a customer that it is time to descale the machine, if that is covered still.
    #[task(retries = 3, backoff = "1h fixed")]
    async fn remind(&self, customer: String, serial: String) -> Result<(), SupportError>;

    /// A customer has been promised a part.
    #[event]
    fn repair_promised(
        /// Listeners may ask for the free repairs only, or for the paid ones only.
        #[key]
        free: bool,
        /// The machine's number.
        serial: String,
        /// The broken part.
        part: String,
    );

    /// A customer was written to.
    #[event]
    fn customer_reminded(
        /// Who.
        customer: String,
        /// The machine's number.
        serial: String,
    );
}

/// What support does about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Help {
    /// The part is in the post, under warranty.
    Free {
        /// The part's name.
        part: String,
    },
    /// The part is in the post, with a bill.
    Paid {
        /// The part's name.
        part: String,
        /// The bill, in euros.
        euros: u32,
    },
    /// The part is sold out. The customer is on the list and need not ask again.
    Waiting {
        /// The part's name.
        part: String,
    },
}

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free { part } => write!(f, "a new {part} is in the post, for free"),
            Self::Paid { part, euros } => {
                write!(f, "a new {part} is in the post, and a bill of €{euros}")
            }
            Self::Waiting { part } => write!(f, "no {part} today; you are first on the list"),
        }
    }
}

/// Why support is at a loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum SupportError {
    /// Our machines have no such part.
    #[error("our machines have no {part}")]
    NoSuchPart {
        /// What the customer named.
        part: String,
    },
    /// A colleague on whom the answer depends cannot be reached.
    #[error("please call again later: {reason}")]
    CallAgain {
        /// What happened.
        reason: String,
    },
}
