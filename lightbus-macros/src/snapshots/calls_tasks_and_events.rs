/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn check(&self, token: u64) -> bool {
///         todo!()
///     }
///     async fn clean_up(&self, older_than: u32) {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`, called through `AuthApiClient::new(&bus)`.
///
/// Its tasks are enqueued through `AuthApiClient::new(&bus)`, as in `.clean_up(older_than).enqueue()`.
///
/// Its events are published through `AuthApiEvents::new(&bus)`, as in `.cleaned().publish(Cleaned { … })`, and listened to through `AuthApiClient::new(&bus)`, as in `.cleaned().listen("my-listener", handler)`.
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {
    fn check(
        &self,
        token: u64,
    ) -> impl ::core::future::Future<Output = bool> + ::core::marker::Send;
    fn clean_up(
        &self,
        older_than: u32,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        ::lightbus::__private::assert_wire::<u64>();
        ::lightbus::__private::assert_wire::<bool>();
        ::lightbus::__private::assert_wire::<u32>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[("check", &[])],
    tasks: &[("clean_up", &[])],
    events: &[("cleaned", &[])],
    secret_answers: &[],
};
/// The event `cleaned` of the API `auth`.
#[derive(
    ::core::clone::Clone,
    ::core::fmt::Debug,
    ::core::cmp::PartialEq,
    ::lightbus::__private::serde::Serialize,
    ::lightbus::__private::serde::Deserialize,
)]
#[serde(crate = "::lightbus::__private::serde")]
#[allow(dead_code, clippy::struct_excessive_bools)]
pub struct Cleaned {}
#[automatically_derived]
impl ::lightbus::Event for Cleaned {
    const API: &'static str = "auth";
    const NAME: &'static str = "cleaned";
}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __two_events_are_named_Cleaned__rename_one_by_payload_in_its_event_attribute: () = ();
// __if_client! {
/// Calls the API `auth`, enqueues its tasks, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// let answer = client.check(token).await?;
/// client.clean_up(older_than).enqueue().await?;
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
    pub fn check(
        &self,
        token: u64,
    ) -> ::lightbus::Call<bool, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "check",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner.call_plain(&__SPEC, &[("token", &token)])
    }
    /// Enqueues `clean_up` of the API `auth`.
    ///
    /// A task: a provider does it in the background. Nothing is sent before `.clean_up(older_than).enqueue().await`.
    pub fn clean_up(
        &self,
        older_than: impl ::lightbus::Input<u32>,
    ) -> ::lightbus::Task<(), ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::TaskSpec = ::lightbus::__private::TaskSpec {
            api: "auth",
            task: "clean_up",
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
                &[("older_than", &::lightbus::__private::given::<u32, _>(&older_than))],
            )
    }
    /// The event `cleaned`.
    ///
    /// Listen to it with `.listen(…)`, `.broadcast(…)` or `.stream(…)`.
    pub fn cleaned(&self) -> ::lightbus::Subscription<Cleaned> {
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
    /// The event `cleaned`.
    Cleaned(Cleaned),
}
#[automatically_derived]
impl ::lightbus::__private::EventSet for AuthApiEvent {
    const API: &'static str = "auth";
    const EVENTS: &'static [&'static str] = &["cleaned"];
    fn decode(
        __event: &str,
        __payload: ::lightbus::__private::Payload<'_>,
    ) -> ::core::result::Result<Self, ::lightbus::__private::DecodeError> {
        match __event {
            "cleaned" => __payload.decode().map(Self::Cleaned),
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
            name: "check",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, __args| {
                let __0 = __args.get("token")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::check(&__api, __0).await,
                        )
                    }),
                )
            },
        },
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
                    unique: true,
                    rate: ::core::option::Option::None,
                    concurrency: ::core::option::Option::None,
                },
            ),
            call: |__api, __args| {
                let __0 = __args.get("older_than")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::clean_up(&__api, __0).await,
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
    /// The event `cleaned`.
    ///
    /// Publish it with `.publish(…)`.
    pub fn cleaned(&self) -> ::lightbus::EventPublisher<Cleaned> {
        self.inner.event()
    }
}
// }
