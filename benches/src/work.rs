//! The work itself, the same for all: what travels, and how it is encoded.

use anyhow::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The arguments of a call: what `BenchApi::echo` takes, as a struct.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    #[allow(dead_code, reason = "decoded, as a server would")]
    pub(crate) id: u64,
    pub(crate) body: String,
}

/// [`Request`], borrowing its text.
#[derive(Debug, Serialize)]
pub(crate) struct RequestRef<'a> {
    pub(crate) id: u64,
    pub(crate) body: &'a str,
}

/// The event, as a struct; lightbus makes its own from the trait.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Happening {
    pub(crate) id: u64,
    pub(crate) body: String,
}

/// Msgpack with named fields, as lightbus sends.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    Ok(rmp_serde::to_vec_named(value)?)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    Ok(rmp_serde::from_slice(bytes)?)
}

/// A text of so many bytes.
pub(crate) fn body(size: usize) -> String {
    "lightbus, ".chars().cycle().take(size).collect()
}
