//! An app that calls and apps that answer, and the rows about them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lightbus::{Bus, CallError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::{Faults, FaultsClient, FaultsServer, UnservedClient};
use super::events::SLACK;
use super::outcome::Outcome;
use super::stage::{Pace, Stage};
use crate::eventually;
use crate::proxy::Mode;

/// Which calls ran how often.
#[derive(Clone, Debug, Default)]
pub struct Executions(Arc<Mutex<HashMap<u64, u32>>>);

impl Executions {
    fn runs(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, n: u64) {
        *self.runs().entry(n).or_default() += 1;
    }

    /// How often this call ran.
    pub fn of(&self, n: u64) -> u32 {
        self.runs().get(&n).copied().unwrap_or_default()
    }

    /// The most often that one call ran.
    pub fn most(&self) -> u32 {
        self.runs().values().copied().max().unwrap_or_default()
    }

    /// Waits until this call has begun.
    pub async fn begun(&self, n: u64) -> anyhow::Result<()> {
        eventually("the call has begun", async || self.of(n) > 0).await
    }
}

struct Echo(Executions);

impl Faults for Echo {
    async fn echo(&self, n: u64, after_ms: u64) -> u64 {
        self.0.add(n);
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        n
    }

    async fn look(&self, n: u64, after_ms: u64) -> u64 {
        self.echo(n, after_ms).await
    }
}

/// An app that answers.
#[derive(Debug)]
pub struct Provider {
    bus: Bus,
    executions: Executions,
}

impl Provider {
    /// Starts an app that answers the calls of a row.
    pub async fn start(stage: &Stage, app: &str, url: String) -> anyhow::Result<Self> {
        Self::sharing(stage, app, url, Executions::default()).await
    }

    /// The same, and counts with others.
    pub(super) async fn sharing(
        stage: &Stage,
        app: &str,
        url: String,
        executions: Executions,
    ) -> anyhow::Result<Self> {
        stage.leaves("lb.rpc.faults");
        let bus = stage.app(app, url).connect().await?;
        bus.serve(FaultsServer::new(Echo(executions.clone())))
            .await?;
        Ok(Self { bus, executions })
    }

    /// Its bus.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Ends it.
    pub async fn close(self) {
        self.bus.close().await;
    }
}

/// Calls until one is answered: the first one sets up what calls need.
pub(super) async fn answered(caller: &Bus) -> anyhow::Result<()> {
    let n = FaultsClient::new(caller).echo(0, 0).await?;
    anyhow::ensure!(n == 0, "the answer to another call");
    Ok(())
}

/// Calls with a timeout, whatever comes of it. Says how long it took.
pub(super) async fn timed(caller: Bus, timeout: Duration) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let call = FaultsClient::new(&caller).echo(0, 0).timeout(timeout);
    let _ = call.await;
    Ok(began.elapsed())
}

/// Row 19: what the provider sends is swallowed, its acknowledgement too, and then it is gone.
pub(super) async fn swallowed_ack(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let executions = Executions::default();
    let first = Provider::sharing(stage, "first", proxy.url(), executions.clone()).await?;
    let caller = stage.app("caller", stage.url()).connect().await?;
    answered(&caller).await?;
    proxy.set(Mode::BlackholeToBroker);
    let call = FaultsClient::new(&caller).echo(7, 0);
    let call = tokio::spawn(call.timeout(Duration::from_secs(10)).into_future());
    executions.begun(7).await?;
    let second = Provider::sharing(stage, "second", stage.url(), executions.clone()).await?;
    let began = Instant::now();
    proxy.set(Mode::Refuse);
    proxy.cut();
    let mut outcome = Outcome::default();
    let answer = call.await?;
    outcome.recovered(began.elapsed(), Duration::from_secs(2));
    outcome.handled = 1;
    let refused = matches!(answer, Err(CallError::ProviderFailed(_)));
    outcome.check(
        refused,
        format!("the caller hears that it may have run: {answer:?}"),
    );
    let runs = executions.of(7);
    outcome.check(runs == 1, format!("it ran {runs} times, once is the most"));
    proxy.set(Mode::Pass);
    for bus in [first.bus, second.bus, caller] {
        bus.close().await;
    }
    Ok(outcome)
}

/// Row 20: nobody serves the API; the last provider has gone.
pub(super) async fn no_provider(stage: &Stage) -> anyhow::Result<Outcome> {
    let caller = stage.app("caller", stage.url()).connect().await?;
    let api = FaultsClient::new(&caller);
    let mut outcome = Outcome::default();
    let absent =
        |answer: &Result<u64, CallError<_>>| matches!(answer, Err(CallError::NoProvider(_)));
    // The first call sets up what calls need.
    let answer = api.echo(0, 0).await;
    outcome.check(absent(&answer), format!("nobody is there: {answer:?}"));
    let mut quickest = Duration::MAX;
    for n in 0..10 {
        let began = Instant::now();
        let answer = api.echo(n, 0).await;
        quickest = quickest.min(began.elapsed());
        outcome.check(absent(&answer), format!("nobody is there: {answer:?}"));
    }
    outcome.recovered(quickest, Duration::from_millis(50));
    let provider = Provider::start(stage, "provider", stage.url()).await?;
    answered(&caller).await?;
    provider.close().await;
    // For a minute a rolling restart loses nothing: the call waits for the next provider.
    let (began, timeout) = (Instant::now(), Duration::from_secs(2));
    let answer = api.echo(0, 0).timeout(timeout).await;
    let waited = matches!(answer, Err(CallError::Timeout(_)));
    outcome.check(waited, format!("a call waits for the next one: {answer:?}"));
    outcome.in_time("a call of 2 s", began.elapsed(), timeout + SLACK);
    if stage.pace() != Pace::Quick {
        tokio::time::sleep(Duration::from_secs(61)).await;
        let answer = api.echo(0, 0).await;
        outcome.check(
            absent(&answer),
            format!("after a minute nobody is there: {answer:?}"),
        );
    }
    caller.close().await;
    Ok(outcome)
}

