//! Why a broker does not start.

use std::{io, net::SocketAddr};

/// Why a [`Broker`](crate::Broker) does not start.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lightbus_broker::{Broker, StartError};
///
/// let first = Broker::start().await?;
/// let second = Broker::builder().listen(first.addr()).start().await;
/// assert!(matches!(second, Err(StartError::Bind { .. })));
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot listen on its address.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The address can be reached from other machines, and everybody knows the default credentials.
    #[error("{0} can be reached from other machines: name a user first")]
    Open(SocketAddr),
    /// A permission is no regular expression that it knows.
    #[error("'{pattern}' is no pattern for names: {why}")]
    Pattern {
        /// The permission.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}
