//! A call with a where-clause.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, value: u8) -> bool
    where
        u8: Send;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, value: u8) -> bool {
        value == 0
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store(1).await;
}

fn main() {}
