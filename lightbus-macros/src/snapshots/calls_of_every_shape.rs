/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn nothing(&self) {
///         todo!()
///     }
///     async fn plain(&self, bytes: Vec<u8>, number: Option<u64>) -> Vec<String> {
///         todo!()
///     }
///     async fn options(&self, r#type: String) -> Result<(), String> {
///         todo!()
///     }
///     async fn report(&self) -> Vec<String> {
///         todo!()
///     }
///     async fn provided(&self, number: u8) -> Option<u8> {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`, called through `AuthApiClient::new(&bus)`.
#[allow(dead_code)]
pub(crate) trait AuthApi: Debug + ::core::marker::Send + ::core::marker::Sync + 'static {
    fn nothing(&self) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
    fn plain(
        &self,
        bytes: Vec<u8>,
        number: Option<u64>,
    ) -> impl ::core::future::Future<Output = Vec<String>> + ::core::marker::Send;
    #[deprecated = "use `plain`"]
    #[expect(clippy::too_many_arguments)]
    ///
    /// # Arguments
    ///
    /// - `type`:
    /// As they signed up.
    fn options(
        &self,
        r#type: String,
    ) -> impl ::core::future::Future<Output = Result<(), String>> + ::core::marker::Send;
    fn report(
        &self,
    ) -> impl ::core::future::Future<Output = Vec<String>> + ::core::marker::Send;
    fn provided(
        &self,
        number: u8,
    ) -> impl ::core::future::Future<Output = Option<u8>> + ::core::marker::Send {
        async move { number.checked_add(1) }
    }
}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        ::lightbus::__private::assert_wire::<Vec<u8>>();
        ::lightbus::__private::assert_wire::<Option<u64>>();
        ::lightbus::__private::assert_wire::<Vec<String>>();
        ::lightbus::__private::assert_wire::<String>();
        ::lightbus::__private::assert_wire::<()>();
        ::lightbus::__private::assert_wire::<u8>();
        ::lightbus::__private::assert_wire::<Option<u8>>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[
        ("nothing", &[]),
        ("plain", &[]),
        ("renamed", &[]),
        ("report", &[]),
        ("provided", &[]),
    ],
    tasks: &[],
    events: &[],
    secret_answers: &[],
};
// __if_client! {
/// Calls the API `auth`, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// let answer = client.nothing().await?;
/// ```
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
#[allow(dead_code)]
pub(crate) struct AuthApiClient {
    inner: ::lightbus::__private::Client,
}
#[allow(dead_code, clippy::needless_pass_by_value, clippy::too_many_arguments)]
impl AuthApiClient {
    /// A client that calls and listens over `bus`.
    #[must_use]
    pub(crate) fn new(bus: &::lightbus::Bus) -> Self {
        Self {
            inner: ::lightbus::__private::Client::new(bus, &__OUTLINE_OF_AuthApi),
        }
    }
    /// Calls `nothing` of the API `auth`.
    pub(crate) fn nothing(&self) -> ::lightbus::Call<(), ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "nothing",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner.call_plain(&__SPEC, &[])
    }
    /// Calls `plain` of the API `auth`.
    pub(crate) fn plain(
        &self,
        bytes: impl ::core::convert::AsRef<[u8]>,
        number: Option<u64>,
    ) -> ::lightbus::Call<Vec<String>, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "plain",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner
            .call_plain(
                &__SPEC,
                &[
                    (
                        "bytes",
                        &::lightbus::__private::BytesArg(
                            ::core::convert::AsRef::<[u8]>::as_ref(&bytes),
                        ),
                    ),
                    ("number", &number),
                ],
            )
    }
    /// Calls `renamed` of the API `auth`.
    ///
    /// # Arguments
    ///
    /// - `type`:
    /// As they signed up.
    #[deprecated = "use `plain`"]
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn options(
        &self,
        r#type: impl ::core::convert::AsRef<str>,
    ) -> ::lightbus::Call<(), String> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "renamed",
            timeout: ::core::option::Option::Some(
                ::core::time::Duration::from_millis(2000u64),
            ),
            idempotent: true,
            cancel: false,
        };
        self.inner
            .call(&__SPEC, &[("type", &::core::convert::AsRef::<str>::as_ref(&r#type))])
    }
    /// Calls `report` of the API `auth`.
    ///
    /// Giving up the call before its answer came, by dropping it or by its timeout, cancels it at its provider.
    pub(crate) fn report(
        &self,
    ) -> ::lightbus::Call<Vec<String>, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "report",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: true,
        };
        self.inner.call_plain(&__SPEC, &[])
    }
    /// Calls `provided` of the API `auth`.
    pub(crate) fn provided(
        &self,
        number: u8,
    ) -> ::lightbus::Call<Option<u8>, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "provided",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner.call_plain(&__SPEC, &[("number", &number)])
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
pub(crate) struct AuthApiServer<T> {
    api: ::lightbus::__private::Arc<T>,
}
#[allow(dead_code, deprecated)]
impl<T: AuthApi> AuthApiServer<T> {
    /// Serves `api`.
    #[must_use]
    pub(crate) fn new(api: T) -> Self {
        Self {
            api: ::lightbus::__private::Arc::new(api),
        }
    }
    /// Serves `api`, which others hold as well.
    #[must_use]
    pub(crate) fn from_arc(api: ::lightbus::__private::Arc<T>) -> Self {
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
    const NAME: &'static str = "auth";
    const OUTLINE: &'static ::lightbus::__private::ApiOutline = &__OUTLINE_OF_AuthApi;
    const METHODS: &'static [::lightbus::__private::Method<T>] = &[
        ::lightbus::__private::Method {
            name: "nothing",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, _| {
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::nothing(&__api).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "plain",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, __args| {
                let __0 = __args.bytes("bytes")?;
                let __1 = __args.get("number")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::plain(&__api, __0, __1).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "renamed",
            idempotent: true,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, __args| {
                let __0 = __args.get("type")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply(
                            <T as AuthApi>::options(&__api, __0).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "report",
            idempotent: false,
            cancel: true,
            task: ::core::option::Option::None,
            call: |__api, _| {
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::report(&__api).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "provided",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, __args| {
                let __0 = __args.get("number")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::provided(&__api, __0).await,
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
