//! Delayed tasks: how late they begin, and that none begins early or is lost.
//!
//! ```text
//! cargo run --release -p lightbus-benches --bin delays                                                      on the embedded broker
//! LIGHTBUS_URL=amqp://… cargo run --release -p lightbus-benches --bin delays -- --meanwhile 'scripts/rabbitmq restart'
//! ```
//!
//! Late is counted from the time that was asked for, which the broker rounds up to whole seconds: half a second on average is its due.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use lightbus::{Bus, enqueue_many};
use lightbus_benches::meter::{now_us, percentile};
use lightbus_broker::Broker;
use tokio::process::Command;

/// A task that has not run so long after it was due is lost.
const PATIENCE: Duration = Duration::from_secs(90);
/// When it is time for what happens meanwhile: in parts of the time within which tasks are due.
const MEANWHILE: f64 = 0.3;

/// Delayed tasks: how late each begins.
#[derive(Debug, Parser)]
struct Options {
    /// How many tasks.
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// Each is due at random from 1 to so many seconds after it is enqueued.
    #[arg(long, default_value_t = 60.0)]
    within: f64,
    /// A command for the shell that is run while tasks wait, such as one that restarts the broker.
    #[arg(long)]
    meanwhile: Option<String>,
}

/// Work that is to begin at a time.
#[lightbus::api(name = "bench_delays")]
trait BenchDelays {
    /// Notes the time.
    #[task]
    async fn note(&self, number: u64);
}

/// When each task was due, and when it began, in microseconds since 1970; 0 for not yet.
#[derive(Debug)]
struct Times {
    due: Vec<AtomicU64>,
    begun: Vec<AtomicU64>,
    again: AtomicU64,
}

impl Times {
    fn new(count: usize) -> Self {
        let zeros = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            due: zeros(),
            begun: zeros(),
            again: AtomicU64::new(0),
        }
    }

    fn waiting(&self) -> usize {
        let begun = self.begun.iter();
        begun
            .filter(|time| time.load(Ordering::Relaxed) == 0)
            .count()
    }

    /// How late those are that have begun and were due after a time, in microseconds, sorted; early ones are negative.
    fn late(&self, due_after: u64) -> Vec<i64> {
        let both = self.due.iter().zip(&self.begun);
        let both =
            both.map(|(due, begun)| (due.load(Ordering::Relaxed), begun.load(Ordering::Relaxed)));
        let begun = both.filter(|(due, begun)| *begun > 0 && *due >= due_after);
        let mut late: Vec<i64> = begun
            .map(|(due, begun)| begun.cast_signed() - due.cast_signed())
            .collect();
        late.sort_unstable();
        late
    }
}

impl BenchDelays for Arc<Times> {
    async fn note(&self, number: u64) {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(begun) = self.begun.get(number) else {
            return;
        };
        let first = begun.compare_exchange(0, now_us(), Ordering::Relaxed, Ordering::Relaxed);
        if first.is_err() {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    ensure!(options.within >= 1.0, "`--within` must be at least 1");
    let embedded;
    let url = match std::env::var("LIGHTBUS_URL") {
        Ok(url) => url,
        Err(_) => {
            embedded = Broker::start().await?;
            embedded.url()
        }
    };
    let bus = Bus::builder("bench-delays").url(&url).connect().await?;
    let times = Arc::new(Times::new(options.count));
    bus.serve(BenchDelaysServer::new(Arc::clone(&times)))
        .tasks_only()
        .await?;

    let began = Instant::now();
    enqueue(&bus, &times, options.within).await?;
    println!(
        "{} tasks, due within {} s, enqueued in {:.2} s",
        options.count,
        options.within,
        began.elapsed().as_secs_f64()
    );
    let back = match &options.meanwhile {
        Some(command) => Some(meanwhile(command, began, options.within).await?),
        None => None,
    };
    wait(&times, began + Duration::from_secs_f64(options.within)).await;
    let flawless = tell(&times, back);
    bus.close().await;
    Ok(if flawless {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn enqueue(bus: &Bus, times: &Arc<Times>, within: f64) -> Result<()> {
    let (api, noted) = (BenchDelaysClient::new(bus), Arc::clone(times));
    // Made one by one, each when it is enqueued: then its time begins.
    let tasks = (0..times.due.len()).map(move |number| {
        let delay = Duration::from_secs_f64(1.0 + fastrand::f64() * (within - 1.0));
        let due = now_us() + u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        noted.due[number].store(due, Ordering::Relaxed);
        api.note(number as u64).after(delay)
    });
    for enqueued in enqueue_many(tasks).await {
        enqueued?;
    }
    Ok(())
}

/// Gives the time when it was over.
async fn meanwhile(command: &str, began: Instant, within: f64) -> Result<u64> {
    let at = began + Duration::from_secs_f64(within * MEANWHILE);
    tokio::time::sleep_until(at.into()).await;
    let from = began.elapsed().as_secs_f64();
    let status = Command::new("sh").args(["-c", command]).status().await;
    let status = status.context("there is no shell")?;
    ensure!(status.success(), "`{command}`: {status}");
    println!(
        "from {from:.1} s to {:.1} s: {command}",
        began.elapsed().as_secs_f64()
    );
    Ok(now_us())
}

/// Until all have begun, or too long after the last one was due.
async fn wait(times: &Times, last: Instant) {
    while times.waiting() > 0 && Instant::now() < last + PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// False when one was lost or early.
fn tell(times: &Times, back: Option<u64>) -> bool {
    let (late, lost) = (times.late(0), times.waiting());
    let early = late.iter().filter(|late| **late < 0).count();
    distribution("late", &late);
    if let Some(back) = back {
        distribution("of those due since then", &times.late(back));
    }
    println!(
        "{lost} lost, {early} early, {} begun more than once",
        times.again.load(Ordering::Relaxed)
    );
    lost == 0 && early == 0
}

fn distribution(what: &str, late: &[i64]) {
    let text = |part| format!("{:.3} s", percentile(late, part) as f64 / 1e6);
    let in_time = late.iter().filter(|late| **late <= 1_100_000).count();
    println!(
        "{what}: least {}, median {}, 99 % {}, most {}; {:.2} % within 1.1 s",
        text(0.0),
        text(0.5),
        text(0.99),
        text(1.0),
        100.0 * in_time as f64 / late.len().max(1) as f64
    );
}
