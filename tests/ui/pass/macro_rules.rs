//! An API that a macro writes.
#![deny(warnings)]

macro_rules! store_api {
    ($(#[$attr:meta])* $api:ident, $name:literal, $call:ident($arg:ident: $ty:ty) -> $out:ty, $event:ident) => {
        $(#[$attr])*
        #[lightbus::api(name = $name)]
        pub trait $api {
            async fn $call(&self, $arg: $ty) -> $out;

            async fn echo(&self, $arg: $ty) -> $ty {
                $arg
            }

            #[event]
            fn $event(#[key] $arg: $ty, value: $out);
        }
    };
}

store_api! { NameApi, "name", store(name: String) -> bool, name_stored }
store_api! { ResultApi, "result", load(number: u64) -> Result<u8, String>, number_loaded }

struct Store;

impl NameApi for Store {
    async fn store(&self, name: String) -> bool {
        name.is_empty()
    }
}

impl ResultApi for Store {
    async fn load(&self, number: u64) -> Result<u8, String> {
        u8::try_from(number).map_err(|error| error.to_string())
    }
}

pub async fn uses(bus: &lightbus::Bus) {
    let _ = bus.serve(NameApiServer::new(Store)).await;
    let _ = NameApiClient::new(bus).store("ada").await;
    let loaded: Result<u8, lightbus::CallError<String>> = ResultApiClient::new(bus).load(7).await;
    let _ = loaded;
    let _ = NameApiClient::new(bus)
        .name_stored()
        .only(NameStored::name_is("ada"));
}

fn main() {}
