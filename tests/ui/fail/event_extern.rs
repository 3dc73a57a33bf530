//! An event with an ABI.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> bool;

    #[event]
    extern "C" fn user_registered(username: String);
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
