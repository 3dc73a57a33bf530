//! A task, which is not yet to be had.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    #[task(retries = 5)]
    async fn resize_avatar(&self, user_id: u64) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn resize_avatar(&self, user_id: u64) -> bool {
        user_id > 0
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.resize_avatar(7).await;
}

fn main() {}
