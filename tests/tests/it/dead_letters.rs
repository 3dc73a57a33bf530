//! Dead letters: looked at, replayed, dropped, and never lost on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lightbus::testing::TestBus;
use lightbus::{Context, DeadLetters, DeadReason, Error, Retry};
use lightbus_tests::{Foreign, eventually, reporting};
use tokio::sync::mpsc;

async fn until(dead: &DeadLetters, count: u32) -> anyhow::Result<()> {
    let what = format!("there are {count} dead letters in {}", dead.queue());
    eventually(&what, async || {
        dead.count().await.is_ok_and(|counted| counted == count)
    })
    .await
}

#[lightbus::test]
async fn letters_are_found_replayed_and_dropped_by_what_they_are(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "letters")]
    trait Api {
        #[event]
        fn sold(#[key] part: String, n: u32);
    }
    let works = Arc::new(AtomicBool::new(false));
    let (sender, mut handled) = mpsc::unbounded_channel();
    let switch = Arc::clone(&works);
    let handler = move |event: Sold| {
        let result = match (switch.load(Ordering::SeqCst), event.n % 2) {
            (true, 0) => Ok(()),
            (_, 0) => Err("even"),
            _ => Err("odd"),
        };
        if result.is_ok() {
            let context = Context::current().expect("a handler has a context");
            let _ = sender.send((event.n, context.attempt()));
        }
        std::future::ready(result)
    };
    ApiClient::new(&bus)
        .sold()
        .retry(Retry::never())
        .listen("letters", handler)
        .await?;
    let events = ApiEvents::new(&bus).sold();
    for n in 0..10 {
        events
            .publish(Sold {
                part: "bolt".into(),
                n,
            })
            .await?;
    }
    let dead = bus.dead_letters("letters")?;
    until(&dead, 10).await?;
    let letters = dead.list(3).await?;
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[0].routing_key, "letters.sold.bolt");
    let error = letters[1].error.as_deref().expect("an error");
    let story = letters[1].to_string();
    assert!(
        story.ends_with(&format!(": failed after 1 attempt: {error}")),
        "{story}"
    );
    // Looking changes nothing, and the order stays.
    until(&dead, 10).await?;
    assert_eq!(dead.list(3).await?, letters);
    let found = dead.find(&letters[2].id).await?.expect("the letter");
    assert_eq!(found, letters[2]);
    assert_eq!(dead.find("no such id").await?, None);
    // What fails again is left for the next time: this ends.
    assert_eq!(dead.replay(|letter| letter.id == letters[1].id).await?, 1);
    until(&dead, 10).await?;
    let again = dead.find(&letters[1].id).await?.expect("the letter");
    assert_eq!((again.replayed, again.attempts), (1, Some(1)));
    works.store(true, Ordering::SeqCst);
    assert_eq!(
        dead.replay(|letter| letter.error.as_deref() == Some("even"))
            .await?,
        5
    );
    let mut numbers = Vec::new();
    for _ in 0..5 {
        let (n, attempt) = handled.recv().await.expect("an event");
        assert_eq!(attempt, 0, "a replay starts anew");
        numbers.push(n);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 2, 4, 6, 8]);
    until(&dead, 5).await?;
    assert_eq!(dead.discard(|_| true).await?, 5);
    until(&dead, 0).await
}

#[lightbus::test]
async fn a_replay_into_a_queue_that_is_gone_keeps_the_letters(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "letters_gone")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let dead = bus.dead_letters("gone")?;
    assert_eq!(
        (dead.count().await?, dead.list(1).await?.len()),
        (0, 0),
        "it never listened"
    );
    let handler = |_: Happened| std::future::ready(Err::<(), _>("never"));
    let listener = ApiClient::new(&bus)
        .happened()
        .retry(Retry::never())
        .listen("gone", handler)
        .await?;
    for n in 0..3 {
        ApiEvents::new(&bus)
            .happened()
            .publish(Happened { n })
            .await?;
    }
    until(&dead, 3).await?;
    let queue = listener.queue().to_owned();
    listener.stop().await;
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.delete_queue(&queue).await?;
    let error = dead
        .replay(|_| true)
        .await
        .expect_err("there is nowhere to go");
    assert!(matches!(error, Error::Broker { .. }), "{error}");
    assert!(error.to_string().contains(&queue), "{error}");
    until(&dead, 3).await?;
    // With the queue back, they go.
    let (handler, mut handled) = reporting(|event: Happened| event.n);
    ApiClient::new(&bus)
        .happened()
        .listen("gone", handler)
        .await?;
    assert_eq!(dead.replay(|_| true).await?, 3);
    for _ in 0..3 {
        assert!(handled.recv().await.is_some());
    }
    until(&dead, 0).await
}

