//! `Self` as an argument.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, other: Box<Self>) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, other: Box<Self>) -> bool {
        drop(other);
        true
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store(7).await;
}

fn main() {}
