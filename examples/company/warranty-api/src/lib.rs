//! What warranty offers its peers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Knows which machines are repaired for nothing.
#[lightbus::api(name = "warranty")]
pub trait WarrantyApi {
    /// Is the machine with this serial number covered?
    #[rpc(timeout = "2s", idempotent)]
    async fn coverage(&self, serial: String) -> Result<Coverage, WarrantyError>;

    /// A model breaks too often: nobody may sell it any more.
    #[event]
    fn model_recalled(
        /// The model's name.
        #[key]
        model: String,
        /// What breaks.
        part: String,
    );
}

/// A machine's warranty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Who bought the machine.
    pub owner: String,
    /// For how long, from the day it was bought.
    pub years: u8,
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "yes, for {} years", self.years)
    }
}

/// Why a repair is not free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum WarrantyError {
    /// The machine was not sold as new by this company.
    #[error("{serial} is not covered")]
    NotCovered {
        /// The number on the machine's back.
        serial: String,
    },
}
