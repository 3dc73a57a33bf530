//! A contract crate, as small as they get. Which halves of it exist is up to whoever builds it.

use serde::{Deserialize, Serialize};

/// Why a password could not be checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthError {
    /// Too many attempts.
    Locked,
}

/// Who users are.
#[lightbus::api(name = "auth")]
pub trait AuthApi {
    /// Does `password` belong to `username`?
    async fn check_password(&self, username: String, password: String) -> Result<bool, AuthError>;

    /// Rebuilds the avatar's thumbnails in the background.
    #[task(retries = 5, unique)]
    async fn resize_avatar(&self, user_id: u64) -> Result<(), AuthError>;

    /// A user finished signing up.
    #[event]
    fn user_registered(#[key] username: String, email: String);
}
