//! All that is generated has docs; so have the fields of an event whose arguments have none.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rust_2018_idioms
)]

/// An API in a module that can be seen.
pub mod contract {
    /// Who users are.
    #[lightbus::api(name = "auth")]
    pub trait AuthApi {
        /// A call.
        async fn check_password(
            &self,
            /// As they signed up.
            username: String,
            password: String,
        ) -> bool;

        /// An event.
        #[event]
        fn user_registered(
            /// As they signed up.
            username: String,
            #[key] country: String,
        );
    }
}

mod hidden {
    #[lightbus::api(name = "auth")]
    pub(crate) trait AuthApi {
        async fn check_password(&self, username: String) -> bool;

        #[event]
        fn user_registered(username: String, #[key] country: String);
    }
}

/// Uses them.
pub fn uses(bus: &lightbus::Bus) {
    let _ = hidden::AuthApiClient::new(bus).user_registered();
}

fn main() {}
