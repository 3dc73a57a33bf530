//! An error that cannot travel.

/// Derives nothing.
pub struct LoadError;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn load(&self) -> Result<u32, LoadError>;
}

struct Auth;

impl AuthApi for Auth {
    async fn load(&self) -> Result<u32, LoadError> {
        Err(LoadError)
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
