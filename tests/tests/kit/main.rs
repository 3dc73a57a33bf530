//! The testing kit, tested.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod expecting;
mod letters;
mod places;
mod recording;
mod stubbing;
mod telling;
mod waiting;
mod wiring;
mod wrong;

use lightbus::testing::TestBus;
use lightbus::{Bus, Error, HandlerError};

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> Result<bool, AuthError>;
    async fn count(&self) -> u64;
    #[task(retries = 1, backoff = "10ms")]
    async fn resize_avatar(&self, user_id: u64) -> Result<(), AuthError>;
    #[event]
    fn user_registered(username: String, age: u8);
    #[event]
    fn user_left(#[key] username: String);
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum AuthError {
    NoSuchUser { username: String },
}

impl std::fmt::Display for AuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

fn registered(username: &str, age: u8) -> UserRegistered {
    UserRegistered {
        username: username.to_owned(),
        age,
    }
}

/// A program under test: it checks everybody who registers, and has their avatars resized.
async fn welcome(bus: &Bus) -> Result<(), Error> {
    let auth = AuthApiClient::new(bus);
    let client = auth.clone();
    let greet = move |user: UserRegistered| {
        let auth = client.clone();
        async move {
            if auth.check_password(user.username, "").await? {
                auth.resize_avatar(u64::from(user.age)).enqueue().await?;
            }
            Ok::<_, HandlerError>(())
        }
    };
    let retry = lightbus::Retry::never();
    auth.user_registered()
        .retry(retry)
        .listen("greet", greet)
        .await?;
    Ok(())
}

/// What a test says that fails.
async fn failure<F: Future<Output = ()> + Send + 'static>(
    test: impl FnOnce(TestBus) -> F + Send + 'static,
) -> String {
    let bus = TestBus::start().await.unwrap();
    let failed = tokio::spawn(test(bus)).await;
    let panic = failed.expect_err("it fails").into_panic();
    let text = panic.downcast_ref::<String>().expect("a text");
    // Where in this file it was does not matter.
    match text.split_once(": ") {
        Some((place, rest)) if place.contains(".rs:") => rest.to_owned(),
        _ => text.clone(),
    }
}
