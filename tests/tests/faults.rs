//! The cheapest rows of the fault matrix, on the embedded broker; `--bin faults` runs all of them, on RabbitMQ too. And whether the
//! matrix would notice.
#![allow(clippy::unwrap_used)]

use lightbus_tests::faults::events::{Events, Load};
use lightbus_tests::faults::outcome::Outcome;
use lightbus_tests::faults::report::Verdict;
use lightbus_tests::faults::rows;
use lightbus_tests::faults::stage::{Kind, Pace, Stage};

async fn stage() -> Stage {
    let stage = Stage::start(Kind::Embedded, 0, Pace::Quick).await;
    stage.unwrap().with_program(env!("CARGO_BIN_EXE_faults"))
}

/// Runs the quick rows of these numbers. Bounds in time are for a machine that does nothing else: here only what is lost or wrong counts.
async fn pass(numbers: &[u8]) {
    let stage = stage().await;
    let wanted: Vec<_> = rows()
        .into_iter()
        .filter(|row| row.quick && numbers.contains(&row.number))
        .collect();
    assert!(
        numbers
            .iter()
            .all(|n| wanted.iter().any(|row| row.number == *n))
    );
    for row in wanted {
        let report = row.run(&stage).await;
        let sound = matches!(&report.verdict, Verdict::Ran(outcome) if outcome.lost == 0 && outcome.failed.is_empty());
        assert!(sound, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_closed() {
    pass(&[6]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_lost_connections() {
    pass(&[19, 22]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_have_no_provider_among_others_that_have() {
    pass(&[26]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_that_are_restarted_in_turn() {
    pass(&[21]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_that_are_killed() {
    pass(&[18]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_never_succeed() {
    pass(&[23]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_wrong() {
    pass(&[31]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_that_delete_and_declare() {
    pass(&[15, 16, 29]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_logins_that_are_wrong() {
    pass(&[12, 24, 25]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_is_found_in_the_books() {
    let stage = stage().await;
    let mut events = Events::flow(&stage, stage.url(), stage.url(), Load::default())
        .await
        .unwrap();
    events.pause().await.unwrap();
    // A broker that confirms what it then loses.
    stage.embedded().unwrap().faults().drop_publishes(3);
    events.resume();
    events.flowing().await.unwrap();
    let limit = std::time::Duration::from_secs(1);
    let outcome = events
        .finish_within(&stage, Outcome::default(), limit)
        .await
        .unwrap();
    assert_eq!(outcome.lost, 3, "{outcome:?}");
    assert!(!outcome.passed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_event_is_not_a_lost_one() {
    let stage = stage().await;
    let mut events = Events::flow(&stage, stage.url(), stage.url(), Load::default())
        .await
        .unwrap();
    events.pause().await.unwrap();
    // Confirmed, and not handled: it lies among the dead letters.
    let n = events.ledger().next();
    events.ledger().confirmed(n, std::time::Duration::ZERO);
    let letters = format!("{}.dead", events.queue());
    let payload = rmp_serde::to_vec_named(&lightbus_tests::faults::api::Happened {
        n,
        filler: String::new(),
    })
    .unwrap();
    let foreign = stage.foreign().await.unwrap();
    foreign
        .publish("", &letters, Default::default(), &payload)
        .await
        .unwrap();
    let outcome = events.finish(&stage, Outcome::default()).await.unwrap();
    assert_eq!(outcome.lost, 0, "{outcome:?}");
    assert_eq!(outcome.notes, ["1 dead"]);
}
