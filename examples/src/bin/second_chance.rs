//! A listener that fails: tried again, then dead, then replayed when what was broken is mended.
//!
//! `cargo run -p lightbus-examples --bin second_chance`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lightbus::{Bus, Context, DeadLetters, HandlerError, Retry};
use lightbus_broker::Broker;
use tokio::sync::mpsc;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    /// A user finished signing up.
    #[event]
    fn user_registered(email: String);
}

/// A mail server that is down at first.
#[derive(Clone, Default)]
struct MailServer {
    works: Arc<AtomicBool>,
}

impl MailServer {
    /// Any error is tried again; this one says by itself that it would be no use.
    fn welcome(&self, email: &str) -> Result<(), HandlerError> {
        if !email.contains('@') {
            return Err(HandlerError::permanent(format!("`{email}` is no address")));
        }
        match self.works.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err("the mail server does not answer".into()),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (url, _broker) = broker().await?;
    let bus = Bus::builder("auth-app").url(&url).connect().await?;
    let mail = MailServer::default();
    let (told, mut story) = mpsc::unbounded_channel();
    let handler = {
        let mail = mail.clone();
        move |user: UserRegistered| {
            let result = mail.welcome(&user.email);
            let attempt = Context::current().map_or(0, |message| message.attempt()) + 1;
            let outcome = match &result {
                Ok(()) => "welcomed".to_owned(),
                Err(error) => error.to_string(),
            };
            // Nobody listens to the story any more when the program ends.
            let _ = told.send(format!("{}, attempt {attempt}: {outcome}", user.email));
            std::future::ready(result)
        }
    };
    // Three attempts: at once, after a moment, after a second. The default is five, within a quarter of a minute.
    let policy = Retry::list([Duration::from_millis(100), Duration::from_secs(1)]);
    let auth = AuthApiClient::new(&bus);
    auth.user_registered()
        .retry(policy)
        .listen("send-welcome", handler)
        .await?;

    let registered = AuthApiEvents::new(&bus).user_registered();
    for email in ["ada@example.com", "nobody"] {
        registered
            .publish(UserRegistered {
                email: email.into(),
            })
            .await?;
    }
    // Three attempts for Ada, one for nobody.
    for _ in 0..4 {
        println!("{}", story.recv().await.unwrap_or_default());
    }

    let dead = bus.dead_letters("send-welcome")?;
    until(&dead, 2).await?;
    println!("\nin {}:", dead.queue());
    for letter in dead.list(10).await? {
        println!("  {letter}");
    }

    println!("\nthe mail server is back: replay what failed for its sake, drop the rest");
    mail.works.store(true, Ordering::SeqCst);
    let replayed = dead
        .replay(|letter| letter.error.as_deref() == Some("the mail server does not answer"))
        .await?;
    println!("{}", story.recv().await.unwrap_or_default());
    let dropped = dead.discard(|_| true).await?;
    println!(
        "{replayed} replayed, {dropped} dropped, {} left",
        dead.count().await?
    );
    bus.close().await;
    Ok(())
}

/// A letter is written when the last attempt has failed, and counted in the broker's own time.
async fn until(dead: &DeadLetters, count: u32) -> anyhow::Result<()> {
    while dead.count().await? < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The RabbitMQ of `LIGHTBUS_URL`, or else a broker inside this program, which lives until it is dropped.
async fn broker() -> anyhow::Result<(String, Option<Broker>)> {
    if let Ok(url) = std::env::var("LIGHTBUS_URL") {
        return Ok((url, None));
    }
    let broker = Broker::start().await?;
    Ok((broker.url(), Some(broker)))
}
