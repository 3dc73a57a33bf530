//! Brokers that cannot be reached, and logins that fail.

use std::time::{Duration, Instant};

use lightbus::Error;
use tokio::task::JoinSet;

use super::api::{BesideEvents, Passed};
use super::events::{Apps, Events, Load, SLACK};
use super::ledger::Ledger;
use super::outcome::Outcome;
use super::resources::Counted;
use super::stage::{BACKOFF, Stage};
use crate::eventually;
use crate::proxy::Mode;

/// Row 10: the broker's host accepts connections, and never answers.
pub(super) async fn silence(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let events = Events::flow(stage, proxy.url(), proxy.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    let before = Counted::now();
    proxy.set(Mode::Silence);
    let deadline = Duration::from_millis(300);
    for _ in 0..5 {
        let mut attempts = JoinSet::new();
        for _ in 0..10 {
            let app = stage.app("late", proxy.url()).connect_deadline(deadline);
            attempts.spawn(async move {
                let began = Instant::now();
                (app.connect().await.is_err(), began.elapsed())
            });
        }
        while let Some(attempt) = attempts.join_next().await {
            let (failed, took) = attempt?;
            outcome.check(failed, "an attempt fails");
            outcome.in_time("an attempt of 0.3 s", took, deadline + SLACK);
        }
    }
    let left = eventually(
        "50 attempts left neither a thread nor a socket",
        async || Counted::now().is_within(before),
    );
    left.await?;
    // An app that loses its connection meets silence too: its attempts end after 5 s.
    proxy.cut();
    tokio::time::sleep(stage.seconds(2.0, 60.0)).await;
    proxy.set(Mode::Pass);
    outcome.recovered(events.flowing().await?, Duration::from_secs(5) + BACKOFF);
    events.finish(stage, outcome).await
}

/// Row 11: the broker's port refuses connections for a while.
pub(super) async fn refused(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let events = Events::flow(stage, proxy.url(), proxy.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    proxy.set(Mode::Refuse);
    proxy.cut();
    tokio::time::sleep(stage.seconds(5.0, 120.0)).await;
    proxy.set(Mode::Pass);
    outcome.recovered(events.flowing().await?, BACKOFF);
    events.finish(stage, outcome).await
}

/// Row 11: apps start before their broker, and one of them publishes before it too.
pub(super) async fn lazy(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    proxy.set(Mode::Refuse);
    let load = Load {
        lazy: true,
        ..Load::default()
    };
    let began = Instant::now();
    let mut events = Events::between(
        stage,
        Apps {
            publisher: stage.app("publisher", proxy.url()),
            listener: stage.app("listener", proxy.url()),
        },
        Ledger::default(),
        load,
    )
    .await?;
    let mut outcome = Outcome::default();
    outcome.in_time("a lazy start", began.elapsed(), SLACK);
    let buses = [events.publisher().clone(), events.listener().clone()];
    let ready = buses.iter().any(|bus| bus.health().is_ready());
    outcome.check(!ready, "no app says that it is ready");
    let away = stage.seconds(5.0, 120.0);
    let early = BesideEvents::new(&buses[0]).passed();
    let early = early.publish(Passed { n: 0 }).timeout(away + BACKOFF);
    let early = tokio::spawn(early.into_future());
    tokio::time::sleep(away).await;
    proxy.set(Mode::Pass);
    let began = Instant::now();
    for bus in &buses {
        bus.ready().await?;
    }
    outcome.recovered(began.elapsed(), BACKOFF);
    let early = early.await?;
    outcome.check(
        early.is_ok(),
        format!("a publish waits for the broker: {early:?}"),
    );
    events.resume();
    outcome.recovered(events.flowing().await?, BACKOFF);
    events.finish(stage, outcome).await
}

/// Row 12: a wrong password, a wrong virtual host, a broker that is not there.
pub(super) async fn wrong(stage: &Stage) -> anyhow::Result<Outcome> {
    let url = stage.url();
    let (_, host) = url.rsplit_once(['@', '/']).unwrap_or_default();
    let host = if host.contains(':') {
        host
    } else {
        url.rsplit('/').nth(1).unwrap_or_default()
    };
    let (host, _) = host.split_once(['/', '?']).unwrap_or((host, ""));
    let host = host.rsplit('@').next().unwrap_or_default();
    let proxy = stage.proxy().await?;
    proxy.set(Mode::Refuse);
    let mut outcome = Outcome::default();
    for (url, cause) in [
        (format!("amqp://guest:hunter2@{host}"), "ACCESS_REFUSED"),
        (format!("amqp://guest:guest@{host}/hunting"), "hunting"),
        (format!("amqp://guest:hunter2@{}", proxy.address()), "reset"),
    ] {
        let began = Instant::now();
        let error = stage.app("wrong", &url).connect().await.err();
        outcome.in_time(
            "an error at the start",
            began.elapsed(),
            Duration::from_secs(2),
        );
        let told = format!(
            "{error:?} {}",
            error.as_ref().map_or_else(String::new, Error::to_string)
        );
        outcome.check(
            matches!(error, Some(Error::Connect { .. })),
            format!("{told} is an error"),
        );
        outcome.check(told.contains(cause), format!("{told} names {cause}"));
        outcome.check(
            !told.contains("hunter2"),
            format!("{told} shows no password"),
        );
    }
    Ok(outcome)
}
