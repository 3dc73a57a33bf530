//! Two APIs with an event of one name in one module: one of the structs has another.
#![deny(warnings)]

use lightbus::Event;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    #[event]
    fn user_registered(username: String);
}

#[lightbus::api(name = "shop")]
pub trait ShopApi {
    #[event(payload = "CustomerRegistered")]
    fn user_registered(customer: u64);
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = AuthApiEvents::new(bus)
        .user_registered()
        .publish(UserRegistered {
            username: "ada".to_string(),
        })
        .await;
    let _ = ShopApiEvents::new(bus)
        .user_registered()
        .publish(CustomerRegistered { customer: 7 })
        .await;
    let _ = ShopApiClient::new(bus).user_registered();
}

fn main() {
    assert_eq!(
        (UserRegistered::API, UserRegistered::NAME),
        ("auth", "user_registered")
    );
    assert_eq!(
        (CustomerRegistered::API, CustomerRegistered::NAME),
        ("shop", "user_registered")
    );
}
