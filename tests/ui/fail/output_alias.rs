//! A `Result` that hides its error.

type Result<T> = std::result::Result<T, String>;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn load(&self) -> Result<u8>;
}

struct Auth;

impl AuthApi for Auth {
    async fn load(&self) -> Result<u8> {
        Ok(7)
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
