//! What went over a bus, kept and sent once more.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use lightbus::testing::{Raw, Recording, TestBus, json};
use lightbus::{Bus, CallError, Error, HandlerError, Priority};

#[lightbus::api(name = "bank")]
pub trait BankApi {
    async fn balance(&self, account: u32, #[lightbus(secret)] pin: String) -> Result<i64, String>;
    #[task(queue = "slow")]
    async fn statement(&self, account: u32, logo: Vec<u8>);
    #[task(rate = "10/s")]
    async fn post(&self, to: String);
    #[event]
    fn paid(#[key] account: u32, amount: i64, #[lightbus(secret)] iban: Option<String>);
}

struct Bank;

impl BankApi for Bank {
    async fn balance(&self, account: u32, pin: String) -> Result<i64, String> {
        match pin.as_str() {
            "1234" => Ok(i64::from(account) * 100),
            _ => Err("wrong pin".to_owned()),
        }
    }

    async fn statement(&self, _: u32, _: Vec<u8>) {}

    async fn post(&self, _: String) {}
}

fn paid(account: u32) -> Paid {
    Paid {
        account,
        amount: -5,
        iban: Some("DE02".to_owned()),
    }
}

async fn bank(bus: &Bus) -> Result<(), Error> {
    bus.serve(BankApiServer::new(Bank)).await.map(drop)
}

/// Everything that a recording can hold.
async fn traffic(bus: &TestBus) -> anyhow::Result<()> {
    bank(&bus.app("bank").await?).await?;
    let (web, shop) = (bus.app("web").await?, bus.app("shop").await?);
    let client = BankApiClient::new(&web);
    let balance = client.balance(7, "1234").header("who", "ada");
    assert_eq!(balance.await, Ok(700));
    let refused = client.balance(7, "0000").await;
    assert_eq!(refused, Err(CallError::Domain("wrong pin".to_owned())));
    let statement = client.statement(7, [1_u8, 255]).priority(Priority::High);
    statement.enqueue().await?;
    let later = client.post("ada").after(Duration::from_secs(3600));
    later.enqueue().await?;
    let events = BankApiEvents::new(&shop);
    events.paid().publish(paid(7)).await?;
    bus.settled().await;
    Ok(())
}

/// Without the times.
fn timeless(recording: &Recording) -> Vec<String> {
    let text = recording.to_string();
    let lines = text.lines().skip(1);
    lines
        .map(|line| line.split_once(',').unwrap().1.to_owned())
        .collect()
}

#[lightbus::test]
async fn it_is_for_people_to_read_and_secrets_are_not_in_it(bus: TestBus) -> anyhow::Result<()> {
    traffic(&bus).await?;
    assert_eq!(
        timeless(&bus.recording()),
        [
            r#""by":"web","call":"bank.balance","content":{"account":7,"pin":"[secret]"},"headers":{"who":"ada"},"answered_by":"bank","answer":700}"#,
            r#""by":"web","call":"bank.balance","content":{"account":7,"pin":"[secret]"},"answered_by":"bank","error":"wrong pin"}"#,
            r#""by":"web","task":"bank.statement","content":{"account":7,"logo":[1,255]},"queue":"slow","priority":"high"}"#,
            r#""by":"web","task":"bank.post","content":{"to":"ada"},"limited":true,"delay_s":3600}"#,
            r#""by":"shop","event":"bank.paid","content":{"account":7,"amount":-5,"iban":"[secret]"},"keys":["7"]}"#,
        ]
    );
    Ok(())
}

#[lightbus::test]
async fn it_is_sent_once_more_in_its_order(bus: TestBus) -> anyhow::Result<()> {
    let file = std::env::temp_dir().join(format!("lightbus-{}.jsonl", bus.instance()));
    {
        let before = TestBus::start().await?;
        traffic(&before).await?;
        before.record(&file)?;
    }
    let recording = Recording::load(&file)?;
    std::fs::remove_file(&file)?;
    bank(&bus.app("bank").await?).await?;
    let client = BankApiClient::new(&bus);
    let mut heard = client
        .paid()
        .only(Paid::account_is(7))
        .stream("hear")
        .await?;
    let replayed = recording.replay(&bus).await?;
    assert_eq!(replayed.sent, 5);
    assert_eq!(replayed.redacted, ["bank.balance: pin", "bank.paid: iban"]);
    let event = heard.next().await.expect("it is published").ack();
    assert_eq!(event.iban.as_deref(), Some("[secret]"));
    bus.enqueued(client.statement(7, [1_u8, 255])).once().await;
    bus.enqueued(client.post("ada")).once().await;
    let secret = client.balance(7, "[secret]");
    bus.called(secret).by("test").times(2).await;
    let [before, after] = [&recording, &bus.recording()].map(timeless);
    let sent_by_us = |line: &String| {
        line.replace("\"web\"", "\"test\"")
            .replace("\"shop\"", "\"test\"")
    };
    // The answers are others: the pin is not known.
    let expected: Vec<_> = before.iter().map(sent_by_us).collect();
    assert_eq!(after[1..], expected[1..]);
    assert!(
        after[0].ends_with(r#""error":"wrong pin"}"#),
        "{}",
        after[0]
    );
    let compared = recording.only("bank").by("web").replay(&bus);
    let error = compared.compare_answers().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "of 4 messages, 1 could not be replayed:\n  - message 1, bank.balance: it was answered 700, and is now refused: \"wrong pin\""
    );
    Ok(())
}

#[lightbus::test]
async fn what_cannot_be_sent_is_told_and_the_rest_is_sent(bus: TestBus) -> anyhow::Result<()> {
    let text = concat!(
        r#"{"format":"lightbus-recording","version":1}"#,
        "\n",
        r#"{"at_ms":5,"by":"a","event":"bank.paid","unreadable":"the payload is truncated"}"#,
        "\n",
        r#"{"at_ms":5,"by":"a","call":"bank.balance","content":{},"answered_by":"b","answer":1}"#,
        "\n",
        r#"{"at_ms":5,"by":"a","call":"bank.balance","content":{},"failed":"nobody serves it"}"#,
        "\n",
        r#"{"at_ms":5,"by":"a","event":"bank.Paid","content":{}}"#,
        "\n",
        r#"{"at_ms":105,"by":"a","event":"bank.paid","content":{"account":1}}"#,
    );
    let begun = Instant::now();
    let replay = Recording::parse(text)?.replay(&bus).at_pace(2.0);
    let problems = replay.await.unwrap_err().problems;
    assert!(begun.elapsed() >= Duration::from_millis(50));
    let expected = [
        "message 1, bank.paid: its content was not recorded: the payload is truncated",
        "message 2, bank.balance: call bank.balance: nobody serves `bank`",
        "message 4, bank.Paid: `bank.Paid` is no legal name on the bus",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}");
    }
    let event = Raw::event("bank", "paid", json!({"account": 1}));
    bus.simulate(event).await?;
    let all = bus.recording();
    assert_eq!(all.len(), 4, "{all}");
    Ok(())
}

#[lightbus::test]
async fn it_answers_as_it_was_answered(bus: TestBus) -> anyhow::Result<()> {
    let recording = {
        let before = TestBus::start().await?;
        traffic(&before).await?;
        before.recording()
    };
    bus.stub_from(&recording).await?;
    let client = BankApiClient::new(&bus);
    let wrong = Err(CallError::Domain("wrong pin".to_owned()));
    assert_eq!(client.balance(7, "whatever").await, Ok(700));
    assert_eq!(client.balance(7, "1234").await, wrong);
    assert_eq!(client.balance(7, "1234").await, wrong, "from then on");
    Ok(())
}

#[lightbus::test]
async fn what_has_no_type_is_sent_by_its_names(bus: TestBus) -> anyhow::Result<()> {
    bank(&bus.app("bank").await?).await?;
    let arguments = json!({"account": 3, "pin": "1234"});
    let answer = bus
        .simulate(Raw::call("bank", "balance", arguments))
        .await?;
    assert_eq!(answer, json!(300));
    let wrong = json!({"account": 3, "pin": ""});
    let error = bus.simulate(Raw::call("bank", "balance", wrong)).await;
    assert_eq!(error.unwrap_err().to_string(), "\"wrong pin\"");
    let statement = json!({"account": 3, "logo": [1, 2]});
    let task = Raw::task("bank", "statement", statement).queue("slow");
    bus.simulate(task.priority(Priority::Low)).await?;
    bus.settled().await;
    let story = bus.story();
    assert!(
        story.contains("handled by bank (lb.task.bank:slow+low)"),
        "{story}"
    );
    Ok(())
}

#[lightbus::api(name = "vault")]
pub trait VaultApi {
    #[lightbus(secret)]
    async fn open(&self, code: u32) -> Result<String, String>;
    async fn is_open(&self) -> bool;
}

/// It changes its mind each time.
struct Vault(AtomicU32);

impl VaultApi for Vault {
    async fn open(&self, code: u32) -> Result<String, String> {
        let seal = format!("gold {}", self.0.fetch_add(1, SeqCst));
        (code == 7).then_some(seal.clone()).ok_or(seal)
    }

