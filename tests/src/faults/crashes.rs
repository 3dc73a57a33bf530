//! Brokers and apps that end with `kill -9`.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lightbus::CallError;

use super::api::FaultsClient;
use super::calls::{self, Executions, Provider};
use super::events::{Events, Load, SLACK};
use super::outcome::Outcome;
use super::process::{Process, Role};
use super::stage::{BACKOFF, Pace, Stage};
use crate::eventually;

/// Of a call.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Row 3: the broker is killed while events flow, three times.
pub(super) async fn events(stage: &Stage) -> anyhow::Result<Outcome> {
    killed(stage, Load::default()).await
}

/// Row 4: the same, while some of the events have failed and wait on the broker for their next attempt.
pub(super) async fn retries(stage: &Stage) -> anyhow::Result<Outcome> {
    let fails = 3;
    killed(
        stage,
        Load {
            fails,
            ..Load::default()
        },
    )
    .await
}

async fn killed(stage: &Stage, load: Load) -> anyhow::Result<Outcome> {
    stage.rabbitmq("it lives in this process, and in memory")?;
    let events = Events::flow(stage, stage.url(), stage.url(), load).await?;
    let mut outcome = Outcome::default();
    let kills = if stage.pace() == Pace::Quick { 1 } else { 3 };
    let retried = || events.listener().counts().events_retried;
    for _ in 0..kills {
        tokio::time::sleep(stage.seconds(1.0, 10.0)).await;
        let before = retried();
        let put_off = "an event is put off, and so is on the ladder";
        eventually(put_off, async || load.fails == 0 || retried() > before).await?;
        stage.kill().await?;
        stage.restart().await?;
        outcome.recovered(events.flowing().await?, BACKOFF);
    }
    if load.fails > 0 {
        outcome.note(format!("{} put off", retried()));
    }
    events.finish(stage, outcome).await
}

/// Row 18: an app is killed while it works on calls. Another replica is there.
pub(super) async fn provider(stage: &Stage) -> anyhow::Result<Outcome> {
    const CALLS: u64 = 16;
    stage.leaves("lb.rpc.faults");
    let runs = Executions::default();
    let first = Role::Answer {
        app: stage.app_name("provider"),
        url: stage.url(),
    };
    let first = Process::start(stage, &first, &runs).await?;
    let caller = stage.app("caller", stage.url()).connect().await?;
    calls::answered(&caller).await?;
    let began = Instant::now();
    let look = FaultsClient::new(&caller).look(CALLS + 1, 1000);
    let look = tokio::spawn(look.timeout(TIMEOUT).into_future());
    runs.begun(CALLS + 1).await?;
    let call = |n| {
        let call = FaultsClient::new(&caller).echo(n, 1000);
        tokio::spawn(call.timeout(TIMEOUT).into_future())
    };
    let called: Vec<_> = (1..=CALLS).map(call).collect();
    let working = "it works on some of them";
    eventually(working, async || (1..=CALLS).any(|n| runs.of(n) > 0)).await?;
    let second = Provider::sharing(stage, "provider", stage.url(), runs.clone()).await?;
    first.kill().await?;
    let mut outcome = Outcome::default();
    let answers: Vec<_> = join_all(called)
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    outcome.in_time("the calls of 5 s", began.elapsed(), TIMEOUT + SLACK);
    each_heard_its_fate(&mut outcome, &runs, &answers);
    let looked = look.await?;
    outcome.check(
        looked == Ok(CALLS + 1),
        format!("an idempotent call runs again elsewhere: {looked:?}"),
    );
    second.close().await;
    caller.close().await;
    Ok(outcome)
}

/// Those that ran, or may have, ran once; and some were in the killed app's hands.
fn each_heard_its_fate(
    outcome: &mut Outcome,
    runs: &Executions,
    answers: &[Result<u64, CallError<Infallible>>],
) {
    for (n, answer) in (1..).zip(answers) {
        let ran = runs.of(n);
        let told = match answer {
            Ok(answered) => *answered == n && ran == 1,
            Err(CallError::Timeout(_) | CallError::ProviderFailed(_)) => ran <= 1,
            Err(error) => error.is_retryable() && ran == 0,
        };
        outcome.check(
            told,
            format!("call {n} ran {ran} times, and its caller heard {answer:?}"),
        );
    }
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    outcome.confirmed = answered;
    outcome.handled = answered;
    let unknown = answers.len() - answered;
    outcome.check(unknown > 0, "it was killed in the midst of calls");
    outcome.note(format!("{unknown} callers heard that it may have run"));
}
