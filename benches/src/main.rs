//! lightbus beside two programs written by hand on lapin, doing the same work in one run.
//!
//! `documented` is lapin as its documentation shows it, `tuned` is lapin by someone who knows what its calls cost, and
//! `lightbus` is the trait in `api.rs`. In each round every contestant runs every scenario once, one after the other, so
//! that a change of the machine's mood hits all of them. Client and server are processes of their own.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use lapin::uri::AMQPUri;
use lightbus_benches::meter;
use lightbus_broker::Broker;

use args::{Cli, Contestant, Flavour, Hidden, Options};
use contestants::topology;
use report::{Findings, Outcome};
use scenarios::{Cell, SCENARIOS, Sample, Scenario};

pub mod api;
mod args;
mod contestants;
mod report;
mod scenarios;
mod side;
mod work;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.hidden {
        Some(Hidden::Side { assignment }) => side::run(&assignment).map(|()| true),
        None => run(&cli.options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; false when a measurement failed.
fn run(options: &Options) -> Result<bool> {
    if options.list {
        for scenario in SCENARIOS {
            println!("{:<14} {}", scenario.name, scenario.about);
        }
        return Ok(true);
    }
    if let Some(unknown) = options.unknown_scenario() {
        bail!("there is no scenario `{unknown}`; --list shows them");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            done = compare(options) => done,
            // The sides end when their input does.
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })
}

async fn compare(options: &Options) -> Result<bool> {
    let embedded;
    let (url, broker) = match std::env::var("LIGHTBUS_URL") {
        Ok(url) if !url.is_empty() => {
            let uri: AMQPUri = url
                .parse()
                .map_err(|error| anyhow::anyhow!("LIGHTBUS_URL is not legal: {error}"))?;
            let broker = format!(
                "LIGHTBUS_URL, {}:{}",
                uri.authority.host, uri.authority.port
            );
            (url, broker)
        }
        _ => {
            // What is published and not consumed stays in memory, and there is no consumer where publishing is measured.
            embedded = Broker::builder()
                .memory_limit(8 << 30)
                .start()
                .await
                .context("cannot start the embedded broker")?;
            (
                embedded.url(),
                "embedded (in the process that only watches)".to_owned(),
            )
        }
    };
    eprintln!("broker: {broker}");
    let cleaner = topology::connect(&url)
        .await
        .with_context(|| format!("the broker ({broker})"))?;

    let started = Instant::now();
    let contestants = options.contestants();
    let chosen: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| options.wants(scenario.name))
        .collect();
    let total = chosen.len() * contestants.len() * options.rounds();
    // Names no other run has.
    let run = format!("b{:x}", meter::now_us() & 0xffff_ffff);
    let (mut number, mut failures) = (0, 0);
    let mut outcomes = Vec::new();
    for scenario in chosen {
        let mut rounds: BTreeMap<Contestant, Vec<Option<Sample>>> = BTreeMap::new();
        for round in 0..options.rounds() {
            for position in 0..contestants.len() {
                // Each round another one begins.
                let contestant = contestants[(position + round) % contestants.len()];
                number += 1;
                let cell = Cell {
                    options,
                    url: &url,
                    cleaner: &cleaner,
                    contestant,
                    prefix: format!("{run}-{number}"),
                };
                let sample = cell.measure(scenario).await;
                let result = match &sample {
                    Ok(sample) => format!("{:.0}/s", sample.per_second),
                    Err(error) => format!("FAILED: {error:#}"),
                };
                failures += usize::from(sample.is_err());
                eprintln!(
                    "[{number}/{total} {:.0} s] {}, round {}, {}: {result}",
                    started.elapsed().as_secs_f64(),
                    scenario.name,
                    round + 1,
                    contestant.name(),
                );
                rounds.entry(contestant).or_default().push(sample.ok());
            }
        }
        outcomes.push(Outcome::new(scenario, &rounds));
    }

    let findings = Findings {
        broker,
        runtime: match options.runtime {
            Flavour::Multi => "multi-thread",
            Flavour::Current => "current-thread",
        }
        .to_owned(),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        rounds: options.rounds(),
        seconds: options.duration().as_secs_f64(),
        scenarios: outcomes,
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        print!("{}", findings.table());
    }
    if failures > 0 {
        eprintln!("{failures} of {total} measurements failed");
    }
    Ok(failures == 0)
}
