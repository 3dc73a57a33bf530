//! A borrowed answer.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn motto(&self) -> &str;
}

struct Auth;

impl AuthApi for Auth {
    async fn motto(&self) -> &str {
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
