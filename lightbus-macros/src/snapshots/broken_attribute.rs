// error: unknown key `colour`: `#[lightbus::api]` takes `name = "auth"`, `crate = "path::of::lightbus"`
// error: `Auth` cannot be the name of an API: a name is made of small letters, digits and `_`, begins with a letter, may have parts with dots between them, and has at most 60 bytes, like `auth` or `my_company.auth`
/// The API `Auth` of the bus.
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
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {
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
    name: "Auth",
    calls: &[("check", &[])],
    tasks: &[],
    events: &[],
    secret_answers: &[],
};
// __if_client! {
/// Calls the API `Auth`, and listens to its events, over the bus.
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
    /// Calls `check` of the API `Auth`.
    pub fn check(&self) -> ::lightbus::Call<bool, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "Auth",
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
impl<T: AuthApi> AuthApiServer<T> {
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
#[allow(deprecated)]
impl<T: AuthApi> ::lightbus::Service for AuthApiServer<T> {
    type Api = T;
    const NAME: &'static str = "Auth";
    const OUTLINE: &'static ::lightbus::__private::ApiOutline = &__OUTLINE_OF_AuthApi;
    const METHODS: &'static [::lightbus::__private::Method<T>] = &[
        ::lightbus::__private::Method {
            name: "check",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, _| {
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::check(&__api).await,
                        )
                    }),
                )
            },
        },
    ];
    fn into_api(self) -> ::lightbus::__private::Arc<T> {
        self.api
    }
}
// }
