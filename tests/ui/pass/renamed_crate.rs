//! lightbus by another name, and handed on by another crate.
#![deny(warnings)]

pub extern crate lightbus as other;

mod facade {
    pub use other as bus;
}

#[other::api(name = "auth", crate = "other")]
pub trait AuthApi {
    async fn check_password(&self, username: String) -> bool;

    #[event]
    fn user_registered(username: String);
}

#[facade::bus::api(name = "shop", crate = "crate::facade::bus")]
pub trait ShopApi {
    async fn buy(&self, item: String) -> Result<u64, String>;

    #[other::event]
    fn item_bought(#[key] item: String);
}

struct Both;

impl AuthApi for Both {
    async fn check_password(&self, username: String) -> bool {
        username.is_empty()
    }
}

impl ShopApi for Both {
    async fn buy(&self, item: String) -> Result<u64, String> {
        Err(item)
    }
}

pub async fn uses(bus: &other::Bus) {
    let _ = bus.serve(AuthApiServer::new(Both)).await;
    let _ = bus.serve(ShopApiServer::new(Both)).await;
    let _ = ShopApiClient::new(bus).buy("bolt").await;
    let _ = ShopApiClient::new(bus)
        .item_bought()
        .only(ItemBought::item_is("bolt"));
}

fn main() {}
