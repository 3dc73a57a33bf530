//! A bus of a test's own.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lightbus_broker::{Broker, Faults, Snapshot};
use lightbus_runtime::__testing::{Clock, Kind, Sendable, event, is_closed, observed, with_clock};
use lightbus_runtime::{Bus, BusBuilder, Call, Error, Event, Task};

use super::apps::Apps;
use super::away::coming_back;
use super::clues;
use super::expect::Expectation;
use super::paint;
use super::place::Place;
use super::rabbitmq;
use super::seen::Seen;
use super::settled::{Pace, too_fast};
use super::story;
use super::stub::{Stub, Stubs};
use super::traffic::{Attempts, Traffic};
use super::unmet::{unexpected, with_clues};
use super::wanted::{Content, Wanted};

/// The name of the test's own app.
pub(super) const TEST: &str = "test";
const PATIENCE: Duration = Duration::from_secs(10);
/// A hundred years.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A bus of a test's own: an embedded broker that nobody else knows (or a virtual host of a [RabbitMQ](super#on-a-rabbitmq)), and a connection to it, as the app `test`. It is a [`Bus`]: clients are made over it, and whatever a test sends
/// goes the way that it takes in production. Cheap to clone; gone when the last clone is dropped.
///
/// What the programs under test get is [`app`](Self::app): an ordinary [`Bus`], of which they do not know that it is a test's.
///
/// ```
/// use lightbus::testing::TestBus;
/// # #[lightbus::api(name = "auth")]
/// # pub trait AuthApi {
/// #     async fn check_password(&self, username: String, password: String) -> bool;
/// #     #[event]
/// #     fn user_registered(username: String);
/// # }
/// # async fn mailer(bus: &lightbus::Bus) -> Result<(), lightbus::Error> {
/// #     let auth = AuthApiClient::new(bus);
/// #     let client = auth.clone();
/// #     let greet = move |user: UserRegistered| {
/// #         let auth = client.clone();
/// #         async move { auth.check_password(user.username, "").await.map(drop).map_err(lightbus::HandlerError::from) }
/// #     };
/// #     auth.user_registered().listen("greet", greet).await?;
/// #     Ok(())
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = TestBus::start().await?;
/// mailer(&bus.app("mailer").await?).await?; // the program under test
///
/// let auth = AuthApiClient::new(&bus);
/// bus.stub(auth.check_password("ada", "")).returns(true).await?;
/// bus.simulate(UserRegistered { username: "ada".into() }).await?;
/// bus.called(auth.check_password("ada", "")).by("mailer").once().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TestBus {
    inner: Arc<Inner>,
}

struct Inner {
    bus: Bus,
    place: Place,
    /// The time of all programs on it, if a test moves it.
    clock: Option<Arc<Clock>>,
    traffic: Arc<Mutex<Traffic>>,
    attempts: Attempts,
    apps: Apps,
    stubs: Stubs,
    /// What was expected at least once, and was sent.
    met: Mutex<Vec<Wanted>>,
    /// What the bus belongs to.
    name: String,
    /// The story was printed.
    is_told: AtomicBool,
}

impl Inner {
    fn look<R>(&self, look: impl FnOnce(&mut Traffic, Option<&Snapshot>) -> R) -> R {
        let snapshot = self.place.snapshot();
        let apps = self.apps.all();
        let apps: Vec<_> = apps.iter().chain([&self.bus]).collect();
        let away = snapshot.as_ref();
        let away = away.and_then(|snapshot| {
            let open = apps.iter().copied().filter(|app| !is_closed(app));
            coming_back(open, snapshot)
        });
        let mut traffic = lock(&self.traffic);
        traffic.read();
        traffic.give_up(&apps);
        traffic.away = away;
        traffic.served_twice = self.stubs.beside(&apps);
        look(&mut traffic, snapshot.as_ref())
    }

    /// What is wrong although every expectation was met; `None` if nothing is.
    fn complaint(&self) -> Option<String> {
        self.look(|traffic, _| {
            let first = clues::complaints(traffic, &self.stubs).into_iter().next()?;
            Some(first.told_alone())
        })
    }

    /// The story, and what went wrong.
    fn account(&self) -> String {
        self.look(|traffic, snapshot| {
            let text = story::tell(traffic, &self.name);
            with_clues(text, traffic, snapshot, &self.stubs)
        })
    }
}

