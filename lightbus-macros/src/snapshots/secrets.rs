/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn check_password(&self, username: String, password: String) -> bool {
///         todo!()
///     }
///     async fn new_token(&self, username: String) -> String {
///         todo!()
///     }
///     async fn import(&self, token: Vec<u8>, r#type: u8) {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`, called through `AuthApiClient::new(&bus)`.
///
/// Its tasks are enqueued through `AuthApiClient::new(&bus)`, as in `.import(token, r#type).enqueue()`.
///
/// Its events are published through `AuthApiEvents::new(&bus)`, as in `.user_registered().publish(UserRegistered { … })`, and listened to through `AuthApiClient::new(&bus)`, as in `.user_registered().listen("my-listener", handler)`.
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {
    fn check_password(
        &self,
        username: String,
        password: String,
    ) -> impl ::core::future::Future<Output = bool> + ::core::marker::Send;
    fn new_token(
        &self,
        username: String,
    ) -> impl ::core::future::Future<Output = String> + ::core::marker::Send;
    fn import(
        &self,
        #[allow(unused)]
        token: Vec<u8>,
        r#type: u8,
    ) -> impl ::core::future::Future<Output = ()> + ::core::marker::Send;
}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        ::lightbus::__private::assert_wire::<String>();
        ::lightbus::__private::assert_wire::<bool>();
        ::lightbus::__private::assert_wire::<Vec<u8>>();
        ::lightbus::__private::assert_wire::<u8>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[("check_password", &["password"]), ("new_token", &[])],
    tasks: &[("import", &["token", "type"])],
    events: &[("user_registered", &["email"])],
    secret_answers: &["new_token"],
};
/// The event `user_registered` of the API `auth`.
#[derive(
    ::core::clone::Clone,
    ::core::fmt::Debug,
    ::core::cmp::PartialEq,
    ::lightbus::__private::serde::Serialize,
    ::lightbus::__private::serde::Deserialize,
)]
#[serde(crate = "::lightbus::__private::serde")]
#[allow(dead_code, clippy::struct_excessive_bools)]
pub struct UserRegistered {
    /// The `username` of the event.
    pub username: String,
    /// Never to be shown.
    pub email: String,
}
#[automatically_derived]
impl ::lightbus::Event for UserRegistered {
    const API: &'static str = "auth";
    const NAME: &'static str = "user_registered";
    const OUTLINE: ::core::option::Option<&'static ::lightbus::__private::ApiOutline> = ::core::option::Option::Some(
        &__OUTLINE_OF_AuthApi,
    );
    const KEYS: &'static [&'static str] = &["username"];
    fn routing_keys(&self, __keys: &mut ::lightbus::__private::KeyWriter) {
        __keys.push(&self.username);
    }
}
#[allow(dead_code, clippy::needless_pass_by_value)]
impl UserRegistered {
    /// Only events of which `username` is this one: for `.only(…)` of a subscription.
    #[must_use]
    pub fn username_is(
        username: impl ::core::convert::AsRef<str>,
    ) -> ::lightbus::__private::KeyFilter<Self> {
        ::lightbus::__private::KeyFilter::new(
            0,
            ::core::convert::AsRef::<str>::as_ref(&username),
        )
    }
}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __two_events_are_named_UserRegistered__rename_one_by_payload_in_its_event_attribute: () = ();
// __if_client! {
/// Calls the API `auth`, enqueues its tasks, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// let answer = client.check_password(username, password).await?;
/// client.import(token, r#type).enqueue().await?;
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
    /// Calls `check_password` of the API `auth`.
    pub fn check_password(
        &self,
        username: impl ::core::convert::AsRef<str>,
        password: impl ::core::convert::AsRef<str>,
    ) -> ::lightbus::Call<bool, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "check_password",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner
            .call_plain(
                &__SPEC,
                &[
                    ("username", &::core::convert::AsRef::<str>::as_ref(&username)),
                    ("password", &::core::convert::AsRef::<str>::as_ref(&password)),
                ],
            )
    }
    /// Calls `new_token` of the API `auth`.
    pub fn new_token(
        &self,
        username: impl ::core::convert::AsRef<str>,
    ) -> ::lightbus::Call<String, ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "new_token",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner
            .call_plain(
                &__SPEC,
                &[("username", &::core::convert::AsRef::<str>::as_ref(&username))],
            )
    }
    /// Enqueues `import` of the API `auth`.
    ///
    /// A task: a provider does it in the background. Nothing is sent before `.import(token, r#type).enqueue().await`.
    pub fn import(
        &self,
        token: impl ::lightbus::Input<[::core::primitive::u8]>,
        r#type: impl ::lightbus::Input<u8>,
    ) -> ::lightbus::Task<(), ::core::convert::Infallible> {
        static __SPEC: ::lightbus::__private::TaskSpec = ::lightbus::__private::TaskSpec {
            api: "auth",
            task: "import",
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
        self.inner
            .task_plain(
                &__SPEC,
                &[
                    (
                        "token",
                        &::lightbus::__private::given::<
                            [::core::primitive::u8],
                            _,
                        >(&token),
                    ),
                    ("type", &::lightbus::__private::given::<u8, _>(&r#type)),
                ],
            )
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
}
#[automatically_derived]
impl ::lightbus::__private::EventSet for AuthApiEvent {
    const API: &'static str = "auth";
    const EVENTS: &'static [&'static str] = &["user_registered"];
    fn decode(
        __event: &str,
        __payload: ::lightbus::__private::Payload<'_>,
    ) -> ::core::result::Result<Self, ::lightbus::__private::DecodeError> {
        match __event {
            "user_registered" => __payload.decode().map(Self::UserRegistered),
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
            name: "check_password",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, __args| {
                let __0 = __args.get("username")?;
                let __1 = __args.get("password")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::check_password(&__api, __0, __1).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "new_token",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, __args| {
                let __0 = __args.get("username")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::new_token(&__api, __0).await,
                        )
                    }),
                )
            },
        },
        ::lightbus::__private::Method {
            name: "import",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::Some(
                &::lightbus::__private::TaskSpec {
                    api: "auth",
                    task: "import",
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
            call: |__api, __args| {
                let __0 = __args.bytes("token")?;
                let __1 = __args.get("type")?;
                ::lightbus::__private::Ok(
                    ::lightbus::__private::run(async move {
                        ::lightbus::__private::reply_plain(
                            <T as AuthApi>::import(&__api, __0, __1).await,
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
    /// The event `user_registered`.
    ///
    /// Publish it with `.publish(…)`.
    pub fn user_registered(&self) -> ::lightbus::EventPublisher<UserRegistered> {
        self.inner.event()
    }
}
// }
