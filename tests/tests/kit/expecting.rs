//! Expectations that are met, and those that are not.

use lightbus::testing::TestBus;
use serde_json::json;

use crate::{AuthApiClient, AuthApiEvents, UserLeft, UserRegistered, failure, registered, welcome};

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
    let later = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let events = AuthApiEvents::new(&app);
        events.user_left().publish(left("ada")).await
    });
    bus.published(left("ada")).await;
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
    later.await.unwrap().unwrap();
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
        "the event auth.user_registered should be sent at least once, and it was not sent"
    );
    assert_eq!(lines[1], r#"  wanted {"age":36,"username":"ada"}"#);
    assert!(
        lines[2].ends_with("by test, the nearest of 2 of that name"),
        "{text}"
    );
    assert_eq!(lines[3..], ["      age: wanted 36, was 35"]);
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
        twice.starts_with("the event auth.user_left should be sent once, and it was sent 2 times"),
        "{twice}"
    );
    assert_eq!(twice.matches("by test").count(), 2, "{twice}");
    let by = failure(|bus| async move {
        bus.simulate(left("ada")).await.unwrap();
        bus.published(left("ada")).by("auth-app").await;
    });
    let by = by.await;
    assert!(
        by.starts_with("the event auth.user_left should be sent at least once by auth-app"),
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
            .ends_with("nothing at all was sent over this bus\n")
    );
    let other = failure(|bus| async move {
        let auth = AuthApiClient::new(&bus);
        bus.simulate(auth.resize_avatar(7)).await.unwrap();
        bus.called(auth.count()).await;
    });
    let other = other.await;
    assert!(
        other.ends_with("none of that name was sent; what was: task auth.resize_avatar\n"),
        "{other}"
    );
}
