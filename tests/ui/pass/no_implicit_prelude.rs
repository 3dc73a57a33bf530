//! Generated code names nothing that a prelude would have to bring.
#![no_implicit_prelude]
#![deny(warnings, missing_docs)]

/// Who users are.
#[::lightbus::api(name = "auth")]
pub trait AuthApi {
    /// A call.
    #[rpc(timeout = "150ms")]
    async fn check_password(
        &self,
        username: ::std::string::String,
        token: ::std::vec::Vec<u8>,
        attempt: ::std::option::Option<u32>,
    ) -> ::std::result::Result<bool, ::std::string::String>;

    /// A call with a body.
    async fn next(&self, number: u8) -> ::std::option::Option<u8> {
        number.checked_add(1)
    }

    /// An event.
    #[event]
    fn user_registered(#[key] username: ::std::string::String, #[key] age: u8);

    /// An event of nothing but its name.
    #[event]
    fn users_forgotten();
}

struct Auth;

impl AuthApi for Auth {
    async fn check_password(
        &self,
        username: ::std::string::String,
        token: ::std::vec::Vec<u8>,
        attempt: ::std::option::Option<u32>,
    ) -> ::std::result::Result<bool, ::std::string::String> {
        ::std::mem::drop((token, attempt));
        ::std::result::Result::Err(username)
    }
}

/// Uses it all.
pub async fn uses(bus: &::lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
    let auth = AuthApiClient::new(bus);
    let _ = auth
        .check_password("ada", [1], ::std::option::Option::None)
        .await;
    let _ = auth
        .user_registered()
        .only(UserRegistered::username_is("ada"));
    let _ = AuthApiEvents::new(bus)
        .users_forgotten()
        .publish(UsersForgotten {})
        .await;
}

fn main() {}
