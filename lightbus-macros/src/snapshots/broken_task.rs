// error: expected a whole number, without quotes: the key is written `retries = 5`
// error: this key takes no value: the key is written `unique`
// error: not a duration: the time between attempts is `"2s"`, doubled after each, `"10s fixed"`, or one after another, `"1s, 10s, 1m"`; a time is a whole number and `ms`, `s`, `m`, `h` or `d`, up to `365d`
// error: a task is done in the background, beside others: write `async fn broken`
// error: many tasks run at the same time, so none can have the provider for itself: take `&self`, and keep what changes in a `Mutex`
// error: a task cannot be generic: both sides must know its types; write them out
// error: an argument travels to another program, and cannot be borrowed: write `String` (callers may pass `"ada"` all the same)
// error: write the error type out, `Result<bool, SomeError>`: callers get it back as it is, and a macro cannot look into an alias
/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn sound(&self, a: String) -> bool {
///         todo!()
///     }
///     async fn broken(&self, a: &str) -> Result<bool> {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`.
///
/// Its tasks are enqueued through `AuthApiClient::new(&bus)`, as in `.sound(a).enqueue()`.
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {
    fn sound(
        &self,
        a: String,
    ) -> impl ::core::future::Future<Output = bool> + ::core::marker::Send;
    fn broken<T>(&mut self, a: &str) -> Result<bool>;
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
    calls: &[],
    tasks: &[("sound", &[]), ("broken", &[])],
    events: &[],
    secret_answers: &[],
};
// __if_client! {
/// Calls the API `auth`, enqueues its tasks, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// client.sound(a).enqueue().await?;
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
    /// Enqueues `sound` of the API `auth`.
    ///
    /// A task: a provider does it in the background. Nothing is sent before `.sound(a).enqueue().await`.
    pub fn sound(
        &self,
        a: impl ::lightbus::Input<::core::primitive::str>,
    ) -> ::lightbus::Task<bool, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::TaskSpec = ::lightbus::__private::TaskSpec {
            api: "auth",
            task: "sound",
            queue: ::core::option::Option::None,
            retries: ::core::option::Option::None,
            backoff: ::core::option::Option::None,
            timeout: ::core::option::Option::None,
            expires: ::core::option::Option::None,
            result_ttl: ::core::option::Option::None,
            unique: true,
            rate: ::core::option::Option::None,
            concurrency: ::core::option::Option::None,
        };
        self.inner
            .task_plain(
                &__SPEC,
                &[("a", &::lightbus::__private::given::<::core::primitive::str, _>(&a))],
            )
    }
    /// Enqueues `broken` of the API `auth`.
    ///
    /// A task: a provider does it in the background. Nothing is sent before `.broken(a).enqueue().await`.
    #[allow(clippy::empty_loop)]
    pub fn broken<__A0>(
        &self,
        _: __A0,
    ) -> ::lightbus::Task<(), ::core::convert::Infallible> {
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
