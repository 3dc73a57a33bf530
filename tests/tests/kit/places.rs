//! The same tests on the embedded broker and on a RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use lightbus::CallError;
use lightbus::testing::TestBus;
use tokio::sync::Notify;

use crate::{AuthApi, AuthApiClient, AuthApiServer, AuthError, registered, welcome};

const HOUR: Duration = Duration::from_secs(3600);

/// An app that answers a call when it is told to.
#[derive(Default)]
struct Slow(Arc<Notify>);

impl AuthApi for Slow {
    async fn check_password(&self, _: String, _: String) -> Result<bool, AuthError> {
        self.0.notified().await;
        Ok(true)
    }

    async fn count(&self) -> u64 {
        1
    }

    async fn resize_avatar(&self, _: u64) -> Result<(), AuthError> {
        Ok(())
    }
}

mod both {
    use super::{AuthApiClient, TestBus, registered, welcome};

    #[lightbus::test(broker = "both")]
    async fn a_test_says_the_same_of_either(bus: TestBus) -> anyhow::Result<()> {
        let auth = AuthApiClient::new(&bus);
        welcome(&bus.app("welcome").await?).await?;
        bus.stub(auth.check_password("ada", ""))
            .returns(true)
            .await?;
        let greeted = registered("ada", super::thirty_six());
        bus.simulate(greeted.clone()).await?;
        bus.published(greeted).by("test").once().await;
        bus.enqueued(auth.resize_avatar(36))
            .by("welcome")
            .once()
            .await;
        bus.enqueued(auth.resize_avatar(7)).never().await;
        let story = bus.story();
        assert!(story.contains("to lb.q.welcome.greet"), "{story}");
        assert!(story.contains("answered by test: true"), "{story}");
        Ok(())
    }
}

/// What a body finds by `super`.
fn thirty_six() -> u8 {
    36
}

#[lightbus::test(broker = "both")]
#[should_panic(expected = "the event auth.user_registered should be published once")]
async fn what_should_panic_does_so_on_either(bus: TestBus) {
    bus.published(registered("ada", 36)).once().await;
}

#[lightbus::test(broker = "both")]
async fn a_call_that_expires_behind_another_is_over(bus: TestBus) -> anyhow::Result<()> {
    let slow = bus.app_builder("slow").concurrency(1).connect().await?;
    let go_on = Arc::<Notify>::default();
    slow.serve(AuthApiServer::new(Slow(Arc::clone(&go_on))))
        .await?;
    let auth = AuthApiClient::new(&bus);
    let first = tokio::spawn({
        let auth = auth.clone();
        async move { auth.check_password("ada", "").await }
    });
    bus.called(auth.check_password("ada", "")).await;
    let late = auth.count().timeout(Duration::from_millis(50)).await;
    assert!(matches!(late, Err(CallError::Timeout(_))), "{late:?}");
    go_on.notify_one();
    bus.settled().await;
    assert_eq!(first.await?, Ok(true));
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn what_only_the_embedded_broker_can_do_is_done_there(bus: TestBus) {
    assert!(bus.broker().snapshot().connection("test publish").is_some());
}

#[lightbus::test(broker = "rabbitmq")]
#[should_panic(
    expected = "`TestBus::faults` is the embedded broker's, and this test runs on a RabbitMQ (LIGHTBUS_TEST_URL): say `#[lightbus::test(broker = \"embedded\")]`"
)]
async fn a_rabbitmq_has_no_faults(bus: TestBus) {
    bus.faults().restart();
}

#[lightbus::test(broker = "rabbitmq")]
#[should_panic(expected = "write `#[lightbus::test(virtual_time)]`")]
async fn a_rabbitmq_has_no_virtual_time(bus: TestBus) {
    bus.advance(HOUR).await;
}

#[lightbus::test(virtual_time)]
async fn a_clock_that_a_test_moves(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    bus.app("auth-app")
        .await?
        .serve(AuthApiServer::new(Slow::default()))
        .await?;
    auth.resize_avatar(7).after(HOUR).enqueue().await?;
    bus.advance(HOUR).await;
    let story = bus.story();
    assert!(story.contains("handled by auth-app"), "{story}");
    Ok(())
}

/// Whether the RabbitMQ of the tests has the virtual host of this URL. A relay is gone with its bus.
async fn is_there(url: &str) -> bool {
    let server = std::env::var("LIGHTBUS_TEST_URL").unwrap();
    let vhost = url.rsplit('/').next().unwrap();
    assert!(vhost.starts_with("lbtest-"), "{url}");
    let url = format!("{}/{vhost}", server.trim_end_matches('/'));
    let opened = lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await;
    opened.is_ok()
}

#[lightbus::test(broker = "rabbitmq")]
async fn each_bus_has_a_virtual_host_which_goes_with_it(bus: TestBus) -> anyhow::Result<()> {
    let other = TestBus::start().await?;
    let url = other.url();
    assert_ne!(url, bus.url());
    assert!(is_there(&url).await);
    other.simulate(registered("ada", 36)).await?;
    bus.published(registered("ada", 36)).never().await;
    drop(other);
    assert!(!is_there(&url).await);
    // And so with a test that panics.
    let (tell, told) = std::sync::mpsc::channel();
    let failed = tokio::spawn(async move {
        let bus = TestBus::start().await.unwrap();
        tell.send(bus.url()).unwrap();
        bus.published(registered("ada", 36)).once().await;
    });
    assert!(failed.await.is_err());
    assert!(!is_there(&told.recv()?).await);
    Ok(())
}
