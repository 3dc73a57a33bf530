//! Dead letters as tests. What is printed lies in `letters/`; after a change that is meant, write it anew by `LIGHTBUS_BLESS=1 cargo test -p lightbus-tests --test kit letters`.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use lightbus::testing::TestBus;
use lightbus::{Bus, Context, DeadLetter, Error, HandlerError, Retry};

#[lightbus::api(name = "mail")]
pub trait MailApi {
    #[task(queue = "slow", retries = 0)]
    async fn send(&self, to: String, #[lightbus(secret)] password: String) -> Result<(), String>;
    #[event]
    fn invited(#[key] username: String, text: String, age: Option<u8>);
}

struct Mail;

impl MailApi for Mail {
    async fn send(&self, to: String, _: String) -> Result<(), String> {
        Err(format!("nobody is called {to}"))
    }
}

/// The program as it was: it takes no invitation.
async fn mailer_of_yesterday(bus: &Bus) -> Result<(), Error> {
    let invited = MailApiClient::new(bus).invited().retry(Retry::never());
    let refuse = |_: Invited| async {
        Err::<(), _>(anyhow::anyhow!("no route\nto the host").context("cannot be sent"))
    };
    invited.listen("send-invitation", refuse).await.map(drop)
}

/// The program as it is now.
async fn mailer(bus: &Bus) -> Result<(), Error> {
    let take = |invited: Invited| async move {
        let header = Context::current().and_then(|it| it.header("lang").map(str::to_owned));
        let is_whole = invited.text.len() > 20 && header.as_deref() == Some("en");
        is_whole
            .then_some(())
            .ok_or_else(|| anyhow::anyhow!("{invited:?}, {header:?}"))
    };
    let invited = MailApiClient::new(bus).invited().retry(Retry::never());
    invited.listen("send-invitation", take).await.map(drop)
}

/// Without what differs from run to run.
fn steady(mut letter: DeadLetter) -> DeadLetter {
    assert!(!letter.id.is_empty() && letter.host.is_some());
    letter.id = "0192f1b0-7e5c-7000-8000-00000000002a".to_owned();
    letter.host = Some("worker-3".to_owned());
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    letter.first_failed = letter.first_failed.map(|_| at(1_764_547_200));
    letter.died = letter.died.map(|_| at(1_764_547_260));
    letter
}

#[track_caller]
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/kit/letters")
        .join(name);
    if std::env::var_os("LIGHTBUS_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let blessed = std::fs::read_to_string(&path).unwrap();
    assert!(
        text == blessed,
        "it is not what {} says; it is now\n{text}",
        path.display()
    );
}

const START: &str =
    "// Start the program under test here, on `app`: it listens as `send-invitation`.";

#[lightbus::test]
async fn an_event_is_printed_as_a_test(bus: TestBus) -> anyhow::Result<()> {
    let (app, host) = (bus.app("mailer").await?, bus.app("host").await?);
    mailer_of_yesterday(&app).await?;
    let invited = Invited {
        username: "ada.l".to_owned(),
        text: "\"#so\u{202e}\r\n\\ it is\"## — \u{1f980}".to_owned(),
        age: None,
    };
    let events = MailApiEvents::new(&host);
    events
        .invited()
        .publish(invited)
        .header("lang", "en")
        .await?;
    bus.settled().await;
    let letters = app.dead_letters("send-invitation")?.list(2).await?;
    let [letter] = &letters[..] else {
        panic!("{letters:?}");
    };
    let text = steady(letter.clone()).to_test();
    compare("event.rs", &text);
    assert!(text.contains(START));
    compare(
        "event_started.rs",
        &text.replace(START, "super::mailer(&app).await?;"),
    );
    Ok(())
}

#[lightbus::test]
async fn a_task_is_printed_as_a_test(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("mail").await?;
    app.serve(MailApiServer::new(Mail)).await?;
    let mail = MailApiClient::new(&bus);
    mail.send("bob", "hunter2").enqueue().await?;
    bus.settled().await;
    let letters = app.dead_tasks("mail:slow")?.list(2).await?;
    let [letter] = &letters[..] else {
        panic!("{letters:?}");
    };
    compare("task.rs", &steady(letter.clone()).to_test());
    Ok(())
}

/// What is printed, as it is; but as functions to call instead of tests, as these fail.
// By value, as a test takes it.
#[allow(dead_code, clippy::needless_pass_by_value)]
mod as_printed {
    mod lightbus {
        pub(super) use ::lightbus::testing;
        pub(super) use tokio::main as test;
    }
    include!("letters/event.rs");
    include!("letters/task.rs");

    pub(super) fn event(bus: lightbus::testing::TestBus) -> Option<String> {
        let failed = mailer_send_invitation_handles_invited(bus).err();
        failed.map(|error| error.to_string())
    }
}

/// The same once somebody has written down how the program is started: a test, and it passes.
mod started {
    include!("letters/event_started.rs");
}

#[test]
fn as_it_is_printed_it_fails_and_asks_for_the_program() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bus = runtime.block_on(TestBus::start()).unwrap();
    let test = || as_printed::event(bus);
    let failed = std::thread::scope(|scope| scope.spawn(test).join());
    let panic = failed.expect_err("nobody listens");
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("nobody listens"), "{text}");
}

/// The app has another listener to the event, which takes it.
#[lightbus::test]
async fn a_letters_test_fails_while_its_listener_does(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("mailer").await?;
    mailer_of_yesterday(&app).await?;
    let count = |_: Invited| async { Ok::<_, HandlerError>(()) };
    MailApiClient::new(&app)
        .invited()
        .listen("count", count)
        .await?;
    let invited = Invited {
        username: "ada".to_owned(),
        text: String::new(),
        age: None,
    };
    bus.simulate(invited.clone()).await?;
    bus.sent(invited.clone()).handled_by("mailer").await;
    bus.sent(invited.clone()).heard_by("mailer", "count").await;
    bus.sent(invited)
        .heard_by("mailer", "send-invitation")
        .never()
        .await;
    let letters = app.dead_letters("send-invitation")?.list(2).await?;
    let test = letters[0].to_test();
    let expects = r#"bus.sent(message).heard_by(app.app(), "send-invitation").await;"#;
    assert!(test.contains(expects), "{test}");
    Ok(())
}
