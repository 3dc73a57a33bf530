//! What both parts of a contestant are told, and tell: on standard output, a line of JSON at each hundred thousand tasks, and one at the end.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lightbus_benches::meter::{cpu_us, memory_mib};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

/// How many tasks wait for their confirmation together.
pub(crate) const TOGETHER: usize = 1024;
/// After how many tasks it is told how far things are.
pub(crate) const STEP: u64 = 100_000;

/// What a part has to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) url: String,
    pub(crate) tasks: u64,
    pub(crate) prefetch: u16,
    /// Where a worker writes, a byte for each task, how often it has run.
    marks: Option<String>,
}

impl Job {
    pub(crate) fn from_environment() -> Result<Self> {
        let setting = |name| std::env::var(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            url: setting("BENCH_URL")?,
            tasks: setting("BENCH_TASKS")?.parse()?,
            prefetch: setting("BENCH_PREFETCH")?.parse()?,
            marks: setting("BENCH_TALLY").ok(),
        })
    }
}

/// How far a part is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Stand {
    pub(crate) done: u64,
    /// Since the first one.
    pub(crate) seconds: f64,
    /// Processor time, all that the process has used.
    pub(crate) cpu: f64,
    /// What the process takes of the machine's memory.
    pub(crate) mib: u64,
    /// How many have run more than once.
    pub(crate) twice: u64,
}

impl Stand {
    fn tell(done: u64, since: Instant, twice: u64) {
        let stand = Self {
            done,
            seconds: since.elapsed().as_secs_f64(),
            cpu: cpu_us() as f64 / 1e6,
            mib: memory_mib(),
            twice,
        };
        println!("{}", serde_json::to_string(&stand).unwrap_or_default());
    }
}

/// What has been confirmed.
pub(crate) struct Sent {
    begun: Instant,
    count: u64,
}

impl Sent {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            count: 0,
        }
    }

    pub(crate) fn confirmed(&mut self, more: u64) {
        self.count += more;
        if self.count.is_multiple_of(STEP) {
            Stand::tell(self.count, self.begun, 0);
        }
    }

    pub(crate) fn end(&self) {
        Stand::tell(self.count, self.begun, 0);
    }
}

/// What has been run.
#[derive(Debug)]
pub(crate) struct Tally {
    marks: Vec<AtomicU8>,
    run: AtomicU64,
}

impl Tally {
    /// One that is watched by a thread of its own, until all have run.
    pub(crate) fn watch(job: &Job) -> Arc<Self> {
        let tally = Arc::new(Self {
            marks: (0..job.tasks).map(|_| AtomicU8::new(0)).collect(),
            run: AtomicU64::new(0),
        });
        let (watched, marks) = (Arc::clone(&tally), job.marks.clone());
        std::thread::spawn(move || watched.report(marks.as_deref()));
        tally
    }

    pub(crate) fn ran(&self, number: u64) {
        let mark = usize::try_from(number).map(|number| self.marks.get(number));
        if let Ok(Some(mark)) = mark {
            mark.fetch_add(1, Ordering::Relaxed);
        }
        self.run.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.run.load(Ordering::Relaxed)
    }

    fn marks(&self) -> Vec<u8> {
        let marks = self.marks.iter();
        marks.map(|mark| mark.load(Ordering::Relaxed)).collect()
    }

    fn report(&self, file: Option<&str>) {
        let all = self.marks.len() as u64;
        while self.count() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        self.write(file);
        let (mut told, mut wrote) = (0, begun);
        while self.count() < all {
            std::thread::sleep(Duration::from_millis(1));
            if self.count() >= told + STEP && self.count() < all {
                told = self.count() / STEP * STEP;
                Stand::tell(told, begun, 0);
            }
            if wrote.elapsed() > Duration::from_secs(1) {
                self.write(file);
                wrote = Instant::now();
            }
        }
        let twice = self.marks().into_iter().filter(|mark| *mark > 1).count();
        Stand::tell(self.count(), begun, twice as u64);
        self.write(file);
    }

    /// In its place: who has the file mapped sees it.
    fn write(&self, file: Option<&str>) {
        let Some(file) = file else { return };
        let opened = OpenOptions::new().write(true).open(file);
        if let Err(error) = opened.and_then(|mut file| file.write_all(&self.marks())) {
            eprintln!("cannot write {file}: {error}");
        }
    }
}

/// SIGTERM.
pub(crate) async fn asked_to_end() -> Result<()> {
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}
