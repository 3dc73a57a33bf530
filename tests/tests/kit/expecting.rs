//! Expectations that are met, and those that are not.

use std::time::Duration;

use lightbus::testing::{Raw, TestBus};
use lightbus::{Context, Retry};
use serde_json::json;

use crate::{
    AuthApi, AuthApiClient, AuthApiEvents, AuthApiServer, AuthError, UserLeft, UserRegistered,
    failure, registered, welcome,
};

fn left(username: &str) -> UserLeft {
    UserLeft {
        username: username.to_owned(),
    }
}

#[lightbus::test]
async fn one_value_is_sent_and_expected(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    welcome(&bus.app("welcome").await?).await?;
    bus.stub(auth.check_password("ada", ""))
        .returns(true)
        .await?;
    bus.simulate(registered("ada", 36)).await?;
    bus.published(registered("ada", 36)).by("test").once().await;
    bus.called(auth.check_password("ada", ""))
        .by("welcome")
        .once()
        .await;
    bus.enqueued(auth.resize_avatar(36)).once().await;
    bus.enqueued(auth.resize_avatar(7)).never().await;
    bus.published(left("ada")).never().await;
    Ok(())
}

#[lightbus::test]
async fn matching_goes_by_value_by_fields_or_by_a_closure(bus: TestBus) {
    for age in [36, 37] {
        bus.simulate(registered("ada", age)).await.unwrap();
    }
    bus.simulate(left("ada.b")).await.unwrap();
    bus.published(left("ada.b")).once().await;
    bus.published(registered("ada", 36)).once().await;
    bus.published(registered("", 0))
        .fields(json!({"username": "ada"}))
        .times(2)
        .await;
    bus.published_such(|user: &UserRegistered| user.age > 36)
        .once()
        .await;
}

