//! Events whose handlers fail: tried again, put off, or dead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lightbus::testing::TestBus;
use lightbus::{Context, DeadReason, HandlerError, Retry};
use lightbus_tests::{Foreign, eventually, reporting};
use tokio::sync::mpsc;

const SHORT: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);

fn attempt() -> u32 {
    Context::current()
        .expect("a handler has a context")
        .attempt()
}

#[lightbus::test]
async fn an_event_is_tried_as_often_as_the_policy_says_and_then_tells_its_story(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "retry_story")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    #[derive(Debug, thiserror::Error)]
    #[error("the mail server does not answer")]
    struct NoMail(#[source] std::io::Error);
    let (sender, mut made) = mpsc::unbounded_channel();
    let handler = move |event: Happened| {
        let _ = sender.send((event.n, attempt(), Instant::now()));
        std::future::ready(match event.n {
            7 => Err(NoMail(std::io::Error::other("connection refused"))),
            _ => Ok(()),
        })
    };
    ApiClient::new(&bus)
        .happened()
        .retry(Retry::list([SHORT, SECOND, SHORT]))
        .listen("story", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    events.happened().publish(Happened { n: 7 }).await?;
    let mut times = Vec::new();
    for expected in 0..4 {
        let (n, attempt, at) = made.recv().await.expect("an attempt");
        assert_eq!((n, attempt), (7, expected));
        times.push(at);
    }
    let put_off = times[2] - times[1];
    assert!(
        put_off >= SECOND,
        "the ladder holds it for a second, not {put_off:?}"
    );
    let dead = bus.dead_letters("story")?;
    eventually("it is dead", async || {
        dead.count().await.is_ok_and(|count| count == 1)
    })
    .await?;
    let [letter] = &dead.list(10).await?[..] else {
        anyhow::bail!("not one letter")
    };
    assert_eq!(letter.reason, DeadReason::Failed);
    assert_eq!(
        letter.error.as_deref(),
        Some("the mail server does not answer")
    );
    assert_eq!(letter.causes, ["connection refused"]);
    assert_eq!((letter.attempts, letter.replayed), (Some(4), 0));
    assert_eq!(
        (
            letter.routing_key.as_str(),
            letter.exchange.as_str(),
            letter.from.as_deref()
        ),
        ("retry_story.happened", "lb.ev.retry_story", Some("test"))
    );
    assert!(
        letter
            .died
            .zip(letter.first_failed)
            .is_some_and(|(died, first)| died >= first + SECOND)
    );
    assert!(letter.host.is_some() && letter.id.len() == 36);
    assert_eq!(letter.json(), Some(serde_json::json!({"n": 7})));
    assert_eq!(
        (bus.counts().events_retried, bus.counts().events_dead),
        (1, 1)
    );
    // Another event was never held up.
    events.happened().publish(Happened { n: 1 }).await?;
    assert_eq!(
        made.recv().await.map(|(n, attempt, _)| (n, attempt)),
        Some((1, 0))
    );
    Ok(())
}

#[lightbus::test]
async fn a_handler_may_say_never_again_or_when(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "retry_wishes")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let (sender, mut made) = mpsc::unbounded_channel();
    let handler = move |event: Happened| {
        let _ = sender.send((event.n, attempt(), Instant::now()));
        async move {
            match (event.n, attempt()) {
                (0, _) => Err(HandlerError::permanent("no zero, please")),
                (1, 0) => Err(HandlerError::retry_after(SECOND, "busy")),
                (2, 0) => panic!("at first"),
                (3, _) => std::fs::read("/there/is/no/such/file")
                    .map(drop)
                    .map_err(HandlerError::from),
                _ => Ok(()),
            }
        }
    };
    ApiClient::new(&bus)
        .happened()
        .retry(Retry::immediate().attempts(3))
        .listen("wishes", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    let mut tries = async |n, count| {
        events.happened().publish(Happened { n }).await?;
        let mut times = Vec::new();
        for _ in 0..count {
            let (which, _, at) = made.recv().await.expect("an attempt");
            assert_eq!(which, n);
            times.push(at);
        }
        anyhow::Ok(times)
    };
    tries(0, 1).await?;
    let busy = tries(1, 2).await?;
    assert!(busy[1] - busy[0] >= SECOND);
    tries(2, 2).await?;
    tries(3, 3).await?;
    let dead = bus.dead_letters("wishes")?;
    eventually("two are dead", async || {
        dead.count().await.is_ok_and(|count| count == 2)
    })
    .await?;
    let letters = dead.list(10).await?;
    let attempts: Vec<_> = letters.iter().map(|letter| letter.attempts).collect();
    assert_eq!(attempts, [Some(1), Some(3)]);
    assert!(made.is_empty());
    Ok(())
}

#[lightbus::test]
async fn a_put_off_event_outlasts_its_process(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "retry_restart")]
    trait Api {
        #[event]
        fn happened();
    }
    let first = bus
        .app_builder("shop")
        .retry(Retry::fixed(SECOND))
        .connect()
        .await?;
    let (sender, mut made) = mpsc::unbounded_channel();
    let failing = move |_: Happened| {
        std::future::ready(sender.send(attempt()).map_or(Ok(()), |()| Err("not here")))
    };
    ApiClient::new(&first)
        .happened()
        .listen("restart", failing)
        .await?;
    ApiEvents::new(&first)
        .happened()
        .publish(Happened {})
        .await?;
    assert_eq!(made.recv().await, Some(0));
    first.close().await;
    assert!(
        made.recv().await.is_none(),
        "no other attempt was made here"
    );
    let second = bus.app("shop").await?;
    let (sender, mut made) = mpsc::unbounded_channel();
    let working = move |_: Happened| {
        let _ = sender.send((attempt(), Context::current().map(|context| context.name())));
        std::future::ready(())
    };
    ApiClient::new(&second)
        .happened()
        .listen("restart", working)
        .await?;
    assert_eq!(made.recv().await, Some((1, Some("happened"))));
    Ok(())
}

