//! The user's own types may be called like anything that generated code stands on.
#![deny(warnings)]
#![allow(dead_code)]

use serde::{Deserialize, Serialize};

macro_rules! own_types {
    ($($name:ident)*) => {$(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name;
    )*};
}

own_types! { Option Box Arc Call Client Event Service Method Payload Subscription Bus Infallible Send Sync Future AsRef Duration Self_ }

mod core {}
mod std {}
mod serde_json {}
mod lightbus_runtime {}

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn store(&self, a: Option, b: Box, c: Arc, d: Call, e: Client, f: Event) -> Service;
    async fn load(
        &self,
        a: Method,
        b: Payload,
        c: Subscription,
        d: Bus,
        e: Duration,
    ) -> Result<Send, Infallible>;

    #[event]
    fn stored(a: Option, b: Bus, c: Sync, d: Future, e: AsRef);
}

struct Auth;

impl AuthApi for Auth {
    async fn store(&self, _: Option, _: Box, _: Arc, _: Call, _: Client, _: Event) -> Service {
        Service
    }

    async fn load(
        &self,
        _: Method,
        _: Payload,
        _: Subscription,
        _: Bus,
        _: Duration,
    ) -> Result<Send, Infallible> {
        Ok(Send)
    }
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
    let _ = AuthApiClient::new(bus)
        .store(Option, Box, Arc, Call, Client, Event)
        .await;
}

fn main() {}
