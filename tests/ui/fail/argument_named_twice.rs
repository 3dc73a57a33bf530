//! Two arguments of one name.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, value: u8, value: u16) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, a: u8, b: u16) -> bool {
        u16::from(a) == b
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store(1, 2).await;
}

fn main() {}