#[lightbus::test]
async fn an_ordered_listener_keeps_its_order_over_failures_and_replicas(
    bus: TestBus,
) -> anyhow::Result<()> {
    const EVENTS: u32 = 40;
    #[lightbus::api(name = "retry_ordered")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let (sender, mut made) = mpsc::unbounded_channel();
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let shop = bus.app("shop").await?;
        let sender = sender.clone();
        let handler = move |event: Happened| {
            let _ = sender.send((event.n, attempt()));
            async move {
                tokio::task::yield_now().await;
                match event.n % 10 {
                    3 if attempt() < 2 => Err("not yet"),
                    5 => Err("never"),
                    _ => Ok(()),
                }
            }
        };
        let listener = ApiClient::new(&shop)
            .happened()
            .ordered()
            .retry(Retry::fixed(SHORT).attempts(3))
            .listen("ordered", handler)
            .await?;
        replicas.push((shop, listener));
    }
    let events = ApiEvents::new(&bus).happened();
    for n in 0..EVENTS {
        events.publish(Happened { n }).await?;
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&(EVENTS - 1, 0)) {
        seen.push(made.recv().await.expect("an attempt"));
        if seen.len() == 20 {
            // The one that is active leaves: the other goes on where it was.
            let (bus, _) = replicas.remove(0);
            bus.close().await;
        }
    }
    assert!(seen.iter().map(|(n, _)| n).is_sorted(), "{seen:?}");
    for n in 0..EVENTS {
        // More than that, if it was in hand when the first one left, and begun again.
        let least = if [3, 5].contains(&(n % 10)) { 3 } else { 1 };
        let attempts = seen.iter().filter(|(which, _)| *which == n).count();
        assert!(attempts >= least, "{n}: {seen:?}");
    }
    let dead = replicas[0].0.dead_letters("ordered")?;
    eventually("each fifth is dead", async || {
        dead.count().await.is_ok_and(|count| count == 4)
    })
    .await?;
    Ok(())
}

