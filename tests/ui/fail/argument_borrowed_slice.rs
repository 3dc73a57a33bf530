//! A borrowed slice.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, scores: &[u32]) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, scores: &[u32]) -> bool {
        scores.is_empty()
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store(&[1, 2]).await;
}

fn main() {}
