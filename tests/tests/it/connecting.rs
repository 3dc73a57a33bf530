//! Connecting: what is said when it fails, and by when.

use std::time::{Duration, Instant};

use lightbus::{Bus, Error};
use lightbus_tests::{TestBroker, eventually};
use tokio::net::TcpListener;

fn text_of(error: &Error) -> String {
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    let (shown, debugged) = (error.to_string(), format!("{error:?}"));
    assert!(
        !shown.contains("hunter2") && !debugged.contains("hunter2"),
        "{debugged}"
    );
    shown
}

#[tokio::test]
async fn an_absent_broker_is_named_and_the_password_is_not() -> anyhow::Result<()> {
    let free = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let asked = Instant::now();
    let url = format!("amqp://shop:hunter2@{free}/vh");
    let error = Bus::builder("absent")
        .url(url)
        .connect_deadline(Duration::from_secs(2))
        .connect()
        .await
        .unwrap_err();
    let text = text_of(&error);
    assert!(
        text.contains(&format!(
            "cannot connect to the broker at {free} (vhost `vh`, user `shop`)"
        )),
        "{text}"
    );
    assert!(
        text.contains("refused") && text.contains("Is the broker running"),
        "{text}"
    );
    assert!(asked.elapsed() < Duration::from_secs(2));
    Ok(())
}

#[tokio::test]
async fn a_silent_peer_is_given_up_by_the_deadline_and_leaves_no_thread() -> anyhow::Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("amqp://shop:hunter2@{}", silent.local_addr()?);
    for _ in 0..3 {
        let asked = Instant::now();
        let builder = Bus::builder("silent")
            .url(&url)
            .connect_deadline(Duration::from_millis(300));
        let error = builder.connect().await.unwrap_err();
        let text = text_of(&error);
        assert!(text.contains("no answer within 300 ms"), "{text}");
        assert!(
            asked.elapsed() < Duration::from_millis(1300),
            "{:?}",
            asked.elapsed()
        );
    }
    eventually("the AMQP threads are gone", async || {
        threads("lightbus silent") == 0
    })
    .await
}

#[tokio::test]
async fn a_wrong_password_or_vhost_is_said_at_once() -> anyhow::Result<()> {
    let broker = TestBroker::start().await?;
    let host = broker
        .url()
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .trim_start_matches("amqp://")
        .to_owned();
    let host = host.split('/').next().unwrap_or_default();
    let wrong = Bus::builder("wrong")
        .url(format!("amqp://guest:hunter2@{host}"))
        .connect()
        .await
        .unwrap_err();
    let text = text_of(&wrong);
    assert!(
        text.contains("ACCESS_REFUSED") && text.contains("Are user and password right"),
        "{text}"
    );
    let absent = broker
        .builder("wrong")
        .vhost("no-such-vhost")
        .connect()
        .await
        .unwrap_err();
    let text = text_of(&absent);
    assert!(
        text.contains("no-such-vhost") && text.contains("Does the virtual host exist"),
        "{text}"
    );
    Ok(())
}

/// How many threads of this process have a name that begins like that.
pub(crate) fn threads(name: &str) -> usize {
    // The kernel keeps 15 bytes of it.
    let name = &name[..name.len().min(15)];
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter(|task| {
            std::fs::read_to_string(task.path().join("comm"))
                .is_ok_and(|comm| comm.starts_with(name))
        })
        .count()
}
