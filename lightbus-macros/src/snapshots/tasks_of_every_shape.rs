/// Who users are.
///
/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn clean_up(&self) {
///         todo!()
///     }
///     async fn resize_avatar(&self, user_id: u64, picture: Vec<u8>) -> Result<Vec<String>, AuthError> {
///         todo!()
///     }
///     async fn send_mail(&self, to: String) -> bool {
///         todo!()
///     }
///     async fn compress(&self, path: String) -> Result<(), AuthError> {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`.
///
/// Its tasks are enqueued through `AuthApiClient::new(&bus)`, as in `.clean_up().enqueue()`.
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {
    fn clean_up(
        &self,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
    /// Rebuilds the avatar's thumbnails.
    fn resize_avatar(
        &self,
        user_id: u64,
        picture: Vec<u8>,
    ) -> impl ::core::future::Future<
        Output = Result<Vec<String>, AuthError>,
    > + ::core::marker::Send;
    #[deprecated]
    ///
    /// # Arguments
    ///
    /// - `to`:
    /// Where it goes.
    fn send_mail(
        &self,
        to: String,
    ) -> impl ::core::future::Future<Output = bool> + ::core::marker::Send {
        async move { to.is_empty() }
    }
    fn compress(
        &self,
        path: String,
    ) -> impl ::core::future::Future<
        Output = Result<(), AuthError>,
    > + ::core::marker::Send;
}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        ::lightbus::__private::assert_wire::<u64>();
        ::lightbus::__private::assert_wire::<Vec<u8>>();
        ::lightbus::__private::assert_wire::<Vec<String>>();
        ::lightbus::__private::assert_wire::<AuthError>();
        ::lightbus::__private::assert_wire::<String>();
        ::lightbus::__private::assert_wire::<bool>();
        ::lightbus::__private::assert_wire::<()>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[],
    tasks: &[("clean_up", &[]), ("resize", &[]), ("send_mail", &[]), ("compress", &[])],
    events: &[],
    secret_answers: &[],
};
// __if_client! {
/// Calls the API `auth`, enqueues its tasks, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// client.clean_up().enqueue().await?;
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
    /// Enqueues `clean_up` of the API `auth`.
    ///
    /// A task: a provider does it in the background. Nothing is sent before `.clean_up().enqueue().await`.
    pub fn clean_up(&self) -> ::lightbus::Task<(), ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::TaskSpec = ::lightbus::__private::TaskSpec {
            api: "auth",
            task: "clean_up",
            queue: ::core::option::Option::None,
            retries: ::core::option::Option::None,
            backoff: ::core::option::Option::None,
            timeout: ::core::option::Option::None,
            expires: ::core::option::Option::None,
            result_ttl: ::core::option::Option::None,
            unique: false,
            rate: ::core::option::Option::None,
            concurrency: ::core::option::Option::None,
        };
        self.inner.task_plain(&__SPEC, &[])
    }
    /// Rebuilds the avatar's thumbnails.
    ///
    /// A task: a provider does it in the background. Nothing is sent before `.resize_avatar(user_id, picture).enqueue().await`.
    pub fn resize_avatar(
        &self,
        user_id: impl ::lightbus::Input<u64>,
        picture: impl ::lightbus::Input<[::core::primitive::u8]>,
    ) -> ::lightbus::Task<Vec<String>, AuthError> {
        static __SPEC: ::lightbus::__private::TaskSpec = ::lightbus::__private::TaskSpec {
            api: "auth",
            task: "resize",
            queue: ::core::option::Option::Some("slow"),
            retries: ::core::option::Option::Some(5u32),
            backoff: ::core::option::Option::Some(
                ::lightbus::__private::Backoff::Exponential(
                    ::core::time::Duration::from_millis(2000u64),
                ),
            ),
            timeout: ::core::option::Option::Some(
                ::core::time::Duration::from_millis(30000u64),
            ),
            expires: ::core::option::Option::Some(
                ::core::time::Duration::from_millis(3600000u64),
            ),
            result_ttl: ::core::option::Option::Some(
                ::core::time::Duration::from_millis(604800000u64),
            ),
            unique: true,
            rate: ::core::option::Option::None,
            concurrency: ::core::option::Option::None,
        };
        self.inner
            .task(
                &__SPEC,
                &[
                    ("user_id", &::lightbus::__private::given::<u64, _>(&user_id)),
                    (
                        "picture",
                        &::lightbus::__private::given::<
                            [::core::primitive::u8],
                            _,
                        >(&picture),
                    ),
                ],
            )
    }
    /// Enqueues `send_mail` of the API `auth`.
    ///
    /// # Arguments
    ///
    /// - `to`:
    /// Where it goes.
    ///
    /// A task: a provider does it in the background. Nothing is sent before `.send_mail(to).enqueue().await`.
    #[deprecated]
    pub fn send_mail(
        &self,
        to: impl ::lightbus::Input<::core::primitive::str>,
    ) -> ::lightbus::Task<bool, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::TaskSpec = ::lightbus::__private::TaskSpec {
            api: "auth",
            task: "send_mail",
            queue: ::core::option::Option::None,
            retries: ::core::option::Option::Some(0u32),
            backoff: ::core::option::Option::Some(
                ::lightbus::__private::Backoff::Fixed(
                    ::core::time::Duration::from_millis(10000u64),
                ),
            ),
            timeout: ::core::option::Option::None,
            expires: ::core::option::Option::None,
            result_ttl: ::core::option::Option::None,
            unique: false,
            rate: ::core::option::Option::Some(::lightbus::__private::Rate {
                count: 10u32,
                per: ::core::time::Duration::from_millis(60000u64),
            }),
            concurrency: ::core::option::Option::None,
        };
        self.inner
            .task_plain(
                &__SPEC,
                &[
                    (
                        "to",
                        &::lightbus::__private::given::<::core::primitive::str, _>(&to),
                    ),
                ],
            )
    }
    /// Enqueues `compress` of the API `auth`.
    ///
    /// A task: a provider does it in the background. Nothing is sent before `.compress(path).enqueue().await`.
    pub fn compress(
        &self,
        path: impl ::lightbus::Input<::core::primitive::str>,
    ) -> ::lightbus::Task<(), AuthError> {
        static __SPEC: ::lightbus::__private::TaskSpec = ::lightbus::__private::TaskSpec {
            api: "auth",
            task: "compress",
            queue: ::core::option::Option::None,
            retries: ::core::option::Option::None,
            backoff: ::core::option::Option::Some(
                ::lightbus::__private::Backoff::List(
                    &[
                        ::core::time::Duration::from_millis(1000u64),
                        ::core::time::Duration::from_millis(10000u64),
                        ::core::time::Duration::from_millis(60000u64),
                    ],
                ),
            ),
            timeout: ::core::option::Option::None,
            expires: ::core::option::Option::None,
            result_ttl: ::core::option::Option::None,
            unique: false,
            rate: ::core::option::Option::None,
            concurrency: ::core::option::Option::Some(3u16),
        };
        self.inner
            .task(
                &__SPEC,
                &[
                    (
                        "path",
                        &::lightbus::__private::given::<::core::primitive::str, _>(&path),
                    ),
                ],
            )
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
    const NAME: &'static str = "auth";
    const OUTLINE: &'static ::lightbus::__private::ApiOutline = &__OUTLINE_OF_AuthApi;
    const METHODS: &'static [::lightbus::__private::Method<T>] = &[
        ::lightbus::__private::Method {
            name: "clean_up",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::Some(
                &::lightbus::__private::TaskSpec {
                    api: "auth",
                    task: "clean_up",
                    queue: ::core::option::Option::None,
                    retries: ::core::option::Option::None,
                    backoff: ::core::option::Option::None,
                    timeout: ::core::option::Option::None,
                    expires: ::core::option::Option::None,
                    result_ttl: ::core::option::Option::None,
                    unique: false,
                    rate: ::core::option::Option::None,
                    concurrency: ::core::option::Option::None,
                },
            ),
            call: |__api, _| {
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::clean_up(&__api).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "resize",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::Some(
                &::lightbus::__private::TaskSpec {
                    api: "auth",
                    task: "resize",
                    queue: ::core::option::Option::Some("slow"),
                    retries: ::core::option::Option::Some(5u32),
                    backoff: ::core::option::Option::Some(
                        ::lightbus::__private::Backoff::Exponential(
                            ::core::time::Duration::from_millis(2000u64),
                        ),
                    ),
                    timeout: ::core::option::Option::Some(
                        ::core::time::Duration::from_millis(30000u64),
                    ),
                    expires: ::core::option::Option::Some(
                        ::core::time::Duration::from_millis(3600000u64),
                    ),
                    result_ttl: ::core::option::Option::Some(
                        ::core::time::Duration::from_millis(604800000u64),
                    ),
                    unique: true,
                    rate: ::core::option::Option::None,
                    concurrency: ::core::option::Option::None,
                },
            ),
            call: |__api, __args| {
                let __0 = __args.get("user_id")?;
                let __1 = __args.bytes("picture")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply(
                            <T as AuthApi>::resize_avatar(&__api, __0, __1).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "send_mail",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::Some(
                &::lightbus::__private::TaskSpec {
                    api: "auth",
                    task: "send_mail",
                    queue: ::core::option::Option::None,
                    retries: ::core::option::Option::Some(0u32),
                    backoff: ::core::option::Option::Some(
                        ::lightbus::__private::Backoff::Fixed(
                            ::core::time::Duration::from_millis(10000u64),
                        ),
                    ),
                    timeout: ::core::option::Option::None,
                    expires: ::core::option::Option::None,
                    result_ttl: ::core::option::Option::None,
                    unique: false,
                    rate: ::core::option::Option::Some(::lightbus::__private::Rate {
                        count: 10u32,
                        per: ::core::time::Duration::from_millis(60000u64),
                    }),
                    concurrency: ::core::option::Option::None,
                },
            ),
            call: |__api, __args| {
                let __0 = __args.get("to")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::send_mail(&__api, __0).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "compress",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::Some(
                &::lightbus::__private::TaskSpec {
                    api: "auth",
                    task: "compress",
                    queue: ::core::option::Option::None,
                    retries: ::core::option::Option::None,
                    backoff: ::core::option::Option::Some(
                        ::lightbus::__private::Backoff::List(
                            &[
                                ::core::time::Duration::from_millis(1000u64),
                                ::core::time::Duration::from_millis(10000u64),
                                ::core::time::Duration::from_millis(60000u64),
                            ],
                        ),
                    ),
                    timeout: ::core::option::Option::None,
                    expires: ::core::option::Option::None,
                    result_ttl: ::core::option::Option::None,
                    unique: false,
                    rate: ::core::option::Option::None,
                    concurrency: ::core::option::Option::Some(3u16),
                },
            ),
            call: |__api, __args| {
                let __0 = __args.get("path")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply(
                            <T as AuthApi>::compress(&__api, __0).await,
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
