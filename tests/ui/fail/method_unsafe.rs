//! An unsafe call.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async unsafe fn erase(&self) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async unsafe fn erase(&self) -> bool {
        true
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.erase().await;
}

fn main() {}
