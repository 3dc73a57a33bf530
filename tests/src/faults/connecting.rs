//! Brokers that cannot be reached, and logins that fail.

use std::time::{Duration, Instant};

use lightbus::Error;
use tokio::task::JoinSet;

use super::events::{Events, Load, SLACK};
use super::outcome::Outcome;
use super::stage::{BACKOFF, Stage};
use crate::eventually;
use crate::proxy::Mode;

/// Row 10: the broker's host accepts connections, and never answers.
pub(super) async fn silence(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    let events = Events::flow(stage, proxy.url(), proxy.url(), Load::default()).await?;
    let mut outcome = Outcome::default();
    let (threads, files) = (count("task"), count("fd"));
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
        async || count("task") <= threads && count("fd") <= files,
    );
    left.await?;
    // An app that loses its connection meets silence too: its attempts end after 5 s.
    proxy.cut();
    tokio::time::sleep(stage.seconds(2.0, 60.0)).await;
    proxy.set(Mode::Pass);
    outcome.recovered(events.flowing().await?, Duration::from_secs(5) + BACKOFF);
    events.finish(stage, outcome).await
}

/// How many threads (`task`) or open files (`fd`) this process has.
fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).map_or(0, Iterator::count)
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

/// Row 11: an app starts before its broker.
pub(super) async fn lazy(stage: &Stage) -> anyhow::Result<Outcome> {
    let proxy = stage.proxy().await?;
    proxy.set(Mode::Refuse);
    let (url, load) = (
        proxy.url(),
        Load {
            lazy: true,
            ..Load::default()
        },
    );
    let began = Instant::now();
    let events = Events::begin(stage, url.clone(), url, load).await?;
    let mut outcome = Outcome::default();
    outcome.in_time("a lazy start", began.elapsed(), Duration::from_secs(1));
    let buses = [events.publisher(), events.listener()];
    let ready = buses.map(|bus| bus.health().is_ready());
    outcome.check(ready == [false; 2], "no app says that it is ready");
    tokio::time::sleep(stage.seconds(5.0, 120.0)).await;
    proxy.set(Mode::Pass);
    let began = Instant::now();
    for bus in buses {
        bus.ready().await?;
    }
    outcome.recovered(began.elapsed(), BACKOFF);
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
