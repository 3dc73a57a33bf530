//! A provider: it serves, it publishes, and compiles no client.

use lightbus::{Bus, Error, PublishError, Serving};
use lightbus_contract_api::{AuthApi, AuthApiEvents, AuthApiServer, AuthError, UserRegistered};

struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> Result<bool, AuthError> {
        if username == password {
            Err(AuthError::Locked)
        } else {
            Ok(password == "secret")
        }
    }

    async fn resize_avatar(&self, user_id: u64) -> Result<(), AuthError> {
        if user_id == 0 {
            Err(AuthError::Locked)
        } else {
            Ok(())
        }
    }
}

/// Serves.
///
/// # Errors
///
/// Whatever the bus says.
pub async fn serve(bus: &Bus) -> Result<Serving, Error> {
    bus.serve(AuthApiServer::new(Auth)).await
}

/// Publishes.
///
/// # Errors
///
/// Whatever the bus says.
pub async fn publish(bus: &Bus) -> Result<(), PublishError> {
    let event = UserRegistered {
        username: "ada".to_owned(),
        email: "ada@example.org".to_owned(),
    };
    AuthApiEvents::new(bus)
        .user_registered()
        .publish(event)
        .await
}

/// Built with this, the crate proves that the other half is not there: its names would be ambiguous.
#[cfg(alone)]
mod alone {
    use lightbus_contract_api::*;
    use stand_ins::*;

    mod stand_ins {
        pub struct AuthApiClient;
        pub struct AuthApiEvent;
    }

    const _: (AuthApiClient, AuthApiEvent, Option<AuthError>) = (AuthApiClient, AuthApiEvent, None);
}
