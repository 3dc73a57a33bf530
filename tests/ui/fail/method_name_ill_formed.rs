//! A function whose name the bus cannot have.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    #[allow(non_snake_case)]
    async fn checkPassword(&self, username: String, password: String) -> bool;
}

struct Auth;

impl AuthApi for Auth {
    #[allow(non_snake_case)]
    async fn checkPassword(&self, username: String, password: String) -> bool {
        username == password
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.checkPassword("ada", "secret").await;
}

fn main() {}
