//! rusty-celery in the comparison of `scripts/versus-tasks`: enqueues tasks, or works on them until SIGTERM.
//!
//! It has no publisher confirms and declares classic queues, so it promises less than the others here.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use celery::prelude::*;

static MARKS: OnceLock<Vec<AtomicU8>> = OnceLock::new();
static RUN: AtomicU64 = AtomicU64::new(0);

#[celery::task]
async fn count(number: u64) -> TaskResult<u64> {
    if let Some(mark) = MARKS.get().and_then(|marks| marks.get(number as usize)) {
        mark.fetch_add(1, Ordering::Relaxed);
        RUN.fetch_add(1, Ordering::Relaxed);
    }
    Ok(number)
}

fn setting(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let tasks: u64 = setting("BENCH_TASKS")?.parse()?;
    let app = celery::app!(
        broker = AMQPBroker { setting("BENCH_URL")? },
        tasks = [count],
        task_routes = ["*" => "celery"],
        prefetch_count = setting("BENCH_PREFETCH")?.parse()?,
        acks_late = true,
    )
    .await?;
    match std::env::args().nth(1).as_deref() {
        Some("enqueue") => {
            let began = Instant::now();
            for number in 0..tasks {
                app.send_task(count::new(number)).await?;
            }
            println!("{{\"seconds\": {}}}", began.elapsed().as_secs_f64());
            app.close().await?;
        }
        Some("work") => {
            MARKS.get_or_init(|| (0..tasks).map(|_| AtomicU8::new(0)).collect());
            let tally = setting("BENCH_TALLY")?;
            std::thread::spawn(move || watch(tasks, &tally));
            app.consume().await?;
            app.close().await?;
        }
        _ => bail!("enqueue or work?"),
    }
    Ok(())
}

/// Writes the marks down when the first task has run, once a second, and when all have.
fn watch(tasks: u64, tally: &str) {
    let (mut written, mut wrote) = (0, Instant::now());
    while written < tasks {
        std::thread::sleep(Duration::from_millis(2));
        let run = RUN.load(Ordering::Relaxed);
        let due = written == 0 || run >= tasks || wrote.elapsed() > Duration::from_secs(1);
        if run > written && due {
            let marks = MARKS.get().into_iter().flatten();
            let marks: Vec<u8> = marks.map(|mark| mark.load(Ordering::Relaxed)).collect();
            if let Err(error) = write_in_place(tally, &marks) {
                eprintln!("cannot write {tally}: {error}");
            }
            (written, wrote) = (run, Instant::now());
        }
    }
}

/// Whoever has the file mapped sees it.
fn write_in_place(path: &str, marks: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(marks)
}
