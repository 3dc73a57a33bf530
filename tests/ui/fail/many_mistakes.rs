//! All mistakes of a trait are reported at once, each where it is.

type Result<T> = std::result::Result<T, String>;

#[lightbus::api(name = "Auth", colour = "blue")]
pub trait AuthApi {
    #[rpc(timeout = "soon", retry)]
    async fn check_password(&mut self, username: &str, (a, b): (u8, u8)) -> Result<bool>;

    #[event]
    async fn user_registered(&self, username: String) -> bool;

    type Database;
}

struct Auth;

impl AuthApi for Auth {
    type Database = u8;

    async fn check_password(&mut self, username: &str, (a, b): (u8, u8)) -> Result<bool> {
        Ok(username.is_empty() && a == b)
    }
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
}

pub async fn call(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.check_password("ada", (1, 2)).await;
}

pub async fn publish(bus: &lightbus::Bus) {
    let _ = AuthApiEvents::new(bus)
        .user_registered()
        .publish(UserRegistered {
            username: "ada".to_string(),
        })
        .await;
    let _ = AuthApiClient::new(bus).user_registered();
}

fn main() {}
