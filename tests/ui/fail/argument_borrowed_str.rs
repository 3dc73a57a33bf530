//! A borrowed string.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, username: &str) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, username: &str) -> bool {
        username.is_empty()
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store("ada").await;
}

fn main() {}
