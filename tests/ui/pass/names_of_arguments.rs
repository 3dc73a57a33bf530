//! Arguments may have the names that generated code uses itself, and those that Rust keeps for itself.
#![deny(warnings)]

use lightbus::Event;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    async fn first(
        &self,
        api: String,
        args: u8,
        bus: Vec<u8>,
        spec: u8,
        inner: u8,
        keys: u8,
    ) -> bool;
    async fn second(
        &self,
        r#type: String,
        r#match: u8,
        event: u8,
        payload: u8,
        other: u8,
        f: u8,
        t: u8,
    ) -> bool;
    async fn r#loop(&self, call: u8, client: u8, run: u8, reply: u8) -> Result<u8, u8>;
    async fn run(&self) -> u8;
    async fn serve(&self) -> u8;
    async fn call(&self) -> u8;
    async fn subscribe(&self) -> u8;

    #[event]
    fn r#yield(#[key] r#type: String, #[key] keys: u8, #[key] index: u8, bus: u8);

    #[event]
    fn decoded(event: u8, payload: u8, other: u8);
}

struct Auth;

impl AuthApi for Auth {
    async fn first(
        &self,
        api: String,
        args: u8,
        bus: Vec<u8>,
        spec: u8,
        inner: u8,
        keys: u8,
    ) -> bool {
        api.is_empty() && bus.is_empty() && args + spec + inner == keys
    }

    async fn second(
        &self,
        r#type: String,
        r#match: u8,
        event: u8,
        payload: u8,
        other: u8,
        f: u8,
        t: u8,
    ) -> bool {
        r#type.is_empty() && r#match + event + payload + other + f == t
    }

    async fn r#loop(&self, call: u8, client: u8, run: u8, reply: u8) -> Result<u8, u8> {
        Ok(call + client + run + reply)
    }

    async fn run(&self) -> u8 {
        1
    }

    async fn serve(&self) -> u8 {
        1
    }

    async fn call(&self) -> u8 {
        1
    }

    async fn subscribe(&self) -> u8 {
        1
    }
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = bus.serve(AuthApiServer::new(Auth)).await;
    let _ = AuthApiClient::new(bus).second("x", 1, 2, 3, 4, 5, 6).await;
    let _ = AuthApiClient::new(bus).r#yield().only(Yield::type_is("x"));
    let _ = AuthApiClient::new(bus).r#loop(1, 2, 3, 4).await;
}

fn main() {
    assert_eq!(Yield::NAME, "yield");
    assert_eq!(Yield::KEYS, ["type", "keys", "index"]);
}
