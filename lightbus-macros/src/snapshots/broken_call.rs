// error: many calls run at the same time, so none can have the provider for itself: take `&self`, and keep what changes in a `Mutex`
// error: a call cannot be generic: both sides must know its types; write them out
// error: an argument travels to another program, and cannot be borrowed: write `String` (callers may pass `"ada"` all the same)
// error: an argument is a plain name, as that is its name on the bus: `username: String`
// error: `impl Trait` is no type that both sides know: write the type out
// error: write the error type out, `Result<bool, SomeError>`: callers get it back as it is, and a macro cannot look into an alias
// error: a call goes to another program, which takes time: write `async fn sync`
// error: there is a call `sound` already: each has a name of its own
/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn sound(&self, a: String) -> bool {
///         todo!()
///     }
///     async fn broken(&self, a: &str, arg1: (u8, u8), d: impl Display) -> Result<bool> {
///         todo!()
///     }
///     async fn sync(&self) -> u8 {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`, called through `AuthApiClient::new(&bus)`.
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {
    fn sound(
        &self,
        a: String,
    ) -> impl ::core::future::Future<Output = bool> + ::core::marker::Send;
    fn broken<T>(
        &mut self,
        a: &str,
        _: (u8, u8),
        d: impl Display,
    ) -> impl ::core::future::Future<Output = Result<bool>>;
    fn sync(&self) -> u8;
}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        ::lightbus::__private::assert_wire::<String>();
        ::lightbus::__private::assert_wire::<bool>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[("sound", &[]), ("broken", &[]), ("sync", &[])],
    tasks: &[],
    events: &[],
    secret_answers: &[],
};
// __if_client! {
/// Calls the API `auth`, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// let answer = client.sound(a).await?;
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
    /// Calls `sound` of the API `auth`.
    pub fn sound(
        &self,
        a: impl ::core::convert::AsRef<str>,
    ) -> ::lightbus::Call<bool, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "sound",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner
            .call_plain(&__SPEC, &[("a", &::core::convert::AsRef::<str>::as_ref(&a))])
    }
    /// Calls `broken` of the API `auth`.
    #[allow(clippy::empty_loop)]
    pub fn broken<__A0, __A1, __A2>(
        &self,
        _: __A0,
        _: __A1,
        _: __A2,
    ) -> ::lightbus::Call<(), ::core::convert::Infallible> {
        loop {}
    }
    /// Calls `sync` of the API `auth`.
    #[allow(clippy::empty_loop)]
    pub fn sync(&self) -> ::lightbus::Call<u8, ::core::convert::Infallible> {
        loop {}
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
