//! A name outside of the grammar.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, _value: u8) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, value: u8) -> bool {
        value == 0
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store(1).await;
}

fn main() {}
