//! The AMQP side: two supervised connections, the declaring of topology, and the channels that publish and consume.
//!
//! `connector` opens one connection under a deadline, and `guard` looks at what arrives on it; `link` keeps one open for as long as the bus lives; everything else
//! (`publisher`, `consumer`, `declare`) works on the session that a link holds at the moment, and starts again on the next one.

pub(crate) mod alone;
mod caution;
mod connector;
pub(crate) mod consumer;
pub(crate) mod declare;
pub(crate) mod guard;
mod link;
pub(crate) mod publisher;
mod session;
mod thread;

pub(crate) use link::{Link, LinkClosed};
pub(crate) use session::Session;
pub(crate) use thread::{IoThread, Life};

use std::time::Duration;

/// No step on a connection (opening a channel, declaring, consuming) takes longer on a healthy one.
pub(crate) const STEP: Duration = Duration::from_secs(5);

/// Between two attempts on a connection whose loss its link has not noticed yet.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
