//! A pattern.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, (x, y): (u8, u8)) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, (x, y): (u8, u8)) -> bool {
        x == y
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store((1, 2)).await;
}

fn main() {}
