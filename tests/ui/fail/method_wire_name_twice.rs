//! Two calls of one name on the bus.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> bool;

    #[rpc(name = "check_password")]
    async fn check(&self, token: u64) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> bool {
        username == password
    }

    async fn check(&self, token: u64) -> bool {
        token > 0
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.check_password("ada", "secret").await;
    let _ = auth.check(7).await;
}

fn main() {}
