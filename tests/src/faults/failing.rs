//! Handlers that never succeed.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use lightbus::{Bus, DeadLetter, DeadLetters, DeadReason, Retry};

use super::api::{FaultsClient, FaultsEvents, Happened};
use super::calls::Executions;
use super::outcome::Outcome;
use super::process::{Process, Role};
use super::stage::Stage;
use crate::eventually;

const EVENTS: u64 = 100;
const ATTEMPTS: u32 = 3;
/// The event that ends its handler's process.
const FATAL: u64 = 1;

/// Row 23: the handler fails, or panics, at every attempt for some of the events.
pub(super) async fn always(stage: &Stage) -> anyhow::Result<Outcome> {
    let bus = stage.app("listener", stage.url()).connect().await?;
    let runs = Executions::default();
    listen(stage, &bus, runs.clone()).await?;
    let began = Instant::now();
    publish(stage, 1..=EVENTS).await?;
    let mut outcome = Outcome::default();
    let healthy = || (1..=EVENTS).filter(|n| n % 5 != 0);
    let handled = "the others were handled";
    eventually(handled, async || healthy().all(|n| runs.of(n) > 0)).await?;
    outcome.recovered(began.elapsed(), Duration::from_secs(2));
    let dead = bus.dead_letters("books")?;
    let failing = EVENTS / 5;
    eventually("the failing ones are dead", async || {
        dead.count()
            .await
            .is_ok_and(|dead| u64::from(dead) == failing)
    })
    .await?;
    for letter in dead.list(EVENTS as usize).await? {
        check_letter(&mut outcome, &runs, &letter)?;
    }
    let once = healthy().all(|n| runs.of(n) == 1);
    outcome.check(once, "what succeeds runs once");
    outcome.confirmed = EVENTS as usize;
    outcome.handled = healthy().filter(|n| runs.of(*n) > 0).count();
    outcome.note(format!("{failing} dead after {ATTEMPTS} attempts"));
    bus.close().await;
    Ok(outcome)
}

async fn listen(stage: &Stage, bus: &Bus, runs: Executions) -> anyhow::Result<()> {
    let handler = move |event: Happened| {
        let runs = runs.clone();
        async move {
            runs.add(event.n);
            match event.n % 10 {
                0 => Err("it fails on purpose"),
                // A panic, without its words on the terminal.
                5 => std::panic::resume_unwind(Box::new("it panics on purpose")),
                _ => Ok(()),
            }
        }
    };
    let policy = Retry::fixed(Duration::from_secs(1)).attempts(ATTEMPTS);
    let happened = FaultsClient::new(bus).happened().retry(policy);
    let listener = happened.listen("books", handler).await?;
    stage.leaves(listener.queue());
    stage.leaves(format!("{}.dead", listener.queue()));
    Ok(())
}

async fn publish(stage: &Stage, events: impl Iterator<Item = u64>) -> anyhow::Result<()> {
    let publisher = stage.app("publisher", stage.url()).connect().await?;
    let happened = FaultsEvents::new(&publisher).happened();
    for n in events {
        let filler = String::new();
        happened.publish(Happened { n, filler }).await?;
    }
    publisher.close().await;
    Ok(())
}

fn number(letter: &DeadLetter) -> anyhow::Result<u64> {
    let event: Happened = rmp_serde::from_slice(&letter.payload).context("a dead letter")?;
    Ok(event.n)
}

/// A dead letter tells its whole story.
fn check_letter(
    outcome: &mut Outcome,
    runs: &Executions,
    letter: &DeadLetter,
) -> anyhow::Result<()> {
    let n = number(letter)?;
    let (reason, error) = match n % 10 {
        0 => (DeadReason::Failed, "it fails on purpose"),
        _ => (DeadReason::Panicked, "it panics on purpose"),
    };
    let named = letter.reason == reason && letter.error.as_deref() == Some(error);
    outcome.check(named, format!("{letter:?} says why it is dead"));
    let counted = letter.attempts == Some(ATTEMPTS) && runs.of(n) == ATTEMPTS;
    outcome.check(counted, format!("{n} ran {} times, {letter:?}", runs.of(n)));
    let traced = letter.first_failed.is_some()
        && letter.died.is_some()
        && letter.host.is_some()
        && letter.routing_key == "faults.happened"
        && letter
            .from
            .as_deref()
            .is_some_and(|app| app.ends_with("publisher"));
    outcome.check(traced, format!("{letter:?} says from where and when"));
    Ok(())
}

