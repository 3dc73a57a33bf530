// error: what is in a trait is as visible as the trait: remove this
// error: an API cannot be `unsafe`: its callers are in other programs, and can keep no promise of that kind; remove this
// error: an API cannot be generic: its name on the bus stands for one set of calls; write the types out, in a trait for each
// error: a where-clause has no place in an API: what holds for a type is said where the type is defined; remove this
// error: an API has calls, `async fn check_password(&self, …) -> …;`, tasks, `#[task]` above such a function, and events, `#[event] fn user_registered(…);`: an associated type has no place on the bus
/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn check(&self) -> bool {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`, called through `AuthApiClient::new(&bus)`.
#[allow(dead_code)]
pub unsafe trait AuthApi<T>: ::core::marker::Send + ::core::marker::Sync + 'static
where
    T: Send,
{
    type Id;
    fn check(&self) -> impl ::core::future::Future<Output = bool> + ::core::marker::Send;
}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        ::lightbus::__private::assert_wire::<bool>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[("check", &[])],
    tasks: &[],
    events: &[],
    secret_answers: &[],
};
// __if_client! {
/// Calls the API `auth`, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// let answer = client.check().await?;
/// ```
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
    /// Calls `check` of the API `auth`.
    pub fn check(&self) -> ::lightbus::Call<bool, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "check",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner.call_plain(&__SPEC, &[])
    }
}
// }
// __if_server! {
/// Serves an implementation of `AuthApi` on the bus.
///
/// ```text
/// bus.serve(AuthApiServer::new(provider)).await?;
/// ```
#[allow(dead_code)]
pub struct AuthApiServer<T> {
    api: ::lightbus::__private::Arc<T>,
}
#[allow(dead_code, deprecated)]
impl<T: ::core::marker::Send + ::core::marker::Sync + 'static> AuthApiServer<T> {
    /// Serves `api`.
    #[must_use]
    pub fn new(api: T) -> Self {
        Self {
            api: ::lightbus::__private::Arc::new(api),
        }
    }
    /// Serves `api`, which others hold as well.
    #[must_use]
    pub fn from_arc(api: ::lightbus::__private::Arc<T>) -> Self {
        Self { api }
    }
}
#[automatically_derived]
impl<T> ::core::fmt::Debug for AuthApiServer<T> {
    fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        __f.debug_struct("AuthApiServer").finish_non_exhaustive()
    }
}
#[automatically_derived]
impl<T: ::core::marker::Send + ::core::marker::Sync + 'static> ::lightbus::Service
for AuthApiServer<T> {
    type Api = T;
    const NAME: &'static str = "auth";
    const OUTLINE: &'static ::lightbus::__private::ApiOutline = &__OUTLINE_OF_AuthApi;
    const METHODS: &'static [::lightbus::__private::Method<T>] = &[];
    fn into_api(self) -> ::lightbus::__private::Arc<T> {
        self.api
    }
}
// }
