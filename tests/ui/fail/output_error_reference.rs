//! A borrowed error.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn motto(&self) -> Result<u8, &'static str>;
}

struct Auth;

impl AuthApi for Auth {
    async fn motto(&self) -> Result<u8, &'static str> {
        Err("none")
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
