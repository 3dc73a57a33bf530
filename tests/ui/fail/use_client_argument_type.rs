//! A caller that passes the wrong type.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn resize(&self, width: u32) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn resize(&self, width: u32) -> bool {
        width > 0
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.resize("wide").await;
}

fn main() {}
