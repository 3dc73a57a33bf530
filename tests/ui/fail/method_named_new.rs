//! A call by the name of the client's constructor.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn new(&self, username: String) -> bool;

    async fn check_password(&self, username: String, password: String) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    async fn new(&self, username: String) -> bool {
        username.is_empty()
    }

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