/// Row 23: one event takes the whole process down, whichever process handles it. Each is started again.
pub(super) async fn aborts(stage: &Stage) -> anyhow::Result<Outcome> {
    let bus = stage.app("listener", stage.url()).connect().await?;
    // Declares the queue, and leaves.
    let listener = FaultsClient::new(&bus).happened();
    let listener = listener.listen("books", |_| async {}).await?;
    stage.leaves(listener.queue());
    stage.leaves(format!("{}.dead", listener.queue()));
    listener.stop().await;
    publish(stage, FATAL..=EVENTS).await?;
    let (runs, dead) = (Executions::default(), bus.dead_letters("books")?);
    let began = Instant::now();
    let last = restart_until_dead(stage, &runs, &dead).await?;
    let mut outcome = Outcome {
        recovery: Some(began.elapsed()),
        ..Outcome::default()
    };
    let handled = "the others were handled";
    let all_handled = eventually(handled, async || others().all(|n| runs.of(n) > 0)).await;
    outcome.check(all_handled.is_ok(), handled);
    last.end().await?;
    let letters = dead.list(EVENTS as usize).await?;
    check_fatal(&mut outcome, &runs, &letters);
    outcome.confirmed = EVENTS as usize;
    outcome.handled = others().filter(|n| runs.of(*n) > 0).count();
    let again = |n| runs.of(n).saturating_sub(1) as usize;
    outcome.duplicated = others().map(again).sum();
    let is_dead = |n: &u64| letters.iter().any(|letter| number(letter).ok() == Some(*n));
    let lost = |n: &u64| runs.of(*n) == 0 && !is_dead(n);
    outcome.lost = (FATAL..=EVENTS).filter(lost).count();
    bus.close().await;
    Ok(outcome)
}

/// All events but the one.
fn others() -> impl Iterator<Item = u64> {
    FATAL + 1..=EVENTS
}

/// Returns a process that nothing kills any more.
async fn restart_until_dead(
    stage: &Stage,
    runs: &Executions,
    dead: &DeadLetters,
) -> anyhow::Result<Process> {
    let role = Role::Listen {
        app: stage.app_name("listener"),
        url: stage.url(),
        fatal: FATAL,
    };
    loop {
        let mut process = Process::start(stage, &role, runs).await?;
        let is_dead = async || dead.count().await.is_ok_and(|dead| dead > 0);
        tokio::select! {
            ended = process.ended() => ended?,
            died = eventually("it is dead", is_dead) => {
                died?;
                // This may be the one that it killed just now.
                process.kill().await?;
                return Process::start(stage, &role, runs).await;
            }
        }
        anyhow::ensure!(runs.of(FATAL) <= 30, "it is delivered again and again");
    }
}

fn check_fatal(outcome: &mut Outcome, runs: &Executions, letters: &[DeadLetter]) {
    let is_fatal = |letter: &&DeadLetter| number(letter).is_ok_and(|n| n == FATAL);
    let fatal = letters.iter().find(is_fatal);
    let named = fatal.is_some_and(|letter| letter.reason == DeadReason::DeliveryLimit);
    outcome.check(named, format!("its dead letter says why: {fatal:?}"));
    let delivered = runs.of(FATAL);
    // A connection that goes down may be sent it once more, which counts, and which no handler sees.
    let limit = (15..=21).contains(&delivered);
    outcome.check(
        limit,
        format!("{delivered} processes began it, not 15 to 21"),
    );
    let more = letters.len().saturating_sub(1);
    outcome.check(more == 0, format!("{more} others died with it"));
    outcome.note(format!("dead after {delivered} processes"));
}
