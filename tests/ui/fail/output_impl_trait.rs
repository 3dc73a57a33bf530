//! `impl Trait` as the answer.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn motto(&self) -> impl Into<String>;
}

struct Auth;

impl AuthApi for Auth {
    async fn motto(&self) -> impl Into<String> {
        "typed"
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.motto().await;
}

fn main() {}
