//! Messages that nobody should have sent, and queues that take no more.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lightbus::PublishError;
use tokio::task::JoinSet;

use super::api::{BesideEvents, Passed};
use super::events::{Events, Load, PUBLISHERS};
use super::outcome::Outcome;
use super::stage::Stage;
use crate::eventually;

/// Row 24: what cannot be read is dead at once, and hurts nobody.
pub(super) async fn messages(stage: &Stage) -> anyhow::Result<Outcome> {
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    let foreign = stage.foreign().await?;
    let mut outcome = Outcome::default();
    let hostile = hostile();
    for (what, properties, payload) in &hostile {
        let key = "faults.happened";
        foreign
            .publish("lb.ev.faults", key, properties.clone(), payload)
            .await?;
        outcome.recovered(events.flowing().await?, Duration::from_secs(1));
        outcome.note(*what);
    }
    let letters = format!("{}.dead", events.queue());
    let all_dead = eventually("each of them is dead", async || {
        let dead = foreign.queue(&letters).await;
        dead.is_ok_and(|dead| dead.is_some_and(|(dead, _)| dead as usize == hostile.len()))
    });
    all_dead.await?;
    // They are no events: the books do not know them.
    foreign.drain(&letters).await?;
    events.finish(stage, outcome).await
}

fn hostile() -> Vec<(&'static str, BasicProperties, Vec<u8>)> {
    let event = || {
        BasicProperties::default()
            .with_type("lb1.ev".into())
            .with_content_type("application/msgpack".into())
    };
    let mut headers = FieldTable::default();
    for n in 0..40 {
        let text = AMQPValue::LongString("x".repeat(2048).into());
        headers.insert(ShortString::from(format!("h{n}")), text);
    }
    vec![
        ("garbage", event(), vec![0xc1; 64]),
        ("empty", event(), Vec::new()),
        ("a list, not a map", event(), vec![0x91, 0x01]),
        ("2 MiB", event(), vec![0; 2 << 20]),
        ("2000 levels", event(), vec![0x91; 2000]),
        (
            "a claim of 4 G elements",
            event(),
            vec![0xdd, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            "80 kB of headers, no payload",
            event().with_headers(headers),
            Vec::new(),
        ),
        (
            "another kind",
            event().with_type("lb1.req".into()),
            vec![0x80],
        ),
        (
            "another format",
            event().with_content_type("text/plain".into()),
            b"hello".to_vec(),
        ),
    ]
}

/// Row 25: one queue is full. Its publishers are told, and those of other events are not.
pub(super) async fn full_queue(stage: &Stage) -> anyhow::Result<Outcome> {
    let events = Events::flow(stage, stage.url(), stage.url(), Load::default()).await?;
    let bus = events.publisher().clone();
    let beside = BesideEvents::new(&bus).passed();
    // Declares the exchange; nobody listens yet.
    beside.publish(Passed { n: 0 }).await?;
    let full = stage.app_name("full");
    stage.leaves(&full);
    let foreign = stage.foreign().await?;
    foreign
        .declare_full_queue(&full, "lb.ev.faults_beside")
        .await?;
    let mut outcome = Outcome::default();
    let mut lanes = JoinSet::new();
    for _ in 0..16 {
        let bus = bus.clone();
        lanes.spawn(async move {
            let beside = BesideEvents::new(&bus).passed();
            let mut wrong = Vec::new();
            for n in 0..300 {
                let told = beside.publish(Passed { n }).await;
                if !matches!(told, Err(PublishError::Refused { .. })) {
                    wrong.push(format!("{told:?}"));
                }
            }
            wrong
        });
    }
    while let Some(lane) = lanes.join_next().await {
        let wrong = lane?;
        outcome.check(
            wrong.is_empty(),
            format!("each publisher hears its own fate: {wrong:.200?}"),
        );
    }
    let errors = events.ledger().errors();
    outcome.check(
        errors.is_empty(),
        format!("{PUBLISHERS} others are not refused: {errors:.200?}"),
    );
    outcome.recovered(events.flowing().await?, Duration::from_secs(1));
    events.finish(stage, outcome).await
}
