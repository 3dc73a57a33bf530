//! The attribute on the implementation.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> bool;
}

struct Auth;

#[lightbus::api(name = "auth")]
impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> bool {
        username == password
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

fn main() {}
