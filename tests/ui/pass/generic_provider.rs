//! Code that is generic over an API may spawn what it calls.
#![deny(warnings)]

use std::sync::Arc;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> Result<bool, String>;
}

struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> Result<bool, String> {
        tokio::task::yield_now().await;
        Ok(username == password)
    }
}

struct Logged<A>(A);

impl<A: AuthApi> AuthApi for Logged<A> {
    async fn check_password(&self, username: String, password: String) -> Result<bool, String> {
        println!("{username}");
        self.0.check_password(username, password).await
    }
}

/// A provider may also write the future out.
struct Locked;

impl AuthApi for Locked {
    fn check_password(
        &self,
        _: String,
        _: String,
    ) -> impl Future<Output = Result<bool, String>> + Send {
        std::future::ready(Err("locked".to_string()))
    }
}

pub fn spawn(auth: impl AuthApi) {
    let auth = Arc::new(auth);
    tokio::spawn(async move { auth.check_password("ada".into(), "secret".into()).await });
}

pub async fn serve<A: AuthApi>(
    bus: &lightbus::Bus,
    auth: Arc<A>,
) -> Result<lightbus::Serving, lightbus::Error> {
    bus.serve(AuthApiServer::from_arc(auth)).await
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = serve(bus, Arc::new(Logged(Auth))).await;
    let _ = bus.serve(AuthApiServer::new(Locked)).await;
}

#[tokio::main]
async fn main() {
    spawn(Logged(Auth));
    spawn(Locked);
}
