//! A pattern again, in a call with a body.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn next(&self, mut number: u8) -> u8 {
        number += 1;
        number
    }
}

struct Auth;

impl AuthApi for Auth {}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.next(1).await;
}

fn main() {}
