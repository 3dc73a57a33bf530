//! More than eight keys.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> bool;

    #[event]
    fn moved(
        #[key] k0: u8,
        #[key] k1: u8,
        #[key] k2: u8,
        #[key] k3: u8,
        #[key] k4: u8,
        #[key] k5: u8,
        #[key] k6: u8,
        #[key] k7: u8,
        #[key] k8: u8,
    );
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
        .moved()
        .publish(Moved {
            k0: 0,
            k1: 0,
            k2: 0,
            k3: 0,
            k4: 0,
            k5: 0,
            k6: 0,
            k7: 0,
            k8: 0,
        })
        .await;
    let _ = AuthApiClient::new(bus).moved();
}

fn main() {}
