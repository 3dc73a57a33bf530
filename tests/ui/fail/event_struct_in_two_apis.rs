//! Two APIs with an event of one name in one module: what `payload` is for.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    #[event]
    fn user_registered(username: String);
}

#[lightbus::api(name = "shop")]
pub trait ShopApi {
    #[event]
    fn user_registered(customer: u64);
}

pub fn listen(bus: &lightbus::Bus) {
    let _ = AuthApiClient::new(bus).user_registered();
    let _ = ShopApiClient::new(bus).user_registered();
}

fn main() {}