    async fn is_open(&self) -> bool {
        true
    }
}

#[lightbus::test]
async fn a_secret_answer_is_not_in_it(bus: TestBus) -> anyhow::Result<()> {
    let vault = VaultApiServer::new(Vault(AtomicU32::new(0)));
    bus.app("vault").await?.serve(vault).await?;
    let client = VaultApiClient::new(&bus);
    assert_eq!(client.open(7).await, Ok("gold 0".to_owned()));
    assert!(client.open(0).await.is_err());
    assert_eq!(client.is_open().await, Ok(true));
    let recording = bus.recording();
    let text = recording.to_string();
    assert!(text.contains(r#""answer":"[secret]""#), "{text}");
    assert!(text.contains(r#""error":"[secret]""#), "{text}");
    assert!(!text.contains("gold"), "{text}");
    let recording = Recording::parse(&text)?;
    recording.replay(&bus).compare_answers().await?;

    // What is not known answers nobody.
    let other = TestBus::start().await?;
    other.stub_from(&recording).await?;
    let client = VaultApiClient::new(&other);
    assert_eq!(client.is_open().await, Ok(true));
    other
        .stub(client.open(7))
        .returns("lead".to_owned())
        .await?;
    assert_eq!(client.open(7).await, Ok("lead".to_owned()));
    Ok(())
}

#[lightbus::api(name = "safe")]
pub trait SafeApi {
    async fn turn(&self, #[lightbus(secret)] pin: u32, by: f64) -> f64;
    #[task(retries = 0)]
    async fn lock(&self, #[lightbus(secret)] pin: u32);
    #[event]
    fn moved(#[lightbus(secret)] pin: u32);
}

struct Safe;

impl SafeApi for Safe {
    async fn turn(&self, _: u32, by: f64) -> f64 {
        by
    }

    async fn lock(&self, _: u32) {}
}

#[lightbus::test]
async fn a_secret_that_cannot_be_read_is_told_nowhere(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("safe").await?;
    app.serve(SafeApiServer::new(Safe)).await?;
    let hear = |_: Moved| async { Ok::<_, HandlerError>(()) };
    SafeApiClient::new(&app)
        .moved()
        .listen("hear", hear)
        .await?;
    let wrong = json!({"pin": "hunter2", "by": 1.0});
    let refused = bus.simulate(Raw::call("safe", "turn", wrong.clone())).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("argument `pin`"), "{refused}");
    bus.simulate(Raw::task("safe", "lock", wrong.clone()))
        .await?;
    bus.simulate(Raw::event("safe", "moved", wrong)).await?;
    bus.settled().await;
    let mut told = format!("{refused}\n{}\n{}", bus.recording(), bus.account());
    for dead in [app.dead_tasks("safe")?, app.dead_letters("hear")?] {
        let letters = dead.list(2).await?;
        told += &letters[0].to_test();
    }
    assert!(!told.contains("hunter2"), "{told}");
    Ok(())
}

/// Nobody in this process has a client of its API.
#[lightbus::test]
async fn a_secret_of_an_event_is_known_by_its_type(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "lonely")]
    pub trait LonelyApi {
        #[event]
        fn whispered(#[lightbus(secret)] word: String);
    }
    let word = "hunter2".to_owned();
    bus.simulate(Whispered { word }).await?;
    let told = format!("{}\n{}", bus.recording(), bus.story());
    assert!(told.contains("[secret]"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    Ok(())
}

#[lightbus::test]
async fn it_is_the_same_once_it_was_kept(bus: TestBus) -> anyhow::Result<()> {
    const PLACE: f64 = 31.245270191439438;
    bus.app("safe")
        .await?
        .serve(SafeApiServer::new(Safe))
        .await?;
    SafeApiClient::new(&bus).turn(7, PLACE).await?;
    let recording = bus.recording();
    let kept = Recording::parse(&recording.to_string())?;
    assert_eq!(kept, recording);
    assert!(kept.to_string().contains(r#"{"at_ms":0,"#), "{kept}");
    let other = TestBus::start().await?;
    other.stub_from(&kept).await?;
    let turned = SafeApiClient::new(&other).turn(7, PLACE).await;
    assert_eq!(turned, Ok(PLACE));
    Ok(())
}

#[lightbus::test]
async fn a_recording_that_can_answer_nothing_is_refused(bus: TestBus) -> anyhow::Result<()> {
    traffic(&bus).await?;
    let error = bus.stub_from(&bus.recording().by("nobody")).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no call with an answer"), "{error}");
    Ok(())
}
