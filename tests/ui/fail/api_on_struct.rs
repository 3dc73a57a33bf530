//! The attribute on something that is no trait.

#[lightbus::api(name = "auth")]
pub struct AuthApi {
    pub db: String,
}

pub fn users_of_the_struct_are_in_no_error(api: &AuthApi) -> &str {
    &api.db
}

fn main() {}
