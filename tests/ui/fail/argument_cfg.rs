//! An argument that is not always there.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, #[cfg(all())] part: String) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, part: String) -> bool {
        part.is_empty()
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.store("bolt").await;
}

fn main() {}
