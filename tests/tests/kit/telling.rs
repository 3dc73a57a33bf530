//! The story of a bus.

use std::time::Duration;

use lightbus::testing::TestBus;

use crate::{AuthApi, AuthApiClient, AuthApiServer, AuthError, registered, welcome};

struct Auth;

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
        match user_id {
            0 => Err(AuthError::NoSuchUser {
                username: String::new(),
            }),
            _ => Ok(()),
        }
    }
}

/// The lines of a story, without their times.
fn lines(story: &str) -> Vec<String> {
    let untimed = |line: &str| match line.split_once(" ms ") {
        Some((_, rest)) => rest.to_owned(),
        None => line.to_owned(),
    };
    story.lines().map(untimed).collect()
}

#[lightbus::test]
async fn who_sent_what_and_what_became_of_it(bus: TestBus) -> anyhow::Result<()> {
    let auth_app = bus.app("auth-app").await?;
    auth_app.serve(AuthApiServer::new(Auth)).await?;
    welcome(&bus.app("welcome").await?).await?;
    bus.simulate(registered("ada", 0)).await?;
    bus.settled().await;
    let story = bus.story();
    assert_eq!(
        lines(&story),
        [
            "The story of telling::who_sent_what_and_what_became_of_it, 3 messages:",
            r#"test: event auth.user_registered {"age":0,"username":"ada"}"#,
            "to lb.q.welcome.greet",
            "handled by welcome (lb.q.welcome.greet)",
            r#"welcome: call auth.check_password {"password":"","username":"ada"}"#,
            "to lb.rpc.auth",
            "answered by auth-app: true",
            r#"welcome: task auth.resize_avatar {"user_id":0}"#,
            "to lb.task.auth",
            r#"attempt 1 failed: {"NoSuchUser":{"username":""}}"#,
            r#"dead in lb.task.auth after 2 attempts, failed: {"NoSuchUser":{"username":""}}"#,
        ],
        "{story}"
    );
    Ok(())
}

#[lightbus::test]
async fn failures_are_told(bus: TestBus) -> anyhow::Result<()> {
    let auth_app = bus.app("auth-app").await?;
    auth_app.serve(AuthApiServer::new(Auth)).await?;
    welcome(&bus.app("welcome").await?).await?;
    bus.simulate(registered("nobody", 0)).await?;
    bus.settled().await;
    let story = lines(&bus.story());
    let is_told = |what: &str| story.iter().any(|line| line.contains(what));
    assert!(
        is_told(r#"answered by auth-app with an error: {"NoSuchUser":{"username":"nobody"}}"#),
        "{story:#?}"
    );
    assert!(
        is_told("dead in lb.q.welcome.greet after 1 attempt, failed: "),
        "{story:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_bus_is_ready_in_milliseconds() -> anyhow::Result<()> {
    // The first one starts threads and loads code.
    drop(TestBus::start().await?);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let begun = std::time::Instant::now();
        let bus = TestBus::start().await?;
        best = best.min(begun.elapsed());
        drop(bus);
    }
    println!("a test's bus is ready in {best:?}");
    // A RabbitMQ makes a virtual host.
    let limit = match std::env::var_os("LIGHTBUS_TEST_URL") {
        None => Duration::from_millis(100),
        Some(_) => Duration::from_secs(2),
    };
    assert!(best < limit, "{best:?}");
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_bus_is_not_quiet_before_its_apps_are_back(bus: TestBus) -> anyhow::Result<()> {
    welcome(&bus.app("welcome").await?).await?;
    let auth = AuthApiClient::new(&bus);
    bus.stub(auth.check_password("ada", ""))
        .returns(true)
        .await?;
    bus.faults().cut_all();
    bus.simulate(registered("ada", 0)).await?;
    bus.settled().await;
    assert!(
        bus.story().contains("handled by welcome"),
        "{}",
        bus.story()
    );
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn faults_are_made_on_purpose(bus: TestBus) -> anyhow::Result<()> {
    let auth = AuthApiClient::new(&bus);
    bus.stub(auth.count()).returns(1).await?;
    bus.faults().restart();
    assert_eq!(auth.count().timeout(Duration::from_secs(20)).await?, 1);
    Ok(())
}
