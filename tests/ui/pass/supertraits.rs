//! A trait with more to ask of its providers.
#![deny(warnings)]

use std::fmt::Debug;

#[lightbus::api(name = "auth")]
pub trait AuthApi: Debug + Clone + Send {
    async fn name(&self) -> String {
        format!("{self:?}")
    }
}

#[derive(Clone, Debug)]
struct Auth;

impl AuthApi for Auth {}

fn main() {
    let _ = AuthApiServer::new(Auth);
}
