//! Events: who hears what.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lightbus::testing::TestBus;
use lightbus::{Context, PublishError, Retry};
use lightbus_tests::{Foreign, eventually, reporting};
use tokio::sync::mpsc;

#[lightbus::test]
async fn each_listener_of_each_app_gets_one_copy_and_replicas_compete(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_copies")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let source = bus.app("source").await?;
    let (one, two) = (bus.app("shop").await?, bus.app("shop").await?);
    let (first, mut first_heard) = reporting(|event| event);
    let (second, mut second_heard) = reporting(|event| event);
    let (other, mut other_heard) = reporting(|event| event);
    ApiClient::new(&one)
        .happened()
        .listen("copies-a", first)
        .await?;
    ApiClient::new(&two)
        .happened()
        .listen("copies-a", second)
        .await?;
    ApiClient::new(&two)
        .happened()
        .listen("copies-b", other)
        .await?;
    let events = ApiEvents::new(&source);
    for n in 0..20 {
        events.happened().publish(Happened { n }).await?;
    }
    let mut all = Vec::new();
    for n in 0..20 {
        assert_eq!(other_heard.recv().await, Some(Happened { n }));
        let heard = tokio::select! {
            heard = first_heard.recv() => heard,
            heard = second_heard.recv() => heard,
        };
        all.push(heard.unwrap().n);
    }
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    assert!(first_heard.is_empty() && second_heard.is_empty() && other_heard.is_empty());
    Ok(())
}

#[lightbus::test]
async fn a_broadcast_reaches_every_replica(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_broadcast")]
    trait Api {
        #[event]
        fn flushed(n: u32);
    }
    let (one, two) = (bus.app("shop").await?, bus.app("shop").await?);
    let (first, mut first_heard) = reporting(|event| event);
    let (second, mut second_heard) = reporting(|event| event);
    let listener = ApiClient::new(&one)
        .flushed()
        .broadcast("flush", first)
        .await?;
    ApiClient::new(&two)
        .flushed()
        .broadcast("flush", second)
        .await?;
    ApiEvents::new(&one)
        .flushed()
        .publish(Flushed { n: 7 })
        .await?;
    assert_eq!(first_heard.recv().await, Some(Flushed { n: 7 }));
    assert_eq!(second_heard.recv().await, Some(Flushed { n: 7 }));
    // Stopped, its queue is gone; the other replica's is not.
    let foreign = Foreign::connect(&bus.url()).await?;
    let queue = listener.queue().to_owned();
    assert!(foreign.queue(&queue).await?.is_some());
    listener.stop().await;
    assert_eq!(foreign.queue(&queue).await?, None);
    ApiEvents::new(&one)
        .flushed()
        .publish(Flushed { n: 8 })
        .await?;
    assert_eq!(second_heard.recv().await, Some(Flushed { n: 8 }));
    Ok(())
}

#[lightbus::test]
async fn events_wait_for_a_listener_that_is_away(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_away")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let source = bus.app("source").await?;
    let shop = bus.app("shop").await?;
    let (handler, _) = reporting(|event: Happened| event);
    ApiClient::new(&shop)
        .happened()
        .listen("away", handler)
        .await?
        .stop()
        .await;
    let events = ApiEvents::new(&source);
    events.happened().publish(Happened { n: 1 }).await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.q.shop.away", 1, 0).await?;
    let (handler, mut heard) = reporting(|event| event);
    ApiClient::new(&shop)
        .happened()
        .listen("away", handler)
        .await?;
    assert_eq!(heard.recv().await, Some(Happened { n: 1 }));
    Ok(())
}

