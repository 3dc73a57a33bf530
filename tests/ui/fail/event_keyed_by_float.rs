//! A key that has no one spelling.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> bool;

    #[event]
    fn stock_changed(#[key] part: f64, left: u32);
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
        .stock_changed()
        .publish(StockChanged { part: 0.5, left: 1 })
        .await;
    let _ = AuthApiClient::new(bus)
        .stock_changed()
        .only(StockChanged::part_is(0.5));
}

fn main() {}
