//! Both sides of an API in one `main`: a call, an event, and who gets them.
//!
//! `cargo run -p lightbus-examples --bin quick_start`

use lightbus::Bus;
use lightbus_broker::Broker;

/// The contract. Usually it has a crate of its own, which both sides import.
#[lightbus::api(name = "auth")]
pub trait AuthApi {
    /// Does this password belong to this user?
    async fn check_password(&self, username: String, password: String) -> bool;

    /// Somebody signed up.
    #[event]
    fn user_registered(username: String, email: String);
}

/// The provider is a plain `impl`.
struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> bool {
        username == "ada" && password == "difference engine"
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (url, _broker) = broker().await?;

    // One program …
    let auth_app = Bus::builder("auth-app").url(&url).connect().await?;
    auth_app.serve(AuthApiServer::new(Auth)).await?;

    // … and another: it needs the trait, and nothing else of the first.
    let web_app = Bus::builder("web-app").url(&url).connect().await?;
    let auth = AuthApiClient::new(&web_app);
    println!(
        "ada, secret:            {}",
        auth.check_password("ada", "secret").await?
    );
    println!(
        "ada, difference engine: {}",
        auth.check_password("ada", "difference engine").await?
    );

    // Events: whoever listens gets them.
    let mut registered = auth.user_registered().stream("welcome").await?;
    let ada = UserRegistered {
        username: "ada".into(),
        email: "ada@example.com".into(),
    };
    AuthApiEvents::new(&auth_app)
        .user_registered()
        .publish(ada)
        .await?;
    if let Some(user) = registered.next().await {
        println!("welcome, {} <{}>", user.username, user.email);
        user.ack();
    }

    web_app.close().await;
    auth_app.close().await;
    Ok(())
}

/// The RabbitMQ of `LIGHTBUS_URL`, or else a broker inside this program, which lives until it is dropped.
async fn broker() -> anyhow::Result<(String, Option<Broker>)> {
    if let Ok(url) = std::env::var("LIGHTBUS_URL") {
        return Ok((url, None));
    }
    let broker = Broker::start().await?;
    Ok((broker.url(), Some(broker)))
}
