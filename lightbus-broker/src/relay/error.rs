//! Why a relay does not start.

use std::{io, net::SocketAddr};

/// Why a [`Relay`](crate::Relay) does not start.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use lightbus_broker::{Relay, RelayError};
///
/// let error = Relay::start("amqps://guest:guest@localhost").await.unwrap_err();
/// assert!(matches!(error, RelayError::Encrypted { .. }));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The URL is none.
    #[error(
        "the broker's URL cannot be read: {why}; it looks like amqp://user:password@host:5672/vhost"
    )]
    Url {
        /// What is wrong with it.
        why: String,
    },
    /// The URL asks for TLS.
    #[error(
        "the relay reads what passes through it, so the connection to {host} cannot be encrypted: give it an amqp:// URL, of a port without TLS"
    )]
    Encrypted {
        /// The broker's host.
        host: String,
    },
    /// It cannot listen on the loopback interface.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The broker does not answer.
    #[error("no broker answers on {address}: {source}; is it running, and is that its AMQP port?")]
    Unreachable {
        /// Host and port of the broker.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The broker does not let the relay in.
    #[error(
        "the broker on {address} refuses {user} in the virtual host {vhost}: {why}; are the user's name, password and permissions right?"
    )]
    Refused {
        /// Host and port of the broker.
        address: String,
        /// Who wanted in.
        user: String,
        /// Where.
        vhost: String,
        /// The broker's words.
        why: String,
    },
}
