//! The core under a clock of the tests' own: frames in, frames out, nothing in between but time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)]

mod bench;
mod confirms;
mod consuming;
mod declaring;
mod details;
mod dying;
mod expiring;
mod malice;
mod quorum;
mod replying;
mod routing;
mod streaming;
mod timing_out;
mod transacting;
