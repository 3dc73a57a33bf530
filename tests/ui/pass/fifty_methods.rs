//! The fixture by which the cost of compiling is measured.
#![deny(warnings, missing_docs)]

use serde::{Deserialize, Serialize};

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its number.
    pub id: u64,
}

/// Why nothing is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreError {
    /// It is gone.
    Gone,
}

include!("../../fixtures/fifty_methods.rs");

fn main() {}
