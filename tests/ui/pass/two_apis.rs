//! Two APIs in one file, served by one type.
#![deny(warnings)]

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check(&self, username: String) -> bool;

    #[event]
    fn user_registered(username: String);
}

#[lightbus::api(name = "company.shop")]
pub trait ShopApi {
    async fn check(&self, item: u64) -> bool;

    #[event]
    fn item_bought(item: u64);
}

#[derive(Clone)]
struct Both;

impl AuthApi for Both {
    async fn check(&self, username: String) -> bool {
        username.is_empty()
    }
}

impl ShopApi for Both {
    async fn check(&self, item: u64) -> bool {
        item == 0
    }
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Both)).await;
    let _ = bus
        .serve(ShopApiServer::from_arc(std::sync::Arc::new(Both)))
        .await;
    let _ = AuthApiClient::new(bus).check("ada").await;
    let _ = ShopApiClient::new(bus).check(7).await;
}

fn main() {}
