//! An argument that cannot travel.

/// Derives nothing.
pub struct Handle(u32);

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, value: Handle) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, value: Handle) -> bool {
        value.0 == 0
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store(Handle(1)).await;
}

fn main() {}
