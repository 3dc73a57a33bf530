//! A server of something that does not provide the API.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> bool;
}

struct Stranger;

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Stranger)).await;
}

fn main() {}
