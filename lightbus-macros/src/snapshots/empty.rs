/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
/// }
/// ```
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[],
    tasks: &[],
    events: &[],
    secret_answers: &[],
};
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
}
// }
// __if_server! {
// }
