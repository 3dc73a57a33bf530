//! `impl Trait` as an argument.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, username: impl Into<String> + Send) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, username: impl Into<String> + Send) -> bool {
        username.into().is_empty()
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
