//! A peer: it calls, it listens, and compiles no dispatcher.

use lightbus::{Bus, CallError, EnqueueError};
use lightbus_contract_api::{AuthApiClient, AuthApiEvent, AuthError, UserRegistered};

/// Calls.
///
/// # Errors
///
/// Whatever the provider says, or the bus.
pub async fn log_in(bus: &Bus) -> Result<bool, CallError<AuthError>> {
    AuthApiClient::new(bus)
        .check_password("ada", "secret")
        .await
}

/// Enqueues.
///
/// # Errors
///
/// Whatever the bus says.
pub async fn resize(bus: &Bus) -> Result<(), EnqueueError> {
    AuthApiClient::new(bus).resize_avatar(7).enqueue().await?;
    Ok(())
}

/// Listens.
pub fn subscribe(bus: &Bus) -> lightbus::Subscription<UserRegistered> {
    AuthApiClient::new(bus)
        .user_registered()
        .only(UserRegistered::username_is("ada"))
}

/// Listens to everything.
pub fn subscribe_to_all(bus: &Bus) -> lightbus::Subscription<AuthApiEvent> {
    AuthApiClient::new(bus).events()
}

/// Built with this, the crate proves that the other half is not there: its names would be ambiguous.
#[cfg(alone)]
mod alone {
    use lightbus_contract_api::*;
    use stand_ins::*;

    mod stand_ins {
        pub struct AuthApiServer;
        pub struct AuthApiEvents;
    }

    const _: (AuthApiServer, AuthApiEvents, Option<AuthError>) =
        (AuthApiServer, AuthApiEvents, None);
}
