//! The story of a bus.

use std::time::Duration;

use lightbus::testing::TestBus;
use lightbus::{Context, HandlerError, MemoryStore, Retry};

use crate::{
    AuthApi, AuthApiClient, AuthApiServer, AuthError, UserRegistered, registered, welcome,
};

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
    let untimed = |line: &str| match line.trim_start().strip_prefix('+') {
        Some(time) => time.splitn(3, ' ').last().unwrap_or(time).to_owned(),
        None => line.to_owned(),
    };
    story.lines().map(untimed).collect()
}

/// What became of this message.
fn fates(story: &str, message: &str) -> Vec<String> {
    let rest = story.lines().skip_while(|line| !line.contains(message));
    let kinds = [": event ", ": call ", ": task "];
    let is_fate = |line: &&str| !kinds.iter().any(|kind| line.contains(kind));
    let fates: Vec<_> = rest.skip(1).take_while(is_fate).collect();
    lines(&fates.join("\n"))
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

#[lightbus::test(virtual_time)]
async fn hours_and_days_are_told_as_such(bus: TestBus) -> anyhow::Result<()> {
    bus.app("auth-app")
        .await?
        .serve(AuthApiServer::new(Auth))
        .await?;
    let auth = AuthApiClient::new(&bus);
    let hour = Duration::from_secs(3600);
    auth.resize_avatar(7).after(3 * hour).enqueue().await?;
    bus.advance(51 * hour).await;
    auth.resize_avatar(8).enqueue().await?;
    bus.settled().await;
    let story = bus.story();
    let is_told = |what: &str| {
        story
            .lines()
            .any(|line| line.trim_start().starts_with(what))
    };
    assert!(
        is_told("+3 h handled by auth-app (lb.task.auth)"),
        "{story}"
    );
    assert!(
        is_told("+2 d 3:00 h test: task auth.resize_avatar"),
        "{story}"
    );
    Ok(())
}

#[lightbus::test(virtual_time)]
async fn why_it_is_tried_again_is_told(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("mailer").await?;
    let mail = |_: UserRegistered| async {
        match Context::current().map(|context| context.attempt()) {
            Some(0 | 1) => Err(HandlerError::from("no route to the host")),
            _ => Ok(()),
        }
    };
    AuthApiClient::new(&app)
        .user_registered()
        .retry(Retry::fixed(Duration::from_secs(3600)).attempts(3))
        .listen("mail", mail)
        .await?;
    bus.simulate(registered("ada", 36)).await?;
    bus.advance(Duration::from_secs(3 * 3600)).await;
    let story = bus.story();
    assert_eq!(
        fates(&story, "auth.user_registered"),
        [
            "to lb.q.mailer.mail",
            "attempt 1 failed, to be tried again in 1 h: no route to the host",
            "attempt 2 failed, to be tried again in 1 h: no route to the host",
            "handled by mailer (lb.q.mailer.mail)",
        ],
        "{story}"
    );
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_message_that_comes_twice_is_handled_twice(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("mailer").await?;
    let mail = |_: UserRegistered| async { Ok::<_, HandlerError>(()) };
    let registrations = AuthApiClient::new(&app).user_registered();
    registrations.listen("mail", mail).await?;
    bus.faults().duplicate_deliveries(1);
    bus.simulate(registered("ada", 36)).await?;
    bus.settled().await;
    let story = bus.story();
    assert_eq!(
        fates(&story, "auth.user_registered"),
        [
            "to lb.q.mailer.mail",
            "handled by mailer (lb.q.mailer.mail)",
            "its acknowledgement was lost: it comes again",
            "handled by mailer (lb.q.mailer.mail)",
        ],
        "{story}"
    );
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_message_that_is_known_is_not_handled_twice(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("mailer").await?;
    let mail = |_: UserRegistered| async { Ok::<_, HandlerError>(()) };
    let registrations = AuthApiClient::new(&app).user_registered();
    let registrations = registrations.deduplicate(MemoryStore::new());
    registrations.listen("mail", mail).await?;
    bus.faults().duplicate_deliveries(1);
    bus.simulate(registered("ada", 36)).await?;
    bus.settled().await;
    let account = bus.account();
    assert_eq!(
        fates(&account, "auth.user_registered"),
        [
            "to lb.q.mailer.mail",
            "handled by mailer (lb.q.mailer.mail)",
            "its acknowledgement was lost: it comes again",
            "not handled once more by mailer (lb.q.mailer.mail): it is known",
        ],
        "{account}"
    );
    assert!(!account.contains("deduplicate"), "{account}");
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn what_the_broker_refuses_or_loses_is_told(bus: TestBus) -> anyhow::Result<()> {
    bus.faults().fail_publishes(1);
    assert!(bus.simulate(registered("ada", 36)).await.is_err());
    bus.faults().drop_publishes(1);
    bus.simulate(registered("bob", 42)).await?;
    let story = bus.story();
    assert_eq!(fates(&story, "ada"), ["refused by the broker"], "{story}");
    assert_eq!(fates(&story, "bob"), ["lost by the broker"], "{story}");
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
