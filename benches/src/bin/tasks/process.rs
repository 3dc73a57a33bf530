//! A part of a contestant, seen from outside.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::Contestant;
use crate::tally::Stand;

/// What is consumed ahead.
const PREFETCH: &str = "1000";
/// Without a word for so long, something is stuck.
const SILENCE: Duration = Duration::from_secs(120);
/// How long a worker may take to end.
const ENDING: Duration = Duration::from_secs(20);

pub(crate) struct Process {
    what: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stands: Vec<Stand>,
}

impl Process {
    pub(crate) fn start(part: &str, by: Contestant, url: &str, count: u64) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([part, by.name()])
            .env("BENCH_URL", url)
            .env("BENCH_TASKS", count.to_string())
            .env("BENCH_PREFETCH", PREFETCH)
            .env_remove("BENCH_TALLY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok(Self {
            what: format!("{part} by {}", by.name()),
            child,
            lines,
            stands: Vec::new(),
        })
    }

    /// Waits until so many are done, and tells on the way how far it is.
    pub(crate) async fn until(&mut self, count: u64) -> Result<Stand> {
        loop {
            let line = timeout(SILENCE, self.lines.next_line()).await;
            let line = line.with_context(|| format!("{} is stuck", self.what))??;
            let Some(line) = line else {
                bail!("{} ended before it was done", self.what)
            };
            let stand: Stand = serde_json::from_str(&line)?;
            eprintln!(
                "{:<20} {:>9} {:>8.1} s {:>6} MiB",
                self.what, stand.done, stand.seconds, stand.mib
            );
            self.stands.push(stand);
            if stand.done >= count {
                return Ok(stand);
            }
        }
    }

    /// By how many MiB it has grown since the first hundred thousand.
    pub(crate) fn growth_mib(&self) -> u64 {
        let first = self.stands.first().map_or(0, |stand| stand.mib);
        let most = self.stands.iter().map(|stand| stand.mib).max();
        most.unwrap_or_default().saturating_sub(first)
    }

    /// Ends it as an operator would.
    pub(crate) async fn end(&mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGTERM)?;
        }
        self.ended().await
    }

    pub(crate) async fn ended(&mut self) -> Result<()> {
        let status = timeout(ENDING, self.child.wait()).await;
        let status = status.with_context(|| format!("{} does not end", self.what))??;
        ensure!(status.success(), "{}: {status}", self.what);
        Ok(())
    }
}
