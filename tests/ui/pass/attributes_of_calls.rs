//! Attributes of a call go where they mean something; what the trait allows, it allows everywhere.
#![deny(warnings, clippy::too_many_arguments, missing_docs)]

/// Deprecated.
#[deprecated]
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Old;

/// An API.
#[lightbus::api(name = "auth")]
#[allow(deprecated)]
pub trait AuthApi {
    /// A call.
    #[must_use]
    async fn count(&self, old: Old) -> u32;

    /// A call.
    #[must_use = "or why count?"]
    async fn count_again(&self) -> Old;

    /// A call.
    #[allow(clippy::too_many_arguments, reason = "history")]
    async fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8;

    /// A call.
    #[allow(non_snake_case)]
    #[rpc(name = "old_name")]
    async fn OldName(&self) -> u8;

    /// A call.
    #[rpc(cancel, idempotent, timeout = "2s")]
    async fn report(&self) -> u8;

    #[rpc(cancel)]
    #[doc(hidden)]
    async fn hidden(&self) -> u8;

    #[doc(alias = "cloaked")]
    #[event]
    fn covered(old: Old);
}

fn main() {}
