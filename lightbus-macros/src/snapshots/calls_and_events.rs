/// Who users are.
///
/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn check_password(&self, username: String, password: String) -> Result<bool, AuthError> {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`, called through `AuthApiClient::new(&bus)`.
///
/// Its events are published through `AuthApiEvents::new(&bus)`, as in `.user_registered().publish(UserRegistered { … })`, and listened to through `AuthApiClient::new(&bus)`, as in `.user_registered().listen("my-listener", handler)`.
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {
    /// Does `password` belong to `username`?
    fn check_password(
        &self,
        username: String,
        password: String,
    ) -> impl ::core::future::Future<
        Output = Result<bool, AuthError>,
    > + ::core::marker::Send;
}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        ::lightbus::__private::assert_wire::<String>();
        ::lightbus::__private::assert_wire::<bool>();
        ::lightbus::__private::assert_wire::<AuthError>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "auth",
    calls: &[("check_password", &[])],
    tasks: &[],
    events: &[("user_registered", &[])],
    secret_answers: &[],
};
/// A user finished signing up.
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
    /// The `email` of the event.
    pub email: String,
}
#[automatically_derived]
impl ::lightbus::Event for UserRegistered {
    const API: &'static str = "auth";
    const NAME: &'static str = "user_registered";
}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __two_events_are_named_UserRegistered__rename_one_by_payload_in_its_event_attribute: () = ();
// __if_client! {
/// Calls the API `auth`, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// let answer = client.check_password(username, password).await?;
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
    /// Does `password` belong to `username`?
    pub fn check_password(
        &self,
        username: impl ::core::convert::AsRef<str>,
        password: impl ::core::convert::AsRef<str>,
    ) -> ::lightbus::Call<bool, AuthError> {
        static __SPEC: ::lightbus::__private::CallSpec = ::lightbus::__private::CallSpec {
            api: "auth",
            method: "check_password",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner
            .call(
                &__SPEC,
                &[
                    ("username", &::core::convert::AsRef::<str>::as_ref(&username)),
                    ("password", &::core::convert::AsRef::<str>::as_ref(&password)),
                ],
            )
    }
    /// A user finished signing up.
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
    /// A user finished signing up.
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
                        ::lightbus::__private::reply(
                            <T as AuthApi>::check_password(&__api, __0, __1).await,
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
    /// A user finished signing up.
    ///
    /// Publish it with `.publish(…)`.
    pub fn user_registered(&self) -> ::lightbus::EventPublisher<UserRegistered> {
        self.inner.event()
    }
}
// }
