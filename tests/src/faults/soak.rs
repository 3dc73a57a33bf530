//! Everything at once, at random, for minutes: several apps, and whatever networks and brokers do.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lightbus::Bus;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::calls::{Executions, Provider};
use super::events::{Apps, Events, Load};
use super::ledger::Ledger;
use super::outcome::{Outcome, Seconds};
use super::resources::{Counted, Memory};
use super::stage::{BACKOFF, Stage};
use super::traffic::{Calls, Traffic};
use crate::eventually;
use crate::proxy::{Mode, Proxy};

/// Every fourth event fails twice before it is handled.
const LOAD: Load = Load {
    bytes: 200,
    pause: Duration::from_millis(80),
    work: Duration::ZERO,
    concurrency: 64,
    prefetch: 1000,
    fails: 2,
    lazy: false,
};
/// So long it takes to fill what is no leak.
const WARM: Duration = Duration::from_secs(30);
/// What was put off, and what waits behind the last fault.
const END: Duration = Duration::from_secs(120);
/// Memory is flat when it has grown by no more than this, in KiB: allocators do not give everything back.
const GROWTH: u64 = 32 * 1024;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Soak {
    /// The broker, and its version.
    pub broker: String,
    /// The same seed makes the same faults in the same order.
    pub seed: u64,
    /// How long it lasted.
    pub took: Duration,
    /// How often each fault struck.
    pub faults: BTreeMap<&'static str, usize>,
    /// Events, and what went wrong.
    pub outcome: Outcome,
    /// Attempts of events that failed and were put off.
    pub put_off: u64,
    /// Publishes that returned an error.
    pub unconfirmed: usize,
    /// Calls.
    pub calls: Calls,
    /// Memory of all apps together, in KiB.
    pub memory: Memory,
    /// Threads and files before the first app began.
    pub before: Counted,
    /// And after the last one ended.
    pub after: Counted,
}

/// What may happen to connections.
#[derive(Clone, Copy, Debug)]
struct Fault {
    name: &'static str,
    mode: Mode,
    /// Are the connections that are there reset when it begins, and when it ends?
    cuts: [bool; 2],
    /// How long it lasts at most, in seconds.
    longest: f64,
}

const SLOW: Mode = Mode::Slow {
    latency: Duration::from_millis(50),
    bytes_per_second: 128 * 1024,
};

const fn fault(name: &'static str, mode: Mode, cuts: [bool; 2], longest: f64) -> Fault {
    Fault {
        name,
        mode,
        cuts,
        longest,
    }
}

const FAULTS: [Fault; 10] = [
    fault("cut", Mode::Pass, [true, false], 0.0),
    fault("cut twice", Mode::Pass, [true, true], 0.3),
    fault("stall", Mode::Stall, [false, false], 8.0),
    fault("stall to broker", Mode::StallToBroker, [false, false], 8.0),
    fault("stall to client", Mode::StallToClient, [false, false], 8.0),
    fault("black hole", Mode::Blackhole, [false, true], 8.0),
    fault(
        "black hole to broker",
        Mode::BlackholeToBroker,
        [false, true],
        8.0,
    ),
    fault("refuse", Mode::Refuse, [true, false], 5.0),
    fault("silence", Mode::Silence, [true, true], 7.0),
    fault("slow link", SLOW, [false, false], 8.0),
];

/// Plays for so long on a broker. RabbitMQ is killed twice on the way; the embedded broker cannot be.
pub async fn soak(stage: &Stage, lasts: Duration, seed: u64) -> anyhow::Result<Soak> {
    stage.begin("soak-");
    // Libraries have threads of their own, from the first connection on.
    stage
        .app("first", stage.url())
        .connect()
        .await?
        .close()
        .await;
    let before = settled().await;
    let mut outcome = Outcome::default();
    let scene = Scene::start(stage).await?;
    let began = Instant::now();
    let sampling = CancellationToken::new();
    let memory = tokio::spawn(sample(sampling.clone(), WARM.min(lasts / 4)));
    let faults = strike(stage, &scene.proxies, lasts, seed).await?;
    let back = Instant::now();
    for bus in scene.buses() {
        bus.ready().await?;
    }
    outcome.recovered(back.elapsed(), BACKOFF);
    sampling.cancel();
    let memory = memory.await?;
    let (mut soak, took) = (scene.finish(stage, outcome).await?, began.elapsed());
    let back = "threads and files are as many as before";
    let freed = eventually(back, async || Counted::now().is_within(before)).await;
    soak.outcome.check(freed.is_ok(), back);
    let after = Counted::now();
    let grown = memory.end.saturating_sub(memory.begin);
    soak.outcome
        .check(grown <= GROWTH, format!("memory is flat: {memory:?}"));
    stage.end().await?;
    Ok(Soak {
        broker: stage.version().await?,
        seed,
        took,
        faults,
        memory,
        before,
        after,
        ..soak
    })
}

