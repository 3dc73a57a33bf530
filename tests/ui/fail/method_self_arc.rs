//! A receiver of another type.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn count(self: std::sync::Arc<Self>) -> u64;
}

struct Auth;

impl AuthApi for Auth {
    async fn count(self: std::sync::Arc<Self>) -> u64 {
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
