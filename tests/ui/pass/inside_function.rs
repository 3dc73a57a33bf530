//! An API inside of a function sees the function's types.
#![deny(warnings)]

use lightbus::Bus;

pub async fn uses(bus: &Bus) {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Secret(String);

    #[lightbus::api(name = "auth")]
    trait AuthApi {
        async fn check_password(&self, username: String, password: Secret) -> bool;

        #[event]
        fn user_registered(#[key] username: String, password: Secret);
    }

    struct Auth;

    impl AuthApi for Auth {
        async fn check_password(&self, username: String, password: Secret) -> bool {
            username == password.0
        }
    }

    let _ = bus.serve(AuthApiServer::new(Auth)).await;
    let auth = AuthApiClient::new(bus);
    let _ = auth
        .check_password("ada", Secret("secret".to_string()))
        .await;
    let _ = auth
        .user_registered()
        .only(UserRegistered::username_is("ada"));
}

fn main() {}
