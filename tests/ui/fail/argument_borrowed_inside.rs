//! Something borrowed inside of a type.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, username: Option<&str>) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, username: Option<&str>) -> bool {
        username.is_none()
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store(Some("ada")).await;
}

fn main() {}