#[lightbus::test]
async fn an_event_in_hand_goes_back_before_another_replica_takes_over(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "retry_handback")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let (first, second) = (bus.app("shop").await?, bus.app("shop").await?);
    let (sender, mut failing) = mpsc::unbounded_channel();
    let handler = move |event: Happened| {
        let _ = sender.send(event.n);
        std::future::ready(Err::<(), _>("not here"))
    };
    ApiClient::new(&first)
        .happened()
        .ordered()
        .retry(Retry::fixed(Duration::from_secs(600)))
        .listen("handback", handler)
        .await?;
    let (handler, mut handled) = reporting(|event: Happened| event.n);
    ApiClient::new(&second)
        .happened()
        .ordered()
        .listen("handback", handler)
        .await?;
    for n in 0..10 {
        ApiEvents::new(&second)
            .happened()
            .publish(Happened { n })
            .await?;
    }
    assert_eq!(failing.recv().await, Some(0));
    first.close().await;
    for n in 0..10 {
        assert_eq!(handled.recv().await, Some(n));
    }
    assert!(failing.is_empty());
    Ok(())
}

#[lightbus::test]
async fn a_paused_listener_takes_nothing_until_it_is_resumed(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "retry_pause")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let (handler, mut heard) = reporting(|event: Happened| event.n);
    let listener = ApiClient::new(&bus)
        .happened()
        .listen("pause", handler)
        .await?;
    let events = ApiEvents::new(&bus).happened();
    let foreign = Foreign::connect(&bus.url()).await?;
    for n in 0..3 {
        listener.pause();
        foreign.until(listener.queue(), 0, 0).await?;
        events.publish(Happened { n }).await?;
        foreign.until(listener.queue(), 1, 0).await?;
        assert!(heard.is_empty() && listener.is_paused());
        listener.resume();
        assert_eq!(heard.recv().await, Some(n));
    }
    // A paused one still stops.
    listener.pause();
    listener.stop().await;
    Ok(())
}

#[lightbus::test]
async fn a_broadcast_is_tried_again_where_it_is_and_then_dropped(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "retry_broadcast")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let bus = Arc::new(bus.app("shop").await?);
    let (sender, mut made) = mpsc::unbounded_channel();
    let handler = move |event: Happened| {
        let _ = sender.send((event.n, attempt()));
        std::future::ready(Err::<(), _>("never"))
    };
    ApiClient::new(&bus)
        .happened()
        .retry(Retry::list([SHORT, SHORT]))
        .broadcast("rebroadcast", handler)
        .await?;
    ApiEvents::new(&bus)
        .happened()
        .publish(Happened { n: 4 })
        .await?;
    for attempt in 0..3 {
        assert_eq!(made.recv().await, Some((4, attempt)));
    }
    eventually("it is dropped and counted", async || {
        bus.counts().events_dropped == 1
    })
    .await?;
    assert_eq!(
        (bus.counts().events_dead, bus.counts().events_retried),
        (0, 0)
    );
    Ok(())
}

#[lightbus::test]
async fn a_listeners_policy_goes_before_its_apis_and_that_before_the_bus(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "retry_policies")]
    trait Api {
        #[event]
        fn happened();
    }
    let two = Retry::immediate().attempts(2);
    let shop = bus
        .app_builder("shop")
        .retry(Retry::never())
        .retry_api("retry_policies", two)
        .connect()
        .await?;
    let (sender, mut made) = mpsc::unbounded_channel();
    for (name, own) in [
        ("by-api", None),
        ("by-listener", Some(Retry::immediate().attempts(3))),
    ] {
        let sender = sender.clone();
        let handler = move |_: Happened| {
            let _ = sender.send((name, attempt()));
            std::future::ready(Err::<(), _>("never"))
        };
        let listening = ApiClient::new(&shop).happened();
        let listening = match own {
            Some(retry) => listening.retry(retry),
            None => listening,
        };
        listening.listen(name, handler).await?;
    }
    ApiEvents::new(&shop)
        .happened()
        .publish(Happened {})
        .await?;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(made.recv().await.expect("an attempt"));
    }
    all.sort_unstable();
    assert_eq!(
        all,
        [
            ("by-api", 0),
            ("by-api", 1),
            ("by-listener", 0),
            ("by-listener", 1),
            ("by-listener", 2)
        ]
    );
    eventually("both are dead", async || shop.counts().events_dead == 2).await?;
    assert!(made.is_empty());
    Ok(())
}
