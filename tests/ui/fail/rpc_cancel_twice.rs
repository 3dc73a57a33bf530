//! A flag said twice.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    #[rpc(cancel, cancel)]
    async fn check_password(&self, username: String, password: String) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> bool {
        username == password
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.check_password("ada", "secret").await;
}

fn main() {}
