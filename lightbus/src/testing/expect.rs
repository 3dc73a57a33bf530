//! Expecting messages: what was sent, by whom, how often, and what became of it.

use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::time::{Duration, Instant};

use lightbus_runtime::__testing::json_of;
use lightbus_runtime::Call;
use serde::Serialize;
use serde_json::Value;

use super::order::Sequence;
use super::settled::{LOOK, Looked, Watch, too_fast};
use super::test_bus::TestBus;
use super::unmet::{Late, unmet, unproven};
use super::wanted::{Became, Content, Wanted};

/// A message that is expected; made by [`TestBus::published`], [`TestBus::called`] and [`TestBus::enqueued`]. Awaited, it waits until the message was sent, and that has become of it which
/// is asked for; or, where the number counts, until the bus is [settled](TestBus::settled). Before it gives up, nothing may have happened for a quarter of a second (half a second on a RabbitMQ).
///
/// ```
/// # use lightbus::testing::TestBus;
/// # #[lightbus::api(name = "auth")]
/// # pub trait AuthApi {
/// #     async fn check_password(&self, username: String, password: String) -> Result<bool, String>;
/// #     #[event]
/// #     fn user_registered(username: String, age: u8);
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bus = TestBus::start().await?;
/// # let auth = AuthApiClient::new(&bus);
/// # let app = bus.app("shop").await?;
/// # let greet = |_: UserRegistered| async { Ok::<_, lightbus::HandlerError>(()) };
/// # AuthApiClient::new(&app).user_registered().listen("greet", greet).await?;
/// let ada = || UserRegistered { username: "ada".into(), age: 36 };
/// bus.stub(auth.check_password("ada", "x")).returns(true).await?;
/// bus.simulate(ada()).await?;
/// auth.check_password("ada", "x").await?;
///
/// bus.published(ada()).once().await;
/// bus.published(ada()).such(|user| user["age"].as_u64() > Some(18)).handled_by("shop").await;
/// bus.published(ada()).then(bus.called(auth.check_password("ada", "x")).returned(true)).await;
/// bus.called(auth.check_password("", "")).any_arguments().by("shop").never().await;
/// # Ok(()) }
/// ```
///
/// # Panics
/// When it is not as expected: with what was wanted, the nearest message of the same name, where they differ, what became of it, and what else went wrong on the bus.
#[must_use = "nothing is checked until this is awaited"]
pub struct Expectation<S> {
    expected: Expected,
    of: PhantomData<fn(S)>,
}

/// An expectation without its type.
pub(super) struct Expected {
    pub(super) bus: TestBus,
    pub(super) wanted: Wanted,
    pub(super) number: Number,
    /// As the test says.
    within: Option<Duration>,
    pub(super) location: &'static Location<'static>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Number {
    AtLeastOne,
    Exactly(usize),
}

impl<S> Expectation<S> {
    pub(super) fn new(bus: &TestBus, wanted: Wanted, location: &'static Location<'static>) -> Self {
        Self {
            expected: Expected {
                bus: bus.clone(),
                wanted,
                number: Number::AtLeastOne,
                within: None,
                location,
            },
            of: PhantomData,
        }
    }

    /// So many times, no more and no less. Default: at least once.
    pub fn times(mut self, times: usize) -> Self {
        self.expected.number = Number::Exactly(times);
        self
    }

    /// Once, and no second time.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Not at all.
    pub fn never(self) -> Self {
        self.times(0)
    }

    /// By this app.
    pub fn by(mut self, app: &str) -> Self {
        self.expected.wanted.by = Some(app.to_owned());
        self
    }

    /// Compares these fields only, or arguments, as JSON, in place of all: `.fields(json!({"username": "ada"}))`.
    pub fn fields(mut self, fields: Value) -> Self {
        self.expected.wanted.content = Content::Fields(fields);
        self
    }

    /// With fields or arguments that are such, as JSON, in place of those given: `.such(|user| user["age"].as_u64() > Some(18))`.
    pub fn such(mut self, is_such: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        let content = Content::Such(Box::new(move |seen| {
            let content = seen.content.as_ref();
            content.map(&is_such).map_err(Clone::clone)
        }));
        self.expected.wanted.content = content;
        self
    }

    /// Whatever the fields or arguments are.
    pub fn any_arguments(mut self) -> Self {
        self.expected.wanted.content = Content::Such(Box::new(|_| Ok(true)));
        self
    }

    /// With this header of the application's.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let header = (name.to_owned(), value.to_owned());
        self.expected.wanted.headers.push(header);
        self
    }

    /// One of this app's listeners or workers has handled it (where it has several: [`heard_by`](Self::heard_by)); or, of a call, the app has answered it, be it with an error of the method's own.
    pub fn handled_by(self, app: &str) -> Self {
        self.became(Became::HandledBy(app.to_owned()))
    }

