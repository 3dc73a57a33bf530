//! What sales offers its peers. This crate is the whole contract: sales implements the trait, everybody else imports it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Sells coffee machines.
#[lightbus::api(name = "sales")]
pub trait SalesApi {
    /// Sells one machine of this model to this customer.
    async fn order(
        &self,
        customer: String,
        model: String,
        refurbished: bool,
    ) -> Result<Receipt, OrderError>;

    /// Adds up what was sold, and begins anew. Sales itself does so every night.
    #[task]
    async fn close_the_till(&self) -> Result<(), String>;

    /// A machine has a new owner.
    #[event]
    fn machine_sold(
        /// Listeners may ask for new machines only, or for refurbished ones only: the broker sorts them out.
        #[key]
        refurbished: bool,
        /// The number on the machine's back.
        serial: String,
        /// The model's name.
        model: String,
        /// Who bought it.
        customer: String,
    );

    /// A day is over.
    #[event]
    fn day_closed(
        /// How many machines were sold.
        machines: u32,
        /// For how much in all, in euros.
        euros: u32,
    );
}

/// What a customer takes home besides the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The number on the machine's back.
    pub serial: String,
    /// What it cost, in euros.
    pub euros: u32,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, €{}", self.serial, self.euros)
    }
}

/// Why sales sells nothing today. Customers receive exactly this type, over the bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum OrderError {
    /// The maker has called the model back.
    #[error("the {model} is recalled")]
    Recalled {
        /// The model's name.
        model: String,
    },
    /// Nobody here has ever heard of this model.
    #[error("we have no {model}")]
    NoSuchModel {
        /// What the customer asked for.
        model: String,
    },
    /// The sale could not be announced, so it did not take place.
    #[error("please try again later: {reason}")]
    TryLater {
        /// What happened.
        reason: String,
    },
}