#[lightbus::test]
async fn one_listener_hears_all_events_of_an_api(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_all")]
    trait Api {
        #[event]
        fn opened(door: String);
        #[event(name = "shut")]
        fn closed(door: String, loudly: bool);
    }
    let (handler, mut heard) = reporting(|event| event);
    ApiClient::new(&bus)
        .events()
        .concurrency(1)
        .listen("all", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    events
        .opened()
        .publish(Opened {
            door: "front".into(),
        })
        .await?;
    events
        .closed()
        .publish(Closed {
            door: "front".into(),
            loudly: true,
        })
        .await?;
    assert_eq!(
        heard.recv().await,
        Some(ApiEvent::Opened(Opened {
            door: "front".into()
        }))
    );
    assert_eq!(
        heard.recv().await,
        Some(ApiEvent::Closed(Closed {
            door: "front".into(),
            loudly: true
        }))
    );
    Ok(())
}

#[lightbus::test]
async fn the_broker_filters_by_key(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_keys")]
    trait Api {
        #[event]
        fn stock(#[key] part: String, #[key] site: u8, left: u32);
    }
    let api = ApiClient::new(&bus);
    let (handler, mut all) = reporting(|event| event);
    api.stock().listen("keys-all", handler).await?;
    let (handler, mut bolts) = reporting(|event| event);
    api.stock()
        .only(Stock::part_is("M8 bolt*"))
        .only(Stock::part_is("nut.x"))
        .listen("keys-bolts", handler)
        .await?;
    let (handler, mut site) = reporting(|event| event);
    api.stock()
        .only(Stock::site_is(2))
        .listen("keys-site", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    let stock = |part: &str, site, left| Stock {
        part: part.into(),
        site,
        left,
    };
    let sent = [
        stock("M8 bolt*", 1, 10),
        stock("washer", 2, 11),
        stock("nut.x", 2, 12),
        stock("", 3, 13),
    ];
    for event in &sent {
        events.stock().publish(event.clone()).await?;
    }
    for event in &sent {
        assert_eq!(all.recv().await.as_ref(), Some(event));
    }
    assert_eq!(
        (bolts.recv().await, bolts.recv().await),
        (Some(sent[0].clone()), Some(sent[2].clone()))
    );
    assert_eq!(
        (site.recv().await, site.recv().await),
        (Some(sent[1].clone()), Some(sent[2].clone()))
    );
    // What was filtered out never reached the queue.
    assert!(bolts.is_empty() && site.is_empty());
    let error = events
        .stock()
        .publish(stock(&"x".repeat(300), 1, 1))
        .await
        .unwrap_err();
    assert!(matches!(error, PublishError::Rejected { .. }), "{error}");
    Ok(())
}

#[lightbus::test]
async fn a_changed_filter_leaves_nothing_behind(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_refilter")]
    trait Api {
        #[event]
        fn stock(#[key] part: String);
    }
    let api = ApiClient::new(&bus);
    let (handler, _) = reporting(|event: Stock| event);
    api.stock().listen("refilter", handler).await?.stop().await;
    let (handler, mut heard) = reporting(|event| event);
    let bolts = api
        .stock()
        .only(Stock::part_is("bolt"))
        .listen("refilter", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    for part in ["nut", "bolt"] {
        events.stock().publish(Stock { part: part.into() }).await?;
    }
    assert_eq!(
        heard.recv().await,
        Some(Stock {
            part: "bolt".into()
        })
    );
    bolts.stop().await;
    // The binding for bolts is still there, and what it lets through is skipped.
    let (handler, mut heard) = reporting(|event| event);
    api.stock()
        .only(Stock::part_is("nut"))
        .listen("refilter", handler)
        .await?;
    for part in ["bolt", "nut"] {
        events.stock().publish(Stock { part: part.into() }).await?;
    }
    assert_eq!(heard.recv().await, Some(Stock { part: "nut".into() }));
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.q.test.refilter", 0, 1).await?;
    foreign.until("lb.q.test.refilter.dead", 0, 0).await?;
    Ok(())
}

#[lightbus::test]
async fn an_event_that_nobody_hears_is_published_and_sampled(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_unheard")]
    trait Api {
        #[event]
        fn whispered(n: u32);
    }
    ApiEvents::new(&bus)
        .whispered()
        .publish(Whispered { n: 1 })
        .await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    // A shared queue of samples: look for ours.
    while let Some(sample) = foreign.take("lb.sys.unrouted").await? {
        if sample.routing_key.as_str() == "events_unheard.whispered" {
            return Ok(());
        }
    }
    anyhow::bail!("the event is not among the unrouted samples")
}

#[lightbus::test]
async fn a_failing_listener_loses_nothing(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_failing")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&handled);
    let handler = move |event: Happened| {
        let counter = Arc::clone(&counter);
        assert_ne!(event.n, 2, "a panic outside of the future");
        async move {
            match event.n {
                0 => return Err("no zero, please"),
                1 => panic!("nor one"),
                _ => {}
            }
            tokio::task::yield_now().await;
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    };
    ApiClient::new(&bus)
        .happened()
        .retry(Retry::never())
        .listen("failing", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    for n in 0..10 {
        events.happened().publish(Happened { n }).await?;
    }
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.q.test.failing.dead", 3, 0).await?;
    eventually("seven are handled", async || {
        handled.load(Ordering::SeqCst) == 7
    })
    .await?;
    let mut dead = Vec::new();
    for _ in 0..3 {
        let queue = "lb.q.test.failing.dead";
        dead.push(foreign.take(queue).await?.expect("a dead letter").data);
    }
    dead.sort_unstable();
    assert_eq!(dead, [b"\x81\xa1n\x00", b"\x81\xa1n\x01", b"\x81\xa1n\x02"]);
    Ok(())
}

#[lightbus::test]
async fn a_publish_can_carry_headers_and_has_an_id(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_context")]
    trait Api {
        #[event]
        fn happened();
    }
    let (sender, mut seen) = mpsc::unbounded_channel();
    let handler = move |_: Happened| {
        let sender = sender.clone();
        async move {
            let context = Context::current().expect("a handler has a context");
            let _ = sender.send((context.header("tenant").map(str::to_owned), context));
        }
    };
    ApiClient::new(&bus)
        .happened()
        .listen("context", handler)
        .await?;
    ApiEvents::new(&bus)
        .happened()
        .publish(Happened {})
        .header("tenant", "acme")
        .await?;
    let (tenant, context) = seen.recv().await.unwrap();
    assert_eq!(tenant.as_deref(), Some("acme"));
    assert_eq!(
        (context.api(), context.name(), context.caller()),
        ("events_context", "happened", Some("test"))
    );
    assert_eq!(
        (
            context.message_id().len(),
            context.deadline(),
            context.attempt()
        ),
        (36, None, 0)
    );
    let too_large = ApiEvents::new(&bus)
        .happened()
        .publish(Happened {})
        .header("x", "y".repeat(40_000))
        .await;
    assert!(matches!(too_large, Err(PublishError::Rejected { .. })));
    Ok(())
}

#[lightbus::test]
async fn a_dead_letter_that_is_moved_back_is_heard_again(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "events_replay")]
    trait Api {
        #[event]
        fn stock(#[key] part: String);
    }
    let (sender, mut heard) = mpsc::unbounded_channel();
    let handler = move |event: Stock| {
        let seen = sender.send(event.part);
        std::future::ready(match Context::current() {
            // The first time it fails.
            Some(context) if context.header("fixed").is_none() && seen.is_ok() => Err("not yet"),
            _ => Ok(()),
        })
    };
    let failing = ApiClient::new(&bus)
        .stock()
        .only(Stock::part_is("bolt"))
        .retry(Retry::never())
        .listen("replay", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    events
        .stock()
        .publish(Stock {
            part: "bolt".into(),
        })
        .await?;
    assert_eq!(heard.recv().await.as_deref(), Some("bolt"));
    let (queue, foreign) = ("lb.q.test.replay", Foreign::connect(&bus.url()).await?);
    let mut letter = None;
    eventually("it is dead", async || {
        letter = foreign.take(&format!("{queue}.dead")).await.ok().flatten();
        letter.is_some()
    })
    .await?;
    failing.stop().await;
    let (handler, mut heard) = reporting(|event| event);
    let bolts = ApiClient::new(&bus).stock().only(Stock::part_is("bolt"));
    bolts.listen("replay", handler).await?;
    // As an operator does it at the broker's screen: to the queue itself, properties and all.
    let letter = letter.expect("a dead letter");
    foreign
        .publish("", queue, letter.properties, &letter.data)
        .await?;
    assert_eq!(
        heard.recv().await,
        Some(Stock {
            part: "bolt".into()
        })
    );
    Ok(())
}
