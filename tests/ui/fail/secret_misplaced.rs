//! What is secret is an argument, said by `#[lightbus(secret)]`.

#[lightbus::api(name = "auth")]
#[lightbus(secret)]
pub trait AuthApi {
    async fn check_password(&self, username: String, #[lightbus(hidden)] password: String) -> bool;
    async fn check_token(#[lightbus(secret)] &self, #[lightbus] token: String) -> bool;
    #[lightbus(secret)]
    #[task]
    async fn import(&self, #[lightbus(secret = true)] from: String, #[lightbus(secret)] #[lightbus(secret)] token: String);
    #[event]
    fn user_registered(#[key] #[lightbus(secret)] username: String);
}

struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> bool {
        username == password
    }

    async fn check_token(&self, token: String) -> bool {
        token.is_empty()
    }

    async fn import(&self, _: String, _: String) {}
}

fn main() {
    let _ = |bus: &lightbus::Bus| {
        let auth = AuthApiClient::new(bus);
        let _ = auth.check_password("ada", "secret");
        let _ = bus.serve(AuthApiServer::new(Auth));
    };
}
