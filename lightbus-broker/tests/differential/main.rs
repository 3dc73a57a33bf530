//! Whatever clients do, a real RabbitMQ and the embedded broker answer alike.
//!
//! Random sequences of operations run on both at once; what their clients see is written down and must be the same: replies,
//! errors with their codes and texts, deliveries with all they carry, their order, confirms, returns, counts.
//!
//! ```text
//! LIGHTBUS_URL=amqp://127.0.0.1:5673 cargo test --release -p lightbus-broker --test differential
//! ```
//!
//! Without a URL, two fresh embedded brokers take the parts: that finds what depends on chance, what breaks the broker, and
//! mistakes in this test.
//!
//! | Variable | Meaning | Default |
//! |---|---|---|
//! | `LIGHTBUS_URL` | the broker to compare with | a second embedded one |
//! | `LIGHTBUS_DIFFERENTIAL_SEED` | of the first sequence; those after it count up | 1 |
//! | `LIGHTBUS_DIFFERENTIAL_SEQUENCES` | how many sequences | 200, without a URL 24 |
//! | `LIGHTBUS_DIFFERENTIAL_WORKERS` | how many at once | 8 |
//! | `LIGHTBUS_DIFFERENTIAL_DIFFERENCES` | after how many different differences to stop | 1 |
//!
//! A difference is tried again slowly, made as short as it gets, and shown with the seed that brings it back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod channel;
mod client;
mod compare;
mod declarations;
mod ending;
mod hearing;
mod known;
mod messages;
mod normalise;
mod operation;
mod quiet;
mod report;
mod strategy;
mod world;

use compare::{Broken, Difference, Outcome, Pair};
use known::Reference;
use lightbus_broker::Broker;
use operation::Operation;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use report::Counts;
use std::{
    collections::BTreeSet,
    env,
    io::Write,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use world::Pace;

/// How many runs making a sequence shorter may take.
const SHRINKING: usize = 400;
/// How many runs may break off before it is no use to go on.
const MOST_BROKEN: usize = 20;

#[derive(Debug)]
struct Settings {
    url: Option<String>,
    seed: u64,
    sequences: u64,
    workers: u64,
    differences: usize,
}

impl Settings {
    fn from_env() -> Self {
        let url = env::var("LIGHTBUS_URL").ok();
        let number = |name: &str, default: u64| {
            env::var(format!("LIGHTBUS_DIFFERENTIAL_{name}"))
                .map_or(default, |text| text.parse().expect("a number"))
        };
        Self {
            seed: number("SEED", 1),
            sequences: number("SEQUENCES", if url.is_some() { 200 } else { 24 }),
            workers: number("WORKERS", 8),
            differences: number("DIFFERENCES", 1) as usize,
            url,
        }
    }
}

/// What all workers add to.
#[derive(Debug, Default)]
struct Findings {
    counts: Counts,
    signatures: BTreeSet<String>,
    reports: Vec<String>,
}

#[test]
fn answers_as_the_reference_does() {
    let settings = Settings::from_env();
    let next = AtomicU64::new(settings.seed);
    let findings = Mutex::new(Findings::default());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..settings.workers {
            scope.spawn(|| work(&settings, &next, &findings));
        }
    });
    let findings = findings.into_inner().unwrap();
    say(&findings.counts.show(began.elapsed()));
    assert!(
        findings.reports.is_empty(),
        "{}",
        findings.reports.join("\n")
    );
}

/// Takes one sequence after the other, until there are none left or enough was found.
fn work(settings: &Settings, next: &AtomicU64, findings: &Mutex<Findings>) {
    let ours = start_broker();
    let other = settings.url.is_none().then(start_broker);
    let url = match (&settings.url, &other) {
        (Some(url), _) => url.clone(),
        (None, Some(other)) => other.url(),
        (None, None) => return,
    };
    let version = world::version(&url).expect("the reference can be reached");
    let pair = Pair {
        reference: Reference { url, version },
        ours: ours.url(),
    };
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let enough = {
            let findings = findings.lock().unwrap();
            findings.reports.len() >= settings.differences
        };
        if enough || seed >= settings.seed + settings.sequences {
            return;
        }
        try_sequence(&pair, seed, findings);
    }
}

fn try_sequence(pair: &Pair, seed: u64, findings: &Mutex<Findings>) {
    let prefix = format!("d{seed:08x}-");
    let operations = pair.reference.fit(generate(&prefix, seed));
    match pair.run(&prefix, &operations, Pace::Brisk) {
        Ok(Outcome::Same(steps)) => findings.lock().unwrap().counts.add(&steps),
        Ok(Outcome::Differs(difference)) => {
            findings.lock().unwrap().counts.add(&difference.ours);
            look_closer(pair, &prefix, seed, &operations, &difference, findings);
        }
        Err(broken) => note_broken(seed, &broken, findings),
    }
}

fn look_closer(
    pair: &Pair,
    prefix: &str,
    seed: u64,
    operations: &[Operation],
    first: &Difference,
    findings: &Mutex<Findings>,
) {
    match pair.confirm(prefix, operations) {
        Ok(None) => {
            findings.lock().unwrap().counts.fleeting += 1;
            let signature = first.signature();
            say(&format!("seed {seed}: gone the second time: {signature}\n"));
        }
        Ok(Some(difference)) => {
            let found = pair.shrink(prefix, difference, SHRINKING);
            if !matches!(pair.confirm(prefix, &found.operations), Ok(Some(_))) {
                findings.lock().unwrap().counts.fleeting += 1;
                return;
            }
            let mut findings = findings.lock().unwrap();
            if findings.signatures.insert(found.signature()) {
                let report = format!(
                    "A difference (< {}, > ours), seed {seed}:\n{}",
                    pair.reference.version,
                    found.show()
                );
                say(&report);
                findings.reports.push(report);
            }
        }
        Err(broken) => note_broken(seed, &broken, findings),
    }
}

fn note_broken(seed: u64, broken: &Broken, findings: &Mutex<Findings>) {
    let mut findings = findings.lock().unwrap();
    findings.counts.broken += 1;
    let report = format!("seed {seed}: {broken}\n");
    say(&report);
    if matches!(broken, Broken::Ours(_)) || findings.counts.broken > MOST_BROKEN {
        findings.reports.push(report);
    }
}

/// The sequence that belongs to a seed.
fn generate(prefix: &str, seed: u64) -> Vec<Operation> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy::sequences(prefix)
        .new_tree(&mut runner)
        .expect("nothing is filtered out")
        .current()
}

fn start_broker() -> Broker {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(Broker::start()).unwrap()
}

/// Says something at once, captured output or not.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