/// What is there when nothing has changed for a second: connections end a little after they were closed.
async fn settled() -> Counted {
    let (mut last, mut since) = (Counted::now(), Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = Counted::now();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// All apps, each behind a proxy of its own.
struct Scene {
    proxies: Vec<Proxy>,
    events: Vec<Events>,
    providers: Vec<Provider>,
    traffic: Traffic,
}

impl Scene {
    async fn start(stage: &Stage) -> anyhow::Result<Self> {
        let (mut proxies, mut events, mut providers) = (Vec::new(), Vec::new(), Vec::new());
        for nth in 0..2u64 {
            let pair = [stage.proxy().await?, stage.proxy().await?];
            let apps = Apps {
                publisher: stage.app(&format!("publisher-{nth}"), pair[0].url()),
                listener: stage.app(&format!("listener-{nth}"), pair[1].url()),
            };
            let books = Ledger::above((nth + 1) << 40);
            events.push(Events::between(stage, apps, books, LOAD).await?);
            proxies.extend(pair);
        }
        let runs = Executions::default();
        for _ in 0..2 {
            let proxy = stage.proxy().await?;
            let provider = Provider::sharing(stage, "provider", proxy.url(), runs.clone());
            providers.push(provider.await?);
            proxies.push(proxy);
        }
        let proxy = stage.proxy().await?;
        let caller = stage.app("caller", proxy.url()).connect().await?;
        proxies.push(proxy);
        Ok(Self {
            proxies,
            events,
            providers,
            traffic: Traffic::start(caller, runs),
        })
    }

    fn buses(&self) -> impl Iterator<Item = &Bus> {
        let apps = self.events.iter();
        let apps = apps.flat_map(|events| [events.publisher(), events.listener()]);
        let providers = self.providers.iter().map(Provider::bus);
        apps.chain(providers).chain([self.traffic.caller()])
    }

    /// Lets everything end, and counts.
    async fn finish(self, stage: &Stage, mut outcome: Outcome) -> anyhow::Result<Soak> {
        let calls = self.traffic.finish(&mut outcome).await?;
        for provider in self.providers {
            provider.close().await;
        }
        let (mut put_off, mut unconfirmed) = (0, 0);
        for events in self.events {
            events.flowing().await?;
            let (listener, books) = (events.listener().clone(), events.books());
            outcome = events.finish_within(stage, outcome, END).await?;
            put_off += listener.counts().events_retried;
            unconfirmed += books.failures();
        }
        Ok(Soak {
            broker: String::new(),
            seed: 0,
            took: Duration::ZERO,
            faults: BTreeMap::new(),
            outcome,
            put_off,
            unconfirmed,
            calls,
            memory: Memory::default(),
            before: Counted::default(),
            after: Counted::default(),
        })
    }
}

/// Faults, one after the other; and the broker is killed after a third, and after two thirds, of the time.
async fn strike(
    stage: &Stage,
    proxies: &[Proxy],
    lasts: Duration,
    seed: u64,
) -> anyhow::Result<BTreeMap<&'static str, usize>> {
    let (mut rng, began) = (Rng::with_seed(seed), Instant::now());
    let mut struck = BTreeMap::new();
    let mut kills = match stage.embedded() {
        Some(_) => vec![],
        None => vec![lasts * 2 / 3, lasts / 3],
    };
    while began.elapsed() < lasts {
        tokio::time::sleep(Duration::from_secs_f64(0.2 + 2.0 * rng.f64())).await;
        let name = if kills.pop_if(|at| began.elapsed() >= *at).is_some() {
            stage.kill().await?;
            tokio::time::sleep(Duration::from_secs_f64(3.0 * rng.f64())).await;
            stage.restart().await?;
            "broker killed"
        } else {
            let fault = FAULTS[rng.usize(..FAULTS.len())];
            fault.strike(proxies, &mut rng).await;
            fault.name
        };
        *struck.entry(name).or_default() += 1;
    }
    Ok(struck)
}

impl Fault {
    /// One to three apps have it, for a while.
    async fn strike(self, proxies: &[Proxy], rng: &mut Rng) {
        let how_many = rng.usize(1..=3);
        let victims = rng.choose_multiple(proxies, how_many);
        let lasts = Duration::from_secs_f64(self.longest * rng.f64());
        let [cuts_first, cuts_last] = self.cuts;
        for proxy in &victims {
            proxy.set(self.mode);
            if cuts_first {
                proxy.cut();
            }
        }
        tokio::time::sleep(lasts).await;
        for proxy in &victims {
            if cuts_last {
                proxy.cut();
            }
            proxy.set(Mode::Pass);
        }
    }
}

/// The memory of this process, each second.
async fn sample(stop: CancellationToken, warm: Duration) -> Memory {
    let mut memory = Memory::default();
    let second = Duration::from_secs(1);
    let mut pause = warm;
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        memory.sample();
        pause = second;
    }
    memory.sample();
    memory
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            outcome,
            calls,
            memory,
            ..
        } = self;
        writeln!(
            f,
            "soak on {}, seed {}, {}",
            self.broker,
            self.seed,
            Seconds(self.took)
        )?;
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        writeln!(f, "faults   {}", faults.join(", "))?;
        writeln!(
            f,
            "events   {} confirmed, {} handled, {} lost, {} duplicated, {} put off, {} publishes failed",
            outcome.confirmed,
            outcome.handled,
            outcome.lost,
            outcome.duplicated,
            self.put_off,
            self.unconfirmed
        )?;
        writeln!(f, "calls    {calls}")?;
        writeln!(
            f,
            "memory   {} MiB at the begin, {} at most, {} at the end",
            memory.begin / 1024,
            memory.max / 1024,
            memory.end / 1024
        )?;
        writeln!(
            f,
            "threads  {} before, {} after; files {} before, {} after",
            self.before.threads, self.after.threads, self.before.files, self.after.files
        )?;
        write!(f, "verdict  {}", outcome.verdict())
    }
}
