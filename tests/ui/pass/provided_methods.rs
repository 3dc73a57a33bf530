//! Calls with a body: every provider has them, and may have its own.
#![deny(warnings)]

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Refused;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn check_password(&self, username: String, password: String) -> Result<bool, Refused>;

    async fn check_twice(&self, username: String, password: String) -> Result<bool, Refused> {
        if username.is_empty() {
            return Err(Refused);
        }
        let first = self
            .check_password(username.clone(), password.clone())
            .await?;
        Ok(first && self.check_password(username, password).await?)
    }

    async fn version(&self) -> String {
        "1".into()
    }

    async fn nothing(&self) {}

    async fn never(&self) -> Option<Vec<u8>> {
        None
    }

    async fn fails(&self) -> Result<Vec<String>, Refused> {
        Err(Refused)
    }
}

struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, password: String) -> Result<bool, Refused> {
        Ok(username == password)
    }

    async fn version(&self) -> String {
        "2".into()
    }
}

pub fn spawnable(
    auth: impl AuthApi,
) -> impl Future<Output = Result<bool, Refused>> + Send + 'static {
    async move { auth.check_twice("ada".into(), "secret".into()).await }
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
    let _ = AuthApiClient::new(bus).check_twice("ada", "secret").await;
    let _ = spawnable(Auth).await;
}

fn main() {}
