//! A call with a constant parameter.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store<const N: usize>(&self, value: [u8; N]) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store<const N: usize>(&self, value: [u8; N]) -> bool {
        value.is_empty()
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store([1]).await;
}

fn main() {}
