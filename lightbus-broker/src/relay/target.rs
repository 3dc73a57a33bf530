//! The broker behind a relay.

use super::error::RelayError;
use amq_protocol::uri::{AMQPScheme, AMQPUri};

/// Where it is, and who the relay itself is there.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) vhost: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, RelayError> {
        let uri: AMQPUri = url.parse().map_err(|why| RelayError::Url { why })?;
        let (authority, vhost) = (uri.authority, uri.vhost);
        if uri.scheme == AMQPScheme::AMQPS {
            return Err(RelayError::Encrypted {
                host: authority.host,
            });
        }
        Ok(Self {
            host: authority.host,
            port: authority.port,
            user: authority.userinfo.username,
            password: authority.userinfo.password,
            vhost,
        })
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Without the password.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.address())
            .field("user", &self.user)
            .field("vhost", &self.vhost)
            .finish_non_exhaustive()
    }
}
