//! Calls under load, and the books of them.

use std::fmt;
use std::time::{Duration, Instant};

use lightbus::{Bus, CallError};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::FaultsClient;
use super::calls::Executions;
use super::events::SLACK;
use super::outcome::{Outcome, Seconds};

const LANES: u64 = 4;
const TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(30);

/// What became of calls.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Calls {
    /// Made.
    pub made: usize,
    /// Answered.
    pub answered: usize,
    /// Whose callers heard that they may have run, or nothing in time.
    pub unknown: usize,
    /// Whose callers heard that they did not run.
    pub not_run: usize,
    /// Of those that may run once: how often one ran at most.
    pub most_runs: u32,
    /// The longest that a caller waited.
    pub slowest: Duration,
    /// Answers that are another call's, and calls that ran though their callers heard that they did not.
    pub wrong: usize,
}

/// Calls that are made one after the other, on some lanes.
#[derive(Debug)]
pub struct Traffic {
    caller: Bus,
    runs: Executions,
    stop: CancellationToken,
    lanes: JoinSet<Calls>,
}

impl Traffic {
    /// Begins to call. Providers count in `runs`.
    pub fn start(caller: Bus, runs: Executions) -> Self {
        let (stop, mut lanes) = (CancellationToken::new(), JoinSet::new());
        for lane in 0..LANES {
            lanes.spawn(call(caller.clone(), runs.clone(), lane << 32, stop.clone()));
        }
        Self {
            caller,
            runs,
            stop,
            lanes,
        }
    }

    /// The app that calls.
    pub fn caller(&self) -> &Bus {
        &self.caller
    }

    /// Calls no more, and counts.
    pub async fn finish(mut self, outcome: &mut Outcome) -> anyhow::Result<Calls> {
        self.stop.cancel();
        let mut calls = Calls::default();
        while let Some(lane) = self.lanes.join_next().await {
            calls.add(lane?);
        }
        self.caller.close().await;
        calls.most_runs = self.runs.most();
        outcome.check(calls.most_runs <= 1, "no call ran twice");
        outcome.check(calls.wrong == 0, "every caller heard its own call's fate");
        outcome.check(calls.answered > 0, "calls are answered");
        outcome.in_time("a call of 3 s", calls.slowest, TIMEOUT + SLACK);
        Ok(calls)
    }
}

async fn call(caller: Bus, runs: Executions, first: u64, stop: CancellationToken) -> Calls {
    let api = FaultsClient::new(&caller);
    let mut calls = Calls::default();
    let mut n = first;
    while !stop.is_cancelled() {
        n += 1;
        let began = Instant::now();
        let answer = api.echo(n, 5).timeout(TIMEOUT).await;
        calls.slowest = calls.slowest.max(began.elapsed());
        calls.made += 1;
        match answer {
            Ok(answer) if answer == n => calls.answered += 1,
            Err(CallError::Timeout(_) | CallError::ProviderFailed(_)) => calls.unknown += 1,
            Err(error) if error.is_retryable() && runs.of(n) == 0 => calls.not_run += 1,
            _ => calls.wrong += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    calls
}

impl Calls {
    fn add(&mut self, lane: Self) {
        self.made += lane.made;
        self.answered += lane.answered;
        self.unknown += lane.unknown;
        self.not_run += lane.not_run;
        self.wrong += lane.wrong;
        self.slowest = self.slowest.max(lane.slowest);
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} made, {} answered, {} may have run, {} did not run; each ran {} time at most; the longest took {}",
            self.made,
            self.answered,
            self.unknown,
            self.not_run,
            self.most_runs,
            Seconds(self.slowest)
        )
    }
}
