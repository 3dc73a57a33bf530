//! Stubs, and calls that none of them answers.

use std::time::{Duration, Instant};

use lightbus::CallError;
use lightbus::testing::TestBus;

use crate::expecting::Auth;
use crate::{AuthApiClient, AuthApiServer, AuthError, registered, welcome};

#[lightbus::test]
async fn calls_are_answered_by_their_arguments_and_in_turn(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    let error = AuthError::NoSuchUser {
        username: "bob".to_owned(),
    };
    bus.stub(auth.check_password("ada", "x"))
        .times(1)
        .returns(false)
        .await?;
    bus.stub(auth.check_password("ada", "x"))
        .returns(true)
        .await?;
    bus.stub(auth.check_password("bob", "x"))
        .fails(error.clone())
        .await?;
    bus.stub(auth.count())
        .after(Duration::from_millis(50))
        .returns(3)
        .await?;
    assert_eq!(auth.check_password("ada", "x").await, Ok(false));
    assert_eq!(auth.check_password("ada", "x").await, Ok(true));
    assert_eq!(auth.check_password("ada", "x").await, Ok(true));
    assert_eq!(
        auth.check_password("bob", "x").await,
        Err(CallError::Domain(error))
    );
    let begun = Instant::now();
    assert_eq!(auth.count().await, Ok(3));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    bus.stub(auth.check_password("", ""))
        .any_arguments()
        .returns(false)
        .await?;
    assert_eq!(auth.check_password("eve", "y").await, Ok(false));
    Ok(())
}

#[lightbus::test]
#[should_panic(
    expected = "no stub answers auth.check_password with {\"password\":\"\",\"username\":\"eve\"}"
)]
async fn a_call_with_other_arguments_fails_the_test(bus: TestBus) {
    let auth = AuthApiClient::new(&bus);
    welcome(&bus.app("welcome").await.unwrap()).await.unwrap();
    bus.stub(auth.check_password("ada", ""))
        .returns(true)
        .await
        .unwrap();
    bus.simulate(registered("eve", 1)).await.unwrap();
}

#[lightbus::test]
#[should_panic(expected = "test called auth.count, which no stub answers")]
async fn a_call_of_another_method_fails_the_test(bus: TestBus) {
    let auth = AuthApiClient::new(&bus);
    bus.stub(auth.check_password("ada", ""))
        .returns(true)
        .await
        .unwrap();
    assert!(matches!(
        auth.count().await,
        Err(CallError::UnknownMethod(_))
    ));
}

#[lightbus::test]
async fn a_peer_may_be_away_before_it_is_stubbed(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    let away = auth.count().await;
    assert!(matches!(away, Err(CallError::NoProvider(_))), "{away:?}");
    bus.stub(auth.count()).returns(3).await?;
    assert_eq!(auth.count().await, Ok(3));
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_call_that_expires_unheard_is_over(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    bus.stub(auth.count()).returns(3).await?;
    // The first call sets things up, which takes its time on a busy machine.
    assert_eq!(auth.count().await, Ok(3));
    bus.faults().pause_queue("lb.rpc.auth");
    let short = Duration::from_millis(50);
    let late = auth.count().timeout(short).await;
    assert!(matches!(late, Err(CallError::Timeout(_))), "{late:?}");
    bus.settled().await;
    assert!(
        bus.story().contains("dead in lb.rpc.auth, expired"),
        "{}",
        bus.story()
    );
    Ok(())
}

#[lightbus::test]
#[should_panic(expected = "`auth` is served by the app auth and by stubs")]
async fn an_app_is_started_or_stubbed(bus: TestBus) {
    let app = bus.app("auth").await.unwrap();
    app.serve(AuthApiServer::new(Auth)).await.unwrap();
    let auth = AuthApiClient::new(&bus);
    bus.stub(auth.count()).returns(7).await.unwrap();
    let _ = auth.count().await;
}

/// Also where `#[lightbus::test]` does not see to it.
#[tokio::test]
#[should_panic(expected = "no stub answers auth.check_password")]
async fn a_call_that_no_stub_fits_fails_a_test_that_starts_its_bus_itself() {
    let bus = TestBus::start().await.unwrap();
    let auth = AuthApiClient::new(&bus);
    let ada = auth.check_password("ada", "x");
    bus.stub(ada).returns(true).await.unwrap();
    let _ = auth.check_password("bob", "x").await;
}
