//! Where docs are not asked for, none need be written.
#![deny(warnings)]

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String) -> bool;

    #[event]
    fn user_registered(username: String);
}

fn main() {}
