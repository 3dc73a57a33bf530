//! `#[event]` outside of an API.

#[lightbus::event]
fn user_registered(username: String) -> String {
    username
}

fn main() {
    user_registered("ada".to_string());
}
