//! Attributes of an event and its arguments go to the struct and its fields.
#![deny(warnings)]

use std::collections::HashSet;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    /// A user finished signing up.
    #[event]
    #[derive(Eq, Hash, PartialOrd, Ord)]
    #[serde(deny_unknown_fields)]
    fn user_registered(
        username: String,
        /// Not there in the first version.
        #[serde(default)]
        referrer: Option<String>,
    );
}

fn main() {
    let event = UserRegistered {
        username: "ada".to_string(),
        referrer: None,
    };
    assert!(HashSet::from([event.clone()]).contains(&event));
    let read: UserRegistered =
        serde::Deserialize::deserialize(serde::de::value::MapDeserializer::<
            _,
            serde::de::value::Error,
        >::new([("username", "ada")].into_iter()))
        .unwrap();
    assert_eq!(read, event);
}