/// Row 21: two replicas are restarted in turn, under load.
pub(super) async fn rolling_restart(stage: &Stage) -> anyhow::Result<Outcome> {
    let executions = Executions::default();
    let start = |app: &'static str| Provider::sharing(stage, app, stage.url(), executions.clone());
    let mut replicas = [start("provider").await?, start("provider").await?];
    let caller = stage.app("caller", stage.url()).connect().await?;
    answered(&caller).await?;
    let stop = CancellationToken::new();
    let mut callers = JoinSet::new();
    for lane in 0..8 {
        callers.spawn(call_on(caller.clone(), lane << 32, stop.clone()));
    }
    let restarts = if stage.pace() == Pace::Quick { 4 } else { 10 };
    for n in 0..restarts {
        tokio::time::sleep(stage.seconds(0.3, 3.0)).await;
        let next = start("provider").await?;
        std::mem::replace(&mut replicas[n % 2], next).close().await;
    }
    stop.cancel();
    let mut outcome = Outcome::default();
    while let Some(lane) = callers.join_next().await {
        let (answered, errors) = lane?;
        outcome.confirmed += answered;
        outcome.check(errors.is_empty(), format!("no call fails: {errors:.200?}"));
    }
    outcome.handled = outcome.confirmed;
    outcome.check(executions.most() == 1, "every call ran once");
    caller.close().await;
    for replica in replicas {
        replica.close().await;
    }
    Ok(outcome)
}

/// One call after the other; says how many were answered, and what the others said.
async fn call_on(caller: Bus, first: u64, stop: CancellationToken) -> (usize, Vec<String>) {
    let api = FaultsClient::new(&caller);
    let (mut answered, mut errors) = (0, Vec::new());
    let mut n = first;
    while !stop.is_cancelled() {
        n += 1;
        match api.echo(n, 2).await {
            Ok(answer) if answer == n => answered += 1,
            other => errors.push(format!("{other:?}")),
        }
    }
    (answered, errors)
}

/// Row 22: the caller and the provider lose their connections while a call is under way.
pub(super) async fn reconnecting(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let provider = Provider::start(stage, "provider", proxy.url()).await?;
    let caller = stage.app("caller", proxy.url()).connect().await?;
    let api = FaultsClient::new(&caller);
    answered(&caller).await?;
    let mut outcome = Outcome::default();
    for n in 1..=5 {
        let call = api.echo(n, 500).timeout(Duration::from_secs(10));
        let call = tokio::spawn(call.into_future());
        provider.executions.begun(n).await?;
        let began = Instant::now();
        proxy.cut();
        let answer = call.await?;
        outcome.check(answer == Ok(n), format!("the answer comes: {answer:?}"));
        outcome.recovered(began.elapsed(), Duration::from_secs(3));
        outcome.confirmed += usize::from(answer.is_ok());
    }
    outcome.handled = outcome.confirmed;
    let most = provider.executions.most();
    outcome.check(most == 1, format!("every call ran once, not {most} times"));
    provider.close().await;
    caller.close().await;
    Ok(outcome)
}

/// Row 26: some of many calls in flight have no provider.
pub(super) async fn unroutable_mix(stage: &Stage) -> anyhow::Result<Outcome> {
    const LANES: u64 = 64;
    let provider = Provider::start(stage, "provider", stage.url()).await?;
    let caller = stage.app("caller", stage.url()).connect().await?;
    answered(&caller).await?;
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let caller = caller.clone();
        lanes.spawn(async move {
            let (served, unserved) = (FaultsClient::new(&caller), UnservedClient::new(&caller));
            let mut wrong = Vec::new();
            for n in 0..40 {
                if n % 5 == lane % 5 {
                    let answer = unserved.anything().await;
                    if !matches!(answer, Err(CallError::NoProvider(_))) {
                        wrong.push(format!("{answer:?}"));
                    }
                } else {
                    let answer = served.echo(n, 0).await;
                    if answer != Ok(n) {
                        wrong.push(format!("{answer:?}"));
                    }
                }
            }
            wrong
        });
    }
    let mut outcome = Outcome::default();
    while let Some(lane) = lanes.join_next().await {
        let wrong = lane?;
        outcome.confirmed += 40 - wrong.len();
        outcome.check(
            wrong.is_empty(),
            format!("each call hears its own fate: {wrong:.200?}"),
        );
    }
    outcome.handled = outcome.confirmed;
    provider.close().await;
    caller.close().await;
    Ok(outcome)
}
