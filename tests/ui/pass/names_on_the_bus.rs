//! `name = "…"` keeps a name on the bus that is not the function's.
#![deny(warnings)]

use lightbus::{Event, Service};

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    #[rpc(name = "new")]
    async fn new_user(&self, username: String) -> bool;

    #[event(name = "events", payload = "EventsChanged")]
    fn events_changed(count: u32);

    #[event(name = "check")]
    fn checked();

    #[allow(non_snake_case)]
    #[event(name = "left_early")]
    fn leftEarly();
}

struct Auth;

impl AuthApi for Auth {
    async fn new_user(&self, username: String) -> bool {
        username.is_empty()
    }
}

fn main() {
    assert_eq!(<AuthApiServer<Auth> as Service>::NAME, "auth");
    assert_eq!(<AuthApiServer<Auth> as Service>::METHODS[0].name, "new");
    assert_eq!(EventsChanged::NAME, "events");
    assert_eq!(Checked::NAME, "check");
    assert_eq!(LeftEarly::NAME, "left_early");
}
