//! What is deprecated warns those who use it, and nobody else.
#![deny(warnings)]

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    #[deprecated(since = "2.0.0", note = "use `check`")]
    async fn check_password(&self, username: String) -> bool;

    #[deprecated = "nobody listens"]
    #[event]
    fn user_registered(username: String);
}

struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String) -> bool {
        username.is_empty()
    }
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
    let auth = AuthApiClient::new(bus);
    // That it is unfulfilled would be an error.
    #[expect(deprecated)]
    let _ = auth.check_password("ada").await;
    #[expect(deprecated)]
    let _ = auth.user_registered();
    #[expect(deprecated)]
    let _ = AuthApiEvents::new(bus).user_registered();
}

fn main() {}
