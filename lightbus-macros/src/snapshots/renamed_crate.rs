/// The API `auth` of the bus.
///
/// # Providing it
///
/// ```text
/// impl AuthApi for Provider {
///     async fn check(&self, token: Vec<u8>) -> bool {
///         todo!()
///     }
/// }
/// ```
///
/// Served by `bus.serve(AuthApiServer::new(provider))`, called through `AuthApiClient::new(&bus)`.
///
/// Its events are published through `AuthApiEvents::new(&bus)`, as in `.checked().publish(Checked { … })`, and listened to through `AuthApiClient::new(&bus)`, as in `.checked().listen("my-listener", handler)`.
#[allow(dead_code)]
pub trait AuthApi: ::core::marker::Send + ::core::marker::Sync + 'static {
    fn check(
        &self,
        token: Vec<u8>,
    ) -> impl ::core::future::Future<Output = bool> + ::core::marker::Send;
}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        crate::bus::__private::assert_wire::<Vec<u8>>();
        crate::bus::__private::assert_wire::<bool>();
        crate::bus::__private::assert_wire::<String>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_AuthApi: crate::bus::__private::ApiOutline = crate::bus::__private::ApiOutline {
    name: "auth",
    calls: &[("check", &[])],
    tasks: &[],
    events: &[("checked", &[])],
    secret_answers: &[],
};
/// The event `checked` of the API `auth`.
#[derive(
    ::core::clone::Clone,
    ::core::fmt::Debug,
    ::core::cmp::PartialEq,
    crate::bus::__private::serde::Serialize,
    crate::bus::__private::serde::Deserialize,
)]
#[serde(crate = "crate::bus::__private::serde")]
#[allow(dead_code, clippy::struct_excessive_bools)]
pub struct Checked {
    /// The `token` of the event.
    pub token: String,
}
#[automatically_derived]
impl crate::bus::Event for Checked {
    const API: &'static str = "auth";
    const NAME: &'static str = "checked";
    const KEYS: &'static [&'static str] = &["token"];
    fn routing_keys(&self, __keys: &mut crate::bus::__private::KeyWriter) {
        __keys.push(&self.token);
    }
}
#[allow(dead_code, clippy::needless_pass_by_value)]
impl Checked {
    /// Only events of which `token` is this one: for `.only(…)` of a subscription.
    #[must_use]
    pub fn token_is(
        token: impl ::core::convert::AsRef<str>,
    ) -> crate::bus::__private::KeyFilter<Self> {
        crate::bus::__private::KeyFilter::new(
            0,
            ::core::convert::AsRef::<str>::as_ref(&token),
        )
    }
}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __two_events_are_named_Checked__rename_one_by_payload_in_its_event_attribute: () = ();
// __if_client! {
/// Calls the API `auth`, and listens to its events, over the bus.
///
/// ```text
/// let client = AuthApiClient::new(&bus);
/// let answer = client.check(token).await?;
/// ```
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
#[allow(dead_code)]
pub struct AuthApiClient {
    inner: crate::bus::__private::Client,
}
#[allow(dead_code, clippy::needless_pass_by_value, clippy::too_many_arguments)]
impl AuthApiClient {
    /// A client that calls and listens over `bus`.
    #[must_use]
    pub fn new(bus: &crate::bus::Bus) -> Self {
        Self {
            inner: crate::bus::__private::Client::new(bus, &__OUTLINE_OF_AuthApi),
        }
    }
    /// Calls `check` of the API `auth`.
    pub fn check(
        &self,
        token: impl ::core::convert::AsRef<[u8]>,
    ) -> crate::bus::Call<bool, ::core::convert::Infallible> {
        static __SPEC: crate::bus::__private::CallSpec = crate::bus::__private::CallSpec {
            api: "auth",
            method: "check",
            timeout: ::core::option::Option::None,
            idempotent: false,
            cancel: false,
        };
        self.inner
            .call_plain(
                &__SPEC,
                &[
                    (
                        "token",
                        &crate::bus::__private::BytesArg(
                            ::core::convert::AsRef::<[u8]>::as_ref(&token),
                        ),
                    ),
                ],
            )
    }
    /// The event `checked`.
    ///
    /// Listen to it with `.listen(…)`, `.broadcast(…)` or `.stream(…)`.
    pub fn checked(&self) -> crate::bus::Subscription<Checked> {
        self.inner.subscribe()
    }
    /// All events of the API, as one enum.
    pub fn events(&self) -> crate::bus::Subscription<AuthApiEvent> {
        self.inner.subscribe()
    }
}
/// Any event of the API `auth`.
#[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
#[allow(dead_code, clippy::enum_variant_names, clippy::large_enum_variant)]
pub enum AuthApiEvent {
    /// The event `checked`.
    Checked(Checked),
}
#[automatically_derived]
impl crate::bus::__private::EventSet for AuthApiEvent {
    const API: &'static str = "auth";
    const EVENTS: &'static [&'static str] = &["checked"];
    fn decode(
        __event: &str,
        __payload: crate::bus::__private::Payload<'_>,
    ) -> ::core::result::Result<Self, crate::bus::__private::DecodeError> {
        match __event {
            "checked" => __payload.decode().map(Self::Checked),
            __other => {
                ::core::result::Result::Err(
                    crate::bus::__private::DecodeError::unknown_event(__other),
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
    api: crate::bus::__private::Arc<T>,
}
#[allow(dead_code, deprecated)]
impl<T: AuthApi> AuthApiServer<T> {
    /// Serves `api`.
    #[must_use]
    pub fn new(api: T) -> Self {
        Self {
            api: crate::bus::__private::Arc::new(api),
        }
    }
    /// Serves `api`, which others hold as well.
    #[must_use]
    pub fn from_arc(api: crate::bus::__private::Arc<T>) -> Self {
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
impl<T: AuthApi> crate::bus::Service for AuthApiServer<T> {
    type Api = T;
    const NAME: &'static str = "auth";
    const OUTLINE: &'static crate::bus::__private::ApiOutline = &__OUTLINE_OF_AuthApi;
    const METHODS: &'static [crate::bus::__private::Method<T>] = &[
        crate::bus::__private::Method {
            name: "check",
            idempotent: false,
            cancel: false,
            task: ::core::option::Option::None,
            call: |__api, __args| {
                let __0 = __args.bytes("token")?;
                crate::bus::__private::Ok(
                    crate::bus::__private::run(async move {
                        crate::bus::__private::reply_plain(
                            <T as AuthApi>::check(&__api, __0).await,
                        )
                    }),
                )
            },
        },
    ];
    fn into_api(self) -> crate::bus::__private::Arc<T> {
        self.api
    }
}
/// Publishes the events of the API `auth`: its provider's side of them.
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
#[allow(dead_code)]
pub struct AuthApiEvents {
    inner: crate::bus::__private::Publisher,
}
#[allow(dead_code)]
impl AuthApiEvents {
    /// A publisher over `bus`.
    #[must_use]
    pub fn new(bus: &crate::bus::Bus) -> Self {
        Self {
            inner: crate::bus::__private::Publisher::new(bus, &__OUTLINE_OF_AuthApi),
        }
    }
    /// The event `checked`.
    ///
    /// Publish it with `.publish(…)`.
    pub fn checked(&self) -> crate::bus::EventPublisher<Checked> {
        self.inner.event()
    }
}
// }