#[lightbus::test]
async fn what_cannot_be_read_is_dead_at_once_and_says_why(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "letters_unread")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let shop = bus
        .app_builder("shop")
        .payload_limit(1000)
        .connect()
        .await?;
    let handler = |_: Happened| std::future::ready(());
    ApiClient::new(&shop)
        .happened()
        .listen("unread", handler)
        .await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let event = || lapin::BasicProperties::default().with_type("lb1.ev".into());
    for (key, properties, payload) in [
        ("letters_unread.happened", event(), b"\xc1".to_vec()),
        (
            "letters_unread.happened",
            event().with_type("lb1.req".into()),
            b"\x80".to_vec(),
        ),
        ("letters_unread.happened", event(), vec![0; 1001]),
        (
            "letters_unread.happened",
            event().with_content_type("text/plain".into()),
            b"hello".to_vec(),
        ),
    ] {
        foreign
            .publish("lb.ev.letters_unread", key, properties, &payload)
            .await?;
    }
    let dead = shop.dead_letters("unread")?;
    until(&dead, 4).await?;
    let letters = dead.list(10).await?;
    let mut reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.reason.to_string())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "of another kind",
            "refused unread",
            "undecodable",
            "undecodable"
        ]
    );
    // The broker moved the one that is too large, and knows no story.
    for letter in letters {
        let told = letter.attempts == Some(1) && letter.error.is_some();
        assert_eq!(told, letter.reason != DeadReason::Rejected, "{letter}");
    }
    Ok(())
}

#[lightbus::test]
async fn a_deleted_queue_of_dead_letters_is_made_anew_for_the_next_one(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "letters_deleted")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let handler = |_: Happened| std::future::ready(Err::<(), _>("never"));
    ApiClient::new(&bus)
        .happened()
        .retry(Retry::never())
        .listen("undead", handler)
        .await?;
    let (dead, foreign) = (
        bus.dead_letters("undead")?,
        Foreign::connect(&bus.url()).await?,
    );
    for n in 0..3 {
        ApiEvents::new(&bus)
            .happened()
            .publish(Happened { n })
            .await?;
        until(&dead, 1).await?;
        foreign.delete_queue(&dead.queue()).await?;
    }
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_replay_that_is_cut_off_loses_nothing(bus: TestBus) -> anyhow::Result<()> {
    const LETTERS: u32 = 300;
    #[lightbus::api(name = "letters_cut")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let embedded = bus.broker();
    let works = Arc::new(AtomicBool::new(false));
    let (switch, (sender, mut handled)) = (Arc::clone(&works), mpsc::unbounded_channel());
    let handler = move |event: Happened| {
        let result = if switch.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err("not yet")
        };
        if result.is_ok() {
            let _ = sender.send(event.n);
        }
        std::future::ready(result)
    };
    ApiClient::new(&bus)
        .happened()
        .retry(Retry::never())
        .listen("cut", handler)
        .await?;
    let events = ApiEvents::new(&bus).happened();
    for n in 0..LETTERS {
        events.publish(Happened { n }).await?;
    }
    let dead = bus.dead_letters("cut")?;
    until(&dead, LETTERS).await?;
    works.store(true, Ordering::SeqCst);
    let mut seen = std::collections::BTreeSet::new();
    let mut cuts = 0;
    while seen.len() < LETTERS as usize {
        let mut replay = tokio::spawn({
            let dead = dead.clone();
            async move { dead.replay(|_| true).await }
        });
        let mut replayed = None;
        for _ in 0..LETTERS / 4 {
            if seen.len() == LETTERS as usize || matches!(replayed, Some(Err(_))) {
                break;
            }
            tokio::select! {
                n = handled.recv() => drop(seen.insert(n.expect("a handled event"))),
                ended = &mut replay, if replayed.is_none() => replayed = Some(ended?),
            }
        }
        if seen.len() < LETTERS as usize {
            embedded.drop_connections();
        }
        let replayed = match replayed {
            Some(replayed) => replayed,
            None => replay.await?,
        };
        cuts += u32::from(replayed.is_err());
        while let Ok(n) = handled.try_recv() {
            seen.insert(n);
        }
    }
    assert!(cuts > 0, "none of the replays was cut off");
    // Those that were replayed and not taken away yet.
    let replayed = async || dead.replay(|_| true).await.is_ok();
    eventually("what is left is replayed", replayed).await?;
    until(&dead, 0).await
}
