//! An API of calls alone has no events, so no enum of them either.
#![deny(warnings)]

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn ping(&self);
}

#[derive(Clone, Copy)]
pub struct AuthApiEvents;
#[derive(Clone, Copy)]
pub enum AuthApiEvent {}

struct Auth;

impl AuthApi for Auth {
    async fn ping(&self) {}
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
    let _: Result<(), lightbus::CallError<std::convert::Infallible>> =
        AuthApiClient::new(bus).ping().await;
}

fn main() {}
