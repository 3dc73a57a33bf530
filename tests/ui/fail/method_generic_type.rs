//! A call with a type parameter.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store<T: Send>(&self, value: T) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn store<T: Send>(&self, _value: T) -> bool {
        true
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