    /// Of an event: this listener of the app has handled it, whatever became of it in the app's other ones. Not for broadcast listeners.
    pub fn heard_by(self, app: &str, listener: &str) -> Self {
        self.became(Became::HeardBy(app.to_owned(), listener.to_owned()))
    }

    /// It went to the dead letters: no attempt could handle it, or it waited for too long.
    pub fn dead(self) -> Self {
        self.became(Became::Dead)
    }

    /// The same, and this is part of the reason, or of what its handler said.
    pub fn dead_because(self, why: &str) -> Self {
        self.became(Became::DeadBecause(why.to_owned()))
    }

    /// So many attempts failed and were followed by another one; of several listeners, with the one that has tried the most.
    ///
    /// Those that follow one another in place, within half a second, are told by apps that are connected by [`TestBus::app`] or [`TestBus::app_builder`]; in another process they are not seen before
    /// the message is dead.
    pub fn retried(self, times: u32) -> Self {
        self.became(Became::Retried(times))
    }

    /// Waits for so long, by the system's time: also on a bus that is quiet, for what a program does outside of it; and no longer, even if the bus is never quiet. Default: until the bus has been quiet for a quarter of a second, at most 10 s.
    pub fn within(mut self, within: Duration) -> Self {
        self.expected.within = Some(within);
        self
    }

    /// Both are expected, and this one before the next, as the broker has taken them. Others may be in between. What is asked for by [`once`](Self::once) and the like
    /// counts in the whole test.
    pub fn then<N>(self, next: Expectation<N>) -> Sequence {
        Sequence::of(self.expected, next.expected)
    }

    fn became(mut self, became: Became) -> Self {
        self.expected.wanted.became.push(became);
        self
    }

    pub(super) fn into_expected(self) -> Expected {
        self.expected
    }
}

impl<T, E> Expectation<Call<T, E>> {
    /// It was answered with this value.
    pub fn returned(self, value: T) -> Self
    where
        T: Serialize,
    {
        let value = self.json(&value);
        self.became(Became::Returned(value))
    }

    /// It was answered with this error of the method's own.
    pub fn failed(self, error: E) -> Self
    where
        E: Serialize,
    {
        let error = self.json(&error);
        self.became(Became::Failed(error))
    }

    fn json(&self, value: &impl Serialize) -> Value {
        json_of(value).unwrap_or_else(|why| {
            let Expected { bus, location, .. } = &self.expected;
            bus.fail(&format!(
                "{location}: the answer that is expected cannot be encoded: {why}"
            ))
        })
    }
}

impl Expected {
    /// Must the bus be quiet before it is met?
    fn is_final(&self) -> bool {
        let became = &self.wanted.became;
        let counts = became
            .iter()
            .any(|became| matches!(became, Became::Retried(_)));
        counts || self.number != Number::AtLeastOne
    }

    pub(super) fn is_met_by(&self, found: usize) -> bool {
        match self.number {
            Number::AtLeastOne => found > 0,
            Number::Exactly(times) => found == times,
        }
    }

    /// For how long it waits on a bus that is quiet, if the test says so.
    pub(super) fn asked_within(&self) -> Option<Duration> {
        self.within
    }

    pub(super) async fn check(self) {
        let (begun, pace) = (Instant::now(), self.bus.pace());
        let within = self.within.unwrap_or(self.bus.patience());
        let mut watch = Watch::default();
        loop {
            let (found, looked) = watch.look(&self.bus, |traffic| {
                let all = &mut traffic.seen;
                let found = all.iter_mut().filter(|seen| self.wanted.matches(seen));
                found.map(|seen| seen.is_expected = true).count()
            });
            let Looked { busy, quiet, .. } = looked;
            if self.is_final() && looked.missed > 0 {
                self.bus.fail(&too_fast(looked.missed, self.location));
            }
            if self.is_met_by(found) && (quiet >= pace.quiet || !self.is_final()) {
                return self.met();
            }
            let is_late = begun.elapsed() > within;
            let is_over = matches!(self.number, Number::Exactly(times) if found > times);
            let is_end = quiet >= pace.end;
            if is_over || is_late || (is_end && self.within.is_none()) {
                let late = (is_late && !is_end).then_some(Late { within, busy });
                self.bus.fail(&unmet(&self, found, late));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Expected {
    /// It is met, unless that proves nothing.
    fn met(self) {
        match self.number {
            Number::AtLeastOne => self.bus.clone().expects_more(self.wanted),
            Number::Exactly(_) => {
                let unproven = self.bus.look(|traffic, _| unproven(&self, traffic));
                if let Some(text) = unproven {
                    self.bus.fail(&text);
                }
            }
        }
    }
}

impl<S> IntoFuture for Expectation<S> {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.expected.check())
    }
}

impl<S> std::fmt::Debug for Expectation<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expectation")
            .field("of", &self.expected.wanted.subject())
            .finish_non_exhaustive()
    }
}