/// The test that this thread runs, or else the bus.
fn current_test() -> String {
    let thread = std::thread::current();
    match thread.name() {
        Some(name) if name != "main" && !name.starts_with("tokio-") => name.to_owned(),
        _ => "the bus".to_owned(),
    }
}

impl TestBus {
    /// Starts one: a broker in the process, and a connection to it; or, if `LIGHTBUS_TEST_URL` is set, a virtual host of its own on that [RabbitMQ](super#on-a-rabbitmq).
    ///
    /// # Errors
    /// When no loopback port is to be had, or the process has no sockets left; when the RabbitMQ or its management API cannot be reached, or refuses the user.
    pub async fn start() -> Result<Self, StartError> {
        match rabbitmq::url() {
            Some(url) => Self::on_rabbitmq(&url).await,
            None => Self::embedded().await,
        }
    }

    pub(super) async fn embedded() -> Result<Self, StartError> {
        Self::on(Place::embedded(Broker::builder()).await, None).await
    }

    pub(super) async fn on_rabbitmq(url: &str) -> Result<Self, StartError> {
        Self::on(Place::rabbitmq(url).await, None).await
    }

    /// The same, on which time stands still until [`advance`](Self::advance) moves it: what waits for hours and days, a retry, a delayed task, a schedule or a deadline, is there in
    /// milliseconds. It is always on a broker in the process. The time begins at the real one: a schedule for three in the morning is due within a day, and when on that day
    /// depends on when the test runs.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn with_virtual_time() -> Result<Self, StartError> {
        // What programs keep unacknowledged they renew by the system's time.
        let broker = Broker::builder().manual_clock().consumer_timeout(NEVER);
        Self::on(Place::embedded(broker).await, Some(Arc::default())).await
    }

    async fn on(
        place: Result<Place, String>,
        clock: Option<Arc<Clock>>,
    ) -> Result<Self, StartError> {
        let place = place.map_err(StartError)?;
        let attempts = Attempts::default();
        let mut traffic = Traffic::new(place.events(), attempts.clone());
        traffic.has_virtual_time = clock.is_some();
        let bus = builder(TEST, &place, clock.as_ref()).connect().await;
        Ok(Self {
            inner: Arc::new(Inner {
                bus: bus.map_err(|error| StartError(error.to_string()))?,
                place,
                clock,
                traffic: Arc::new(Mutex::new(traffic)),
                attempts,
                apps: Apps::default(),
                stubs: Stubs::default(),
                met: Mutex::default(),
                name: current_test(),
                is_told: AtomicBool::new(false),
            }),
        })
    }

    /// A connection for a program under test, under its own name. As many as one likes. It stays open until it is closed, or the test ends.
    ///
    /// # Errors
    /// [`Error::Config`] for an illegal name, and for `test`, which the test itself has.
    pub async fn app(&self, name: &str) -> Result<Bus, Error> {
        if name == TEST {
            return Err(Error::Config(format!(
                "`{TEST}` is the name of the test's own app: give the program under test another one"
            )));
        }
        let app = self.app_builder(name).connect().await?;
        self.inner.apps.keep(app.clone());
        Ok(app)
    }

    /// Settings of such a connection. What is connected by it stays open as long as somebody holds it.
    pub fn app_builder(&self, name: &str) -> BusBuilder {
        let Inner { place, clock, .. } = &*self.inner;
        let Inner {
            apps,
            traffic,
            attempts,
            ..
        } = &*self.inner;
        let app = builder(name, place, clock.as_ref());
        observed(app, apps.observer(traffic, attempts))
    }

    /// Where programs connect that are processes of their own: for `LIGHTBUS_URL` in their environment.
    pub fn url(&self) -> String {
        self.inner.place.url()
    }

    /// What can be made to go wrong on purpose: connections cut, messages delayed, doubled or lost, the broker restarted.
    ///
    /// # Panics
    /// On a RabbitMQ, which does none of that.
    pub fn faults(&self) -> Faults {
        self.embedded_for("`TestBus::faults`").faults()
    }

    /// The broker itself, to look into.
    ///
    /// # Panics
    /// On a RabbitMQ, which is not in the process.
    pub fn broker(&self) -> &Broker {
        self.embedded_for("`TestBus::broker`")
    }

    /// The embedded broker; a test that is not on it fails.
    fn embedded_for(&self, what: &str) -> &Broker {
        let broker = self.inner.place.broker(what);
        broker.unwrap_or_else(|why| self.fail(&why))
    }

    /// Sends what somebody else would send: publishes an event, makes a call and waits for its answer, or enqueues a task. The very values that [`published`](Self::published),
    /// [`called`](Self::called) and [`enqueued`](Self::enqueued) take.
    ///
    /// # Errors
    /// Those of publishing, calling or enqueueing.
    pub async fn simulate<S: Sendable>(&self, message: S) -> S::Sent {
        message.send(&self.inner.bus).await
    }

    /// Expects an event to have been published, or to be while the bus is not quiet: `bus.published(UserRegistered { .. }).once().await`.
    #[track_caller]
    pub fn published<E: Event>(&self, event: E) -> Expectation<E> {
        self.expect(&event, Location::caller())
    }

    /// The same, of an event that is such: `bus.published_such(|user: &UserRegistered| user.email.contains('@')).await`.
    #[track_caller]
    pub fn published_such<E: Event>(
        &self,
        is_such: impl Fn(&E) -> bool + Send + Sync + 'static,
    ) -> Expectation<E> {
        let is_such = move |seen: &Seen| {
            let message = &seen.message;
            event::<E>(message.body(), message.content_type()).map(|event| is_such(&event))
        };
        let content = Content::Such(Box::new(is_such));
        let wanted = Wanted::new(Kind::Event, E::API, E::NAME, content);
        Expectation::new(self, wanted, Location::caller())
    }

    /// Expects a call to have been made, with these arguments: `bus.called(auth.check_password("ada", "secret")).await`. The call itself is not made.
    #[track_caller]
    pub fn called<T, E>(&self, call: Call<T, E>) -> Expectation<Call<T, E>>
    where
        Call<T, E>: Sendable,
    {
        self.expect(&call, Location::caller())
    }

    /// Expects a task to have been enqueued, with these arguments: `bus.enqueued(auth.resize_avatar(7)).await`. The task itself is not enqueued.
    #[track_caller]
    pub fn enqueued<T, E>(&self, task: Task<T, E>) -> Expectation<Task<T, E>>
    where
        Task<T, E>: Sendable,
    {
        self.expect(&task, Location::caller())
    }

    /// Expects whatever can be sent: what [`published`](Self::published), [`called`](Self::called) and [`enqueued`](Self::enqueued) do for an event, a call and a task, and the same for a
    /// [`Raw`](super::Raw) message: `bus.sent(Raw::event("auth", "user_registered", body)).handled_by("mailer").await`.
    #[track_caller]
    pub fn sent<S: Sendable>(&self, message: S) -> Expectation<S> {
        self.expect(&message, Location::caller())
    }

    fn expect<S: Sendable>(
        &self,
        message: &S,
        location: &'static Location<'static>,
    ) -> Expectation<S> {
        match message.outline() {
            Ok(outline) => Expectation::new(self, Wanted::exactly(outline), location),
            Err(why) => self.fail(&format!(
                "{location}: what is expected cannot be encoded: {why}"
            )),
        }
    }

    /// Answers calls of a method, with these arguments, in place of an app that is not part of the test: see [`Stub`].
    #[track_caller]
    pub fn stub<T, E>(&self, call: Call<T, E>) -> Stub<T, E>
    where
        Call<T, E>: Sendable,
    {
        let location = Location::caller();
        match call.outline() {
            Ok(outline) => Stub::new(self, outline),
            Err(why) => self.fail(&format!(
                "{location}: what is stubbed cannot be encoded: {why}"
            )),
        }
    }

    /// Waits until the bus is quiet: no message is on its way or being handled, no call waits for its answer, and nothing is about to be tried again within half a second. What waits for
    /// longer, a retry or a task that is due later, is left where it is, as is what nobody consumes. An [`app`](Self::app) that has lost a connection is waited for; the handler of a call whose
    /// caller has given up is waited for until nothing has happened for a quarter of a second.
    ///
    /// # Panics
    /// When that takes longer than 10 s, with what is going on.
    #[track_caller]
    pub fn settled(&self) -> impl Future<Output = ()> + Send {
        self.wait_until_quiet(PATIENCE, Location::caller())
    }

    /// Waits until the bus is [settled](Self::settled), and expects that no app has sent anything but what an expectation before this one was met by. What the test itself sends does not count.
    ///
    /// ```
    /// # use lightbus::testing::TestBus;
    /// # #[lightbus::api(name = "auth")]
    /// # pub trait AuthApi { #[event] fn user_registered(username: String); }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let bus = TestBus::start().await?;
    /// # let app = bus.app("auth-app").await?;
    /// let ada = UserRegistered { username: "ada".into() };
    /// # AuthApiEvents::new(&app).user_registered().publish(ada.clone()).await?;
    /// bus.published(ada).by("auth-app").once().await;
    /// bus.nothing_else().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    /// With what else was sent, and as [`settled`](Self::settled).
    #[track_caller]
    pub fn nothing_else(&self) -> impl Future<Output = ()> + Send {
        let location = Location::caller();
        async move {
            self.wait_until_quiet(PATIENCE, location).await;
            let met = lock(&self.inner.met);
            let unexpected = self.look(|traffic, _| match traffic.missed {
                0 => unexpected(traffic, &met, location),
                missed => Some(too_fast(missed, location)),
            });
            drop(met);
            if let Some(text) = unexpected {
                self.fail(&text);
            }
        }
    }

    /// Who sent what, where it went, and what became of it, up to now. A test that fails prints it.
    pub fn story(&self) -> String {
        self.look(|traffic, _| story::tell(traffic, &self.inner.name))
    }

    pub(super) fn clock(&self) -> Option<&Arc<Clock>> {
        self.inner.clock.as_ref()
    }

    /// Those that were connected by it.
    pub(super) fn apps(&self) -> Vec<Bus> {
        self.inner.apps.all()
    }

    pub(super) fn pace(&self) -> Pace {
        self.inner.place.pace()
    }

    pub(super) fn patience(&self) -> Duration {
        PATIENCE
    }

    /// More of it is expected as well.
    pub(super) fn expects_more(&self, of: Wanted) {
        lock(&self.inner.met).push(of);
    }

    pub(super) fn stubs(&self) -> &Stubs {
        &self.inner.stubs
    }

    pub(super) fn look<R>(&self, look: impl FnOnce(&mut Traffic, Option<&Snapshot>) -> R) -> R {
        self.inner.look(look)
    }

    /// The story, and what went wrong.
    #[doc(hidden)]
    pub fn account(&self) -> String {
        self.inner.account()
    }

    /// Ends the test, without the hook for panics, which would name a place in here.
    pub(super) fn fail(&self, why: &str) -> ! {
        paint::print(&format!("{why}\n{}", self.story()));
        self.inner.is_told.store(true, Relaxed);
        std::panic::resume_unwind(Box::new(why.to_owned()))
    }

    /// What is wrong although every expectation was met; `None` if nothing is.
    pub(super) fn complaint(&self) -> Option<String> {
        self.inner.complaint()
    }
}

/// Settings of an app's bus.
fn builder(app: &str, place: &Place, clock: Option<&Arc<Clock>>) -> BusBuilder {
    let builder = Bus::builder(app).url(place.url());
    match clock {
        Some(clock) => with_clock(builder, clock),
        None => builder,
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Inner {
    /// A test that fails is told why. One that was not run by `#[lightbus::test]` fails here if a call was not answered by its stubs.
    fn drop(&mut self) {
        if self.is_told.load(Relaxed) {
            return;
        }
        if std::thread::panicking() {
            paint::print(&self.account());
        } else if let Some(complaint) = self.complaint() {
            let story = self.look(|traffic, _| story::tell(traffic, &self.name));
            paint::print(&format!("{complaint}\n{story}"));
            std::panic::resume_unwind(Box::new(complaint));
        }
    }
}

impl Deref for TestBus {
    type Target = Bus;

    fn deref(&self) -> &Bus {
        &self.inner.bus
    }
}

impl fmt::Debug for TestBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBus")
            .field("bus", &self.inner.bus)
            .finish_non_exhaustive()
    }
}

/// Why a test has no bus.
#[derive(Clone, Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a test's bus cannot be started: {}", self.0)
    }
}

impl std::error::Error for StartError {}