#[lightbus::test]
async fn what_is_still_to_come_is_waited_for(bus: TestBus) {
    let app = bus.app("late").await.unwrap();
    let events = AuthApiEvents::new(&app);
    // In this order: it is looked for before it is sent.
    let expected = bus.published(left("ada")).into_future();
    let later = async { events.user_left().publish(left("ada")).await };
    let ((), published) = tokio::join!(expected, later);
    published.unwrap();
    let auth = AuthApiClient::new(&bus);
    // Quiet it is not, as long as a call waits for its answer.
    let slow = std::time::Duration::from_millis(100);
    bus.stub(auth.count()).after(slow).returns(1).await.unwrap();
    let (client, begun) = (auth.clone(), std::time::Instant::now());
    let calling = tokio::spawn(async move { client.count().await });
    bus.called(auth.count()).await;
    bus.settled().await;
    assert!(begun.elapsed() >= slow);
    assert_eq!(calling.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn a_wrong_value_is_told_from_the_nearest() {
    let text = failure(|bus| async move {
        bus.simulate(registered("bob", 36)).await.unwrap();
        bus.simulate(registered("ada", 35)).await.unwrap();
        bus.published(registered("ada", 36)).await;
    });
    let text = text.await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        "the event auth.user_registered should be published"
    );
    assert_eq!(lines[1], r#"  wanted {"age":36,"username":"ada"}"#);
    assert_eq!(lines[2], r#"  but    {"age":35,"username":"ada"}"#);
    assert!(
        lines[3].ends_with(", the nearest of 2 of that name:"),
        "{text}"
    );
    assert_eq!(lines[4..], ["      age: wanted 36, was 35"]);
}

#[tokio::test]
async fn a_wrong_number_and_a_wrong_sender_are_named() {
    let twice = failure(|bus| async move {
        bus.simulate(left("ada")).await.unwrap();
        bus.simulate(left("ada")).await.unwrap();
        bus.published(left("ada")).once().await;
    });
    let twice = twice.await;
    assert!(
        twice.starts_with("the event auth.user_left should be published once\n"),
        "{twice}"
    );
    assert_eq!(
        twice.matches("test: event auth.user_left").count(),
        2,
        "{twice}"
    );
    let by = failure(|bus| async move {
        bus.simulate(left("ada")).await.unwrap();
        bus.published(left("ada")).by("auth-app").await;
    });
    let by = by.await;
    assert!(
        by.starts_with("the event auth.user_left should be published by auth-app\n"),
        "{by}"
    );
}

#[tokio::test]
async fn what_else_was_sent_is_named() {
    let nothing = failure(|bus| async move {
        let auth = AuthApiClient::new(&bus);
        bus.enqueued(auth.resize_avatar(7)).await;
    });
    assert!(
        nothing
            .await
            .contains("nothing at all was sent over this bus\n")
    );
    let other = failure(|bus| async move {
        let auth = AuthApiClient::new(&bus);
        bus.simulate(auth.resize_avatar(7)).await.unwrap();
        bus.called(auth.count()).await;
    });
    let other = other.await;
    assert!(
        other.contains("of that name nothing was sent; what was: task auth.resize_avatar\n"),
        "{other}"
    );
}

/// A provider and worker: user 0 is unknown.
pub(crate) struct Auth;

impl AuthApi for Auth {
    async fn check_password(&self, username: String, _: String) -> Result<bool, AuthError> {
        match username.as_str() {
            "nobody" => Err(AuthError::NoSuchUser { username }),
            _ => Ok(true),
        }
    }

    async fn count(&self) -> u64 {
        7
    }

    async fn resize_avatar(&self, user_id: u64) -> Result<(), AuthError> {
        match (user_id, Context::current().map_or(0, |it| it.attempt())) {
            (0, _) | (1, 0) => Err(AuthError::NoSuchUser {
                username: user_id.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

#[lightbus::test]
async fn what_became_of_it_is_expected_as_well(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    let auth_app = bus.app("auth-app").await?;
    auth_app.serve(AuthApiServer::new(Auth)).await?;
    welcome(&bus.app("welcome").await?).await?;
    bus.simulate(registered("ada", 1)).await?;
    bus.simulate(registered("nobody", 0)).await?;
    bus.enqueued(auth.resize_avatar(0)).never().await;
    bus.simulate(auth.resize_avatar(0)).await?;

    bus.published(registered("ada", 1))
        .handled_by("welcome")
        .await;
    let error = AuthError::NoSuchUser {
        username: "nobody".to_owned(),
    };
    bus.published(registered("nobody", 0)).dead().once().await;
    bus.published(registered("nobody", 0))
        .dead_because("NoSuchUser")
        .await;
    bus.published(registered("ada", 1)).dead().never().await;
    bus.called(auth.check_password("ada", ""))
        .returned(true)
        .await;
    bus.called(auth.check_password("ada", ""))
        .handled_by("auth-app")
        .await;
    bus.called(auth.check_password("nobody", ""))
        .failed(error)
        .once()
        .await;
    // In place, and only in the process of the worker.
    bus.enqueued(auth.resize_avatar(1))
        .retried(1)
        .handled_by("auth-app")
        .await;
    bus.enqueued(auth.resize_avatar(0)).retried(1).dead().await;
    Ok(())
}

#[lightbus::test]
async fn messages_are_expected_in_their_order(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    welcome(&bus.app("welcome").await?).await?;
    bus.stub(auth.check_password("ada", ""))
        .returns(true)
        .await?;
    bus.simulate(registered("ada", 36)).await?;
    bus.published(registered("ada", 36))
        .then(bus.called(auth.check_password("ada", "")).once())
        .then(bus.published(left("ada")).never())
        .then(bus.enqueued(auth.resize_avatar(36)))
        .await;
    bus.nothing_else().await;
    Ok(())
}

#[lightbus::test]
async fn headers_and_closures_tell_messages_apart(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    bus.stub(auth.check_password("", ""))
        .any_arguments()
        .returns(true)
        .await?;
    auth.check_password("ada", "1")
        .header("tenant", "acme")
        .await?;
    auth.check_password("bob", "2").await?;
    let any = || bus.called(auth.check_password("", "")).any_arguments();
    any().times(2).await;
    any().with_header("tenant", "acme").once().await;
    any().with_header("tenant", "other").never().await;
    bus.called(auth.check_password("", ""))
        .such(|arguments| arguments["username"] == "bob")
        .once()
        .await;
    Ok(())
}

#[lightbus::test]
#[should_panic(expected = "dead because of \"card\"")]
async fn the_name_of_its_queue_is_no_reason_to_be_dead(bus: TestBus) {
    let app = bus.app("billing").await.unwrap();
    let charge = |_: UserLeft| async { Err::<(), _>(anyhow::anyhow!("no route to the bank")) };
    let left = AuthApiClient::new(&app).user_left().retry(Retry::never());
    left.listen("charge-card", charge).await.unwrap();
    let ada = UserLeft {
        username: "ada".to_owned(),
    };
    bus.simulate(ada.clone()).await.unwrap();
    bus.published(ada).dead_because("card").await;
}

#[lightbus::test]
#[should_panic(expected = "it cannot be read: ")]
async fn an_event_that_cannot_be_read_may_be_such_a_one(bus: TestBus) {
    let unreadable = Raw::event("auth", "user_left", json!({"username": 7}));
    bus.simulate(unreadable.key("ada")).await.unwrap();
    bus.published_such(|_: &UserLeft| true).never().await;
}

#[lightbus::test]
#[should_panic(expected = "no app `suport` was ever on this bus")]
async fn that_nobody_of_that_name_did_it_proves_nothing(bus: TestBus) {
    let _app = bus.app("support").await.unwrap();
    bus.simulate(registered("ada", 36)).await.unwrap();
    let ada = bus.published(registered("ada", 36));
    ada.handled_by("suport").never().await;
}

#[lightbus::test]
async fn who_asks_for_time_waits_for_what_a_program_does_elsewhere(
    bus: TestBus,
) -> anyhow::Result<()> {
    let app = bus.app("auth").await?;
    let slow = tokio::task::spawn_blocking(|| {
        let (_never, nothing) = std::sync::mpsc::channel::<()>();
        nothing.recv_timeout(Duration::from_millis(600))
    });
    let work = tokio::spawn(async move {
        drop(slow.await);
        let events = AuthApiEvents::new(&app);
        events
            .user_registered()
            .publish(registered("ada", 36))
            .await
    });
    let ada = bus.published(registered("ada", 36));
    ada.within(Duration::from_secs(10)).once().await;
    work.await??;
    Ok(())
}

#[lightbus::test]
async fn nothing_else_does_not_ask_when_somebody_looked(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("auth").await?;
    let events = AuthApiEvents::new(&app);
    for _ in 0..2 {
        events
            .user_registered()
            .publish(registered("ada", 36))
            .await?;
        bus.published(registered("ada", 36)).by("auth").await;
    }
    events
        .user_registered()
        .publish(registered("ada", 36))
        .await?;
    bus.nothing_else().await;
    Ok(())
}

#[lightbus::test]
async fn the_name_of_the_tests_own_app_is_taken(bus: TestBus) {
    let error = bus.app("test").await.unwrap_err().to_string();
    assert!(error.contains("the test's own app"), "{error}");
}
