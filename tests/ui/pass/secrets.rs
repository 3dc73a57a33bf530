//! `#[lightbus(secret)]` on arguments of calls, tasks and events, beside other attributes.

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, #[lightbus(secret)] password: String) -> bool;
    #[task(unique)]
    async fn import(
        &self,
        /// Where it comes from.
        #[lightbus(secret)]
        token: Vec<u8>,
    );
    #[event]
    fn invited(
        #[key] username: String,
        #[lightbus(secret)]
        #[serde(default)]
        code: Option<u64>,
    );
}

struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> bool {
        username == password
    }

    async fn import(&self, _: Vec<u8>) {}
}

fn uses(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.check_password("ada", "secret");
    let _ = auth.import([1_u8, 2]);
    let _ = bus.serve(AuthApiServer::new(Auth));
    let invited = Invited { username: "ada".to_owned(), code: Some(7) };
    let _ = AuthApiEvents::new(bus).invited().publish(invited);
}

fn main() {
    let _ = uses;
}
