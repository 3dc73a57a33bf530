//! An answer that cannot travel.

/// Derives nothing.
pub struct Handle(pub u32);

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn load(&self) -> Handle;
}

struct Auth;

impl AuthApi for Auth {
    async fn load(&self) -> Handle {
        Handle(1)
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.load().await;
}

fn main() {}
