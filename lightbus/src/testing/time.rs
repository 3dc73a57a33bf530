//! Waiting: until a bus is quiet, and, where time is virtual, for what is due later.

use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lightbus_runtime::__testing::{
    Clock, Kind, in_flight, is_scheduler_at_rest, runs_calls, schedules,
};
use lightbus_runtime::{Bus, Error};

use super::settled::{LOOK, Looked, Watch, not_quiet};
use super::test_bus::TestBus;

impl TestBus {
    /// For [`settled`](TestBus::settled).
    pub(super) async fn wait_until_quiet(
        &self,
        patience: Duration,
        location: &'static Location<'static>,
    ) {
        let pace = self.pace();
        let is_enough = |look: &Looked| look.quiet >= pace.quiet;
        self.wait(patience, is_enough, Some(location)).await;
    }

    /// Looks until it is enough.
    async fn wait(
        &self,
        patience: Duration,
        is_enough: impl Fn(&Looked) -> bool,
        location: Option<&'static Location<'static>>,
    ) {
        let (begun, mut watch) = (Instant::now(), Watch::default());
        loop {
            let ((), looked) = watch.look(self, |_| ());
            if is_enough(&looked) {
                return;
            }
            if begun.elapsed() > patience {
                self.fail(&not_quiet(self, patience, looked.busy, location));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What time it is for the programs on the bus.
    pub(super) fn date(&self) -> SystemTime {
        self.clock().map_or_else(SystemTime::now, |it| it.date())
    }

    /// What has not come to the broker yet, or is to be answered.
    pub(super) fn in_flight(&self) -> Option<String> {
        let mut apps = self.apps();
        apps.push(Bus::clone(self));
        apps.iter()
            .find_map(|app| Some(format!("{} {}", app.app(), in_flight(app)?)))
    }

    /// A call that runs: one that nobody waits for any more, if it is the last thing that is going on.
    pub(super) fn runs_on(&self) -> Option<String> {
        let apps = self.apps();
        let app = apps.iter().find(|app| runs_calls(app))?;
        let app = app.app();
        Some(format!(
            "a call runs in {app}, though its caller has given up"
        ))
    }

    /// Where a test moves the time: schedules that nobody waits to fire yet.
    pub(super) fn unready_schedules(&self) -> Option<String> {
        self.clock()?;
        let apps = self.apps();
        let has_any = |app: &&Bus| !schedules(app).is_empty();
        let is_unready = |app: &&Bus| {
            let mut replicas = apps.iter().filter(|other| other.app() == app.app());
            !replicas.any(is_scheduler_at_rest)
        };
        let unready = apps.iter().filter(has_any).find(is_unready)?;
        Some(format!(
            "no process of `{}` fires its schedules yet",
            unready.app()
        ))
    }

    /// Moves the time of a bus that was started [`with_virtual_time`](Self::with_virtual_time). Whatever falls due on the way happens in its order, each before the next: the bus is
    /// [settled](Self::settled) in between.
    ///
    /// It is the time of the broker and of all apps of the test: of delays and retries, of what expires, of deadlines of calls, of schedules, and of [`Stub::after`](super::Stub::after). It
    /// is not the time of a handler that sleeps by itself, of the stores of [deduplication](crate::DedupStore), nor of programs that are processes of their own.
    ///
    /// Each moment at which something is due costs some milliseconds. A handler that waits for something outside of the bus, a file or another thread, has a quarter of a second before its deadline is moved to, and the twentieth part of a second while another message
    /// waits for the clock.
    ///
    /// ```
    /// # use lightbus::testing::TestBus;
    /// # use lightbus::CallError;
    /// # use std::time::Duration;
    /// # #[lightbus::api(name = "auth")]
    /// # pub trait AuthApi {
    /// #     async fn count(&self) -> u64;
    /// #     #[task(result_ttl = "1d")]
    /// #     async fn remind(&self, user_id: u64) -> u64;
    /// # }
    /// # struct Auth;
    /// # impl AuthApi for Auth {
    /// #     async fn count(&self) -> u64 { std::future::pending().await }
    /// #     async fn remind(&self, user_id: u64) -> u64 { user_id }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = TestBus::with_virtual_time().await?;
    /// bus.app("auth-app").await?.serve(AuthApiServer::new(Auth)).await?;
    /// let auth = AuthApiClient::new(&bus);
    ///
    /// let reminder = auth.remind(7).after(Duration::from_secs(3600)).enqueue().await?;
    /// bus.advance(Duration::from_secs(3600)).await;
    /// assert_eq!(reminder.result().await?, 7);
    ///
    /// // A provider that never answers: the call's timeout comes at once.
    /// let count = tokio::spawn(auth.count().timeout(Duration::from_secs(30)).into_future());
    /// bus.advance(Duration::from_secs(30)).await;
    /// assert!(matches!(count.await?, Err(CallError::Timeout(_))));
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    /// When the bus has no virtual time, and as [`settled`](Self::settled).
    #[track_caller]
    pub fn advance(&self, by: Duration) -> impl Future<Output = ()> + Send {
        self.advance_from(by, Location::caller())
    }

    async fn advance_from(&self, by: Duration, location: &'static Location<'static>) {
        let Some(clock) = self.clock().map(Arc::clone) else {
            self.fail(&format!(
                "{location}: the time of this bus goes by itself: write `#[lightbus::test(virtual_time)]`, or start it by `TestBus::with_virtual_time()`\n"
            ));
        };
        let end = clock.passed().saturating_add(by);
        loop {
            self.wait_for_the_clock(&clock).await;
            let next = self.next_due(&clock).filter(|next| *next < end);
            self.move_to(&clock, next.unwrap_or(end));
            if next.is_none() {
                break;
            }
        }
        self.wait_for_the_clock(&clock).await;
    }

    /// Until the time stands still for so long, nothing happens meanwhile, and something waits for the time to be moved. For ever where it goes by itself.
    pub(super) async fn standstill(&self, limit: Duration) {
        let Some(clock) = self.clock().map(Arc::clone) else {
            return std::future::pending().await;
        };
        let mut last = (Duration::ZERO, 0);
        let mut since = Instant::now();
        while since.elapsed() < limit {
            tokio::time::sleep(limit / 20).await;
            let now = (clock.passed(), self.look(|traffic, _| traffic.count));
            if now != last || self.next_due(&clock).is_none() {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// Until nothing happens any more before the clock is moved. What hangs, and has a deadline, waits for that.
    async fn wait_for_the_clock(&self, clock: &Clock) {
        let pace = self.pace();
        let is_enough = |look: &Looked| {
            let hangs = look.still >= pace.end && clock.next_due().is_some();
            look.quiet >= pace.quiet || hangs
        };
        self.wait(self.patience(), is_enough, None).await;
    }

    /// When the next thing may happen, counted from the beginning.
    fn next_due(&self, clock: &Clock) -> Option<Duration> {
        let of_broker = self.broker().next_due().ok().flatten();
        let of_broker = of_broker.map(|due| clock.passed() + due);
        let both = [of_broker, clock.next_due()];
        both.into_iter().flatten().min()
    }

    fn move_to(&self, clock: &Clock, passed: Duration) {
        let by = passed.saturating_sub(clock.passed());
        if let Err(error) = self.broker().advance(by) {
            self.fail(&error.to_string());
        }
        clock.move_to(passed);
    }

    /// Fires a schedule once, now, whenever it is due, and waits until the bus is [settled](Self::settled): the task that it runs has been worked on, if somebody does so.
    ///
    /// ```
    /// # use lightbus::testing::TestBus;
    /// # #[lightbus::api(name = "shop")]
    /// # pub trait ShopApi { #[task] async fn clean_up(&self); }
    /// # async fn run_shop(bus: &lightbus::Bus) -> Result<(), lightbus::Error> {
    /// #     let shop = ShopApiClient::new(bus);
    /// #     bus.schedule("nightly").cron("0 3 * * *").run(shop.clean_up()).await?;
    /// #     Ok(())
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bus = TestBus::start().await?;
    /// run_shop(&bus.app("shop").await?).await?;
    /// bus.run_schedule("nightly").await?;
    /// bus.enqueued(ShopApiClient::new(&bus).clean_up()).by("shop").once().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the word to the app is not stored.
    ///
    /// # Panics
    /// When no app of the test, has such a schedule; when it is not fired within 10 s; and as [`settled`](Self::settled).
    #[track_caller]
    pub fn run_schedule(&self, name: &str) -> impl Future<Output = Result<(), Error>> + Send {
        self.run_schedule_from(name, Location::caller())
    }

    async fn run_schedule_from(
        &self,
        name: &str,
        location: &'static Location<'static>,
    ) -> Result<(), Error> {
        let apps = self.apps();
        let Some(app) = apps
            .iter()
            .find(|app| schedules(app).iter().any(|it| it == name))
        else {
            self.fail(&format!("{location}: {}\n", no_such_schedule(name, &apps)));
        };
        let before = self.fired(app.app(), name);
        app.schedules().get(name)?.run_now().await?;
        let begun = Instant::now();
        while self.fired(app.app(), name) == before {
            if begun.elapsed() > self.patience() {
                let app = app.app();
                self.fail(&format!(
                    "{location}: `{app}` did not fire its schedule `{name}`"
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
        self.settled().await;
        Ok(())
    }

    /// How often a schedule has been fired.
    fn fired(&self, app: &str, name: &str) -> usize {
        self.look(|traffic, _| {
            let tasks = traffic.seen.iter().filter(|seen| seen.kind == Kind::Task);
            tasks
                .filter(|seen| seen.schedule.as_deref() == Some(name) && seen.by == app)
                .count()
        })
    }
}

fn no_such_schedule(name: &str, apps: &[Bus]) -> String {
    let of = |app: &Bus| {
        let names = schedules(app).into_iter();
        let app = app.app().to_owned();
        names.map(move |name| format!("`{name}` of {app}"))
    };
    let known: Vec<_> = apps.iter().flat_map(of).collect();
    match known.is_empty() {
        true => format!(
            "no app of this test has a schedule `{name}`, nor any other: was the program that sets it up started, on what `bus.app(..)` gives?"
        ),
        false => format!(
            "no app of this test has a schedule `{name}`; there is {}",
            known.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_time_that_nobody_moves_though_somebody_waits_for_it_is_noticed() -> Result<(), String>
    {
        let bus = TestBus::with_virtual_time()
            .await
            .map_err(|error| error.to_string())?;
        let clock = bus.clock().map(Arc::clone).ok_or("it has virtual time")?;
        let waiting = tokio::spawn(async move { clock.pause(Duration::from_secs(3600)).await });
        let noticed = bus.standstill(Duration::from_millis(100));
        let noticed = tokio::time::timeout(Duration::from_secs(10), noticed).await;
        waiting.abort();
        noticed.map_err(|_| "nobody noticed it".to_owned())
    }
}
