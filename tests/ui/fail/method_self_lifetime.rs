//! A receiver with a lifetime.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn count(&'static self) -> u64;
}

struct Auth;

impl AuthApi for Auth {
    async fn count(&'static self) -> u64 {
        1
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.count().await;
}

fn main() {}
