/// The API `company.spares` of the bus.
///
/// # Providing it
///
/// ```text
/// impl SparesApi for Provider {
/// }
/// ```
///
/// Its events are published through `SparesApiEvents::new(&bus)`, as in `.stock_changed().publish(StockChanged { … })`, and listened to through `SparesApiClient::new(&bus)`, as in `.stock_changed().listen("my-listener", handler)`.
#[allow(dead_code)]
trait SparesApi: ::core::marker::Send + ::core::marker::Sync + 'static {}
const _: () = {
    #[allow(dead_code, deprecated)]
    fn __these_types_travel_over_the_bus() {
        ::lightbus::__private::assert_wire::<String>();
        ::lightbus::__private::assert_wire::<f64>();
        ::lightbus::__private::assert_wire::<u16>();
        ::lightbus::__private::assert_wire::<Option<String>>();
    }
};
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
static __OUTLINE_OF_SparesApi: ::lightbus::__private::ApiOutline = ::lightbus::__private::ApiOutline {
    name: "company.spares",
    calls: &[],
    tasks: &[],
    events: &[("stock_changed", &[]), ("counted", &[])],
    secret_answers: &[],
};
/// The stock changed.
#[derive(
    ::core::clone::Clone,
    ::core::fmt::Debug,
    ::core::cmp::PartialEq,
    ::lightbus::__private::serde::Serialize,
    ::lightbus::__private::serde::Deserialize,
)]
#[serde(crate = "::lightbus::__private::serde")]
#[derive(Eq)]
#[allow(dead_code, clippy::struct_excessive_bools)]
struct StockChanged {
    /// Its name.
    part: String,
    /// The `left` of the event.
    left: f64,
    /// The `warehouse` of the event.
    warehouse: u16,
    /// The `note` of the event.
    #[serde(default)]
    note: Option<String>,
}
#[automatically_derived]
impl ::lightbus::Event for StockChanged {
    const API: &'static str = "company.spares";
    const NAME: &'static str = "stock_changed";
    const KEYS: &'static [&'static str] = &["part", "warehouse"];
    fn routing_keys(&self, __keys: &mut ::lightbus::__private::KeyWriter) {
        __keys.push(&self.part);
        __keys.push(&self.warehouse);
    }
}
#[allow(dead_code, clippy::needless_pass_by_value)]
impl StockChanged {
    /// Only events of which `part` is this one: for `.only(…)` of a subscription.
    #[must_use]
    fn part_is(
        part: impl ::core::convert::AsRef<str>,
    ) -> ::lightbus::__private::KeyFilter<Self> {
        ::lightbus::__private::KeyFilter::new(
            0,
            ::core::convert::AsRef::<str>::as_ref(&part),
        )
    }
    /// Only events of which `warehouse` is this one: for `.only(…)` of a subscription.
    #[must_use]
    fn warehouse_is(warehouse: u16) -> ::lightbus::__private::KeyFilter<Self> {
        ::lightbus::__private::KeyFilter::new(1, &warehouse)
    }
}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __two_events_are_named_StockChanged__rename_one_by_payload_in_its_event_attribute: () = ();
/// The event `counted` of the API `company.spares`.
#[derive(
    ::core::clone::Clone,
    ::core::fmt::Debug,
    ::core::cmp::PartialEq,
    ::lightbus::__private::serde::Serialize,
    ::lightbus::__private::serde::Deserialize,
)]
#[serde(crate = "::lightbus::__private::serde")]
#[allow(dead_code, clippy::struct_excessive_bools)]
struct InventoryDone {}
#[automatically_derived]
impl ::lightbus::Event for InventoryDone {
    const API: &'static str = "company.spares";
    const NAME: &'static str = "counted";
}
#[doc(hidden)]
#[allow(dead_code, non_upper_case_globals)]
const __two_events_are_named_InventoryDone__rename_one_by_payload_in_its_event_attribute: () = ();
// __if_client! {
/// Calls the API `company.spares`, and listens to its events, over the bus.
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
#[allow(dead_code)]
struct SparesApiClient {
    inner: ::lightbus::__private::Client,
}
#[allow(dead_code, clippy::needless_pass_by_value, clippy::too_many_arguments)]
impl SparesApiClient {
    /// A client that calls and listens over `bus`.
    #[must_use]
    fn new(bus: &::lightbus::Bus) -> Self {
        Self {
            inner: ::lightbus::__private::Client::new(bus, &__OUTLINE_OF_SparesApi),
        }
    }
    /// The stock changed.
    ///
    /// Listen to it with `.listen(…)`, `.broadcast(…)` or `.stream(…)`.
    #[deprecated]
    fn stock_changed(&self) -> ::lightbus::Subscription<StockChanged> {
        self.inner.subscribe()
    }
    /// The event `counted`.
    ///
    /// Listen to it with `.listen(…)`, `.broadcast(…)` or `.stream(…)`.
    fn inventory_done(&self) -> ::lightbus::Subscription<InventoryDone> {
        self.inner.subscribe()
    }
    /// All events of the API, as one enum.
    fn events(&self) -> ::lightbus::Subscription<SparesApiEvent> {
        self.inner.subscribe()
    }
}
/// Any event of the API `company.spares`.
#[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
#[allow(dead_code, clippy::enum_variant_names, clippy::large_enum_variant)]
enum SparesApiEvent {
    /// The stock changed.
    StockChanged(StockChanged),
    /// The event `counted`.
    InventoryDone(InventoryDone),
}
#[automatically_derived]
impl ::lightbus::__private::EventSet for SparesApiEvent {
    const API: &'static str = "company.spares";
    const EVENTS: &'static [&'static str] = &["stock_changed", "counted"];
    fn decode(
        __event: &str,
        __payload: ::lightbus::__private::Payload<'_>,
    ) -> ::core::result::Result<Self, ::lightbus::__private::DecodeError> {
        match __event {
            "stock_changed" => __payload.decode().map(Self::StockChanged),
            "counted" => __payload.decode().map(Self::InventoryDone),
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
/// Publishes the events of the API `company.spares`: its provider's side of them.
#[derive(::core::clone::Clone, ::core::fmt::Debug)]
#[allow(dead_code)]
struct SparesApiEvents {
    inner: ::lightbus::__private::Publisher,
}
#[allow(dead_code)]
impl SparesApiEvents {
    /// A publisher over `bus`.
    #[must_use]
    fn new(bus: &::lightbus::Bus) -> Self {
        Self {
            inner: ::lightbus::__private::Publisher::new(bus, &__OUTLINE_OF_SparesApi),
        }
    }
    /// The stock changed.
    ///
    /// Publish it with `.publish(…)`.
    #[deprecated]
    fn stock_changed(&self) -> ::lightbus::EventPublisher<StockChanged> {
        self.inner.event()
    }
    /// The event `counted`.
    ///
    /// Publish it with `.publish(…)`.
    fn inventory_done(&self) -> ::lightbus::EventPublisher<InventoryDone> {
        self.inner.event()
    }
}
// }
