//! An API that is still to be written.
#![deny(warnings)]

#[lightbus::api(name = "auth")]
pub trait AuthApi {}

#[lightbus::api(name = "hidden")]
trait HiddenApi {}

struct Auth;

impl AuthApi for Auth {}
impl HiddenApi for Auth {}

pub fn uses(bus: &lightbus::Bus) {
    let _ = AuthApiClient::new(bus);
}

fn main() {}
