// error: an event is a message that nobody waits for: write `#[event] fn user_registered(…);`, without `async`
// error: an event has no `self`: it only says what happened; a call has, without `#[event]`
// error: an event returns nothing: nobody answers it; what is to be answered is a call, without `#[event]`
// error: an argument travels to another program, and cannot be borrowed: write `String` (callers may pass `"ada"` all the same)
// error: `impl Trait` is no type that both sides know: write the type out
// error: there is an argument `username` already: each has a name of its own
// error: `events` is taken: the client's own `events` listens to all events; rename this, and keep its name on the bus by `#[event(name = "events")]`
/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
/// }
/// ```
///
/// Its events are published through `AuthApiEvents::new(&bus)`, as in `.user_registered().publish(UserRegistered { … })`, and listened to through `AuthApiClient::new(&bus)`, as in `.user_registered().listen("my-listener", handler)`.
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[],
    tasks: &[],
    events: &[("user_registered", &[]), ("events", &[])],
    secret_answers: &[],
};
/// The event `user_registered` of the API `auth`.
#[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
#[allow(dead_code)]
pub struct UserRegistered {
    /// The `username` of the event.
    pub username: &'static str,
    /// The `shape` of the event.
    pub shape: (),
}
#[automatically_derived]
#[allow(clippy::empty_loop)]
impl ::lightbus::__private::serde::Serialize for UserRegistered {
    fn serialize<__S: ::lightbus::__private::serde::Serializer>(
        &self,
        _: __S,
    ) -> ::core::result::Result<__S::Ok, __S::Error> {
        loop {}
    }
}
#[automatically_derived]
#[allow(clippy::empty_loop)]
impl<'__de> ::lightbus::__private::serde::Deserialize<'__de> for UserRegistered {
    fn deserialize<__D: ::lightbus::__private::serde::Deserializer<'__de>>(
        _: __D,
    ) -> ::core::result::Result<Self, __D::Error> {
        loop {}
    }
}
#[automatically_derived]
impl ::lightbus::Event for UserRegistered {
    const API: &'static str = "auth";
    const NAME: &'static str = "user_registered";
}
#[allow(dead_code)]
impl UserRegistered {
    /// A filter.
    #[allow(clippy::empty_loop)]
    pub fn username_is<__V>(_: __V) -> ::lightbus::__private::KeyFilter<Self> {
        loop {}
    }
}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __two_events_are_named_UserRegistered__rename_one_by_payload_in_its_event_attribute: () = ();
/// The event `events` of the API `auth`.
#[derive(
    ::core::clone::Clone,
    ::core::fmt::Debug,
    ::core::cmp::PartialEq,
    ::lightbus::__private::serde::Serialize,
    ::lightbus::__private::serde::Deserialize,
)]
#[serde(crate = "::lightbus::__private::serde")]
#[allow(dead_code, clippy::struct_excessive_bools)]
pub struct Events {}
#[automatically_derived]
impl ::lightbus::Event for Events {
    const API: &'static str = "auth";
    const NAME: &'static str = "events";
}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __two_events_are_named_Events__rename_one_by_payload_in_its_event_attribute: () = ();
// __if_client! {
/// Calls the API `auth`, and listens to its events, over the bus.
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
#[allow(dead_code)]
pub struct AuthApiClient {
    inner: ::lightbus::__private::Client,
}
#[allow(dead_code, clippy::needless_pass_by_value, clippy::too_many_arguments)]
impl AuthApiClient {
    /// A client that calls and listens over `bus`.
    #[must_use]
    pub fn new(bus: &::lightbus::Bus) -> Self {
        Self {
            inner: ::lightbus::__private::Client::new(bus, &__OUTLINE_OF_AuthApi),
        }
    }
    /// The event `user_registered`.
    ///
    /// Listen to it with `.listen(…)`, `.broadcast(…)` or `.stream(…)`.
    pub fn user_registered(&self) -> ::lightbus::Subscription<UserRegistered> {
        self.inner.subscribe()
    }
    /// All events of the API, as one enum.
    pub fn events(&self) -> ::lightbus::Subscription<AuthApiEvent> {
        self.inner.subscribe()
    }
}
/// Any event of the API `auth`.
#[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
#[allow(dead_code, clippy::enum_variant_names, clippy::large_enum_variant)]
pub enum AuthApiEvent {
    /// The event `user_registered`.
    UserRegistered(UserRegistered),
    /// The event `events`.
    Events(Events),
}
#[automatically_derived]
impl ::lightbus::__private::EventSet for AuthApiEvent {
    const API: &'static str = "auth";
    const EVENTS: &'static [&'static str] = &["user_registered", "events"];
    fn decode(
        __event: &str,
        __payload: ::lightbus::__private::Payload<'_>,
    ) -> ::core::result::Result<Self, ::lightbus::__private::DecodeError> {
        match __event {
            "user_registered" => __payload.decode().map(Self::UserRegistered),
            "events" => __payload.decode().map(Self::Events),
            __other => {
                ::core::result::Result::Err(
                    ::lightbus::__private::DecodeError::unknown_event(__other),
                )
            }
        }
    }
}
// }
// __if_server! {
/// Publishes the events of the API `auth`: its provider's side of them.
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
#[allow(dead_code)]
pub struct AuthApiEvents {
    inner: ::lightbus::__private::Publisher,
}
#[allow(dead_code)]
impl AuthApiEvents {
    /// A publisher over `bus`.
    #[must_use]
    pub fn new(bus: &::lightbus::Bus) -> Self {
        Self {
            inner: ::lightbus::__private::Publisher::new(bus, &__OUTLINE_OF_AuthApi),
        }
    }
    /// The event `user_registered`.
    ///
    /// Publish it with `.publish(…)`.
    pub fn user_registered(&self) -> ::lightbus::EventPublisher<UserRegistered> {
        self.inner.event()
    }
}
// }
