//! Listeners: their names, their streams, their limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lightbus::Error;
use lightbus::testing::TestBus;
use lightbus_tests::raw::Raw;
use lightbus_tests::{Foreign, eventually};
use tokio::sync::Semaphore;

use crate::leaving::until_cancelled;

#[lightbus::test]
async fn a_stream_yields_events_until_they_are_acknowledged(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "streams_ack")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    let api = ApiClient::new(&bus);
    let mut stream = api.happened().stream("audit").await?;
    let events = ApiEvents::new(&bus);
    for n in 0..4 {
        events.happened().publish(Happened { n }).await?;
    }
    let first = stream.next().await.unwrap();
    assert_eq!((first.n, first.context().name()), (0, "happened"));
    first.ack();
    drop(stream.next().await.unwrap());
    stream.next().await.unwrap().reject();
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.q.test.audit.dead", 1, 0).await?;
    drop(stream);
    foreign.until("lb.q.test.audit", 2, 0).await?;
    // Its name is free when it has taken leave of the broker.
    let mut next = None;
    eventually("the name is free", async || {
        next = api.happened().stream("audit").await.ok();
        next.is_some()
    })
    .await?;
    let mut stream = next.expect("a stream");
    let mut again = [stream.next().await.unwrap(), stream.next().await.unwrap()].map(|event| {
        assert!(event.context().is_redelivered());
        event.ack().n
    });
    again.sort_unstable();
    assert_eq!(again, [1, 3]);
    Ok(())
}

#[lightbus::test]
async fn a_listeners_name_is_checked_and_taken_once(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "listening_names")]
    trait Api {
        #[event]
        fn happened();
        #[event]
        fn ended();
    }
    let api = ApiClient::new(&bus);
    let illegal = api
        .happened()
        .listen("Not Legal", |_| async {})
        .await
        .unwrap_err();
    assert!(
        matches!(&illegal, Error::Config(text) if text.contains("`Not Legal` is not a legal listener name")),
        "{illegal}"
    );
    let listener = api.happened().listen("names", |_| async {}).await?;
    let taken = api.ended().listen("names", |_| async {}).await.unwrap_err();
    assert!(
        matches!(&taken, Error::Config(text) if text.contains("`names` already")),
        "{taken}"
    );
    listener.stop().await;
    api.ended().listen("names", |_| async {}).await?;
    Ok(())
}

#[lightbus::test]
async fn a_queue_with_other_arguments_is_an_error_that_shows_the_difference(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "listening_mismatch")]
    trait Api {
        #[event]
        fn happened();
    }
    Foreign::connect(&bus.url())
        .await?
        .declare_plain_queue("lb.q.test.taken")
        .await?;
    let api = ApiClient::new(&bus);
    let error = api
        .happened()
        .listen("taken", |_| async {})
        .await
        .unwrap_err();
    let Error::TopologyMismatch { object, detail } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(object, &format!("queue `{}`", "lb.q.test.taken"));
    assert!(detail.contains("inequivalent arg 'x-"), "{detail}");
    // That queue alone fails.
    api.happened().listen("free", |_| async {}).await?;
    Ok(())
}

#[lightbus::test]
async fn concurrency_is_a_limit_and_one_means_in_order(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "listening_order")]
    trait Api {
        #[event]
        fn happened(n: usize);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let running = Arc::new(AtomicUsize::new(0));
    let handler = {
        let (next, running) = (Arc::clone(&next), Arc::clone(&running));
        move |event: Happened| {
            let (next, running) = (Arc::clone(&next), Arc::clone(&running));
            async move {
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                // Another one would begin now.
                tokio::task::yield_now().await;
                assert_eq!(next.load(Ordering::SeqCst), event.n);
                next.store(event.n + 1, Ordering::SeqCst);
                running.fetch_sub(1, Ordering::SeqCst);
            }
        }
    };
    ApiClient::new(&bus)
        .happened()
        .concurrency(1)
        .listen("order", handler)
        .await?;
    let events = ApiEvents::new(&bus);
    for n in 0..100 {
        events.happened().publish(Happened { n }).await?;
    }
    eventually("all were handled in order", async || {
        next.load(Ordering::SeqCst) == 100
    })
    .await
}

/// Waits for as long as the broker has patience with a client that says nothing.
fn until_the_silent_are_cut_off(url: &str) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async { Raw::connect(url).await?.ended().await })
}

#[lightbus::test]
async fn a_listener_that_blocks_its_thread_does_not_lose_the_connection(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "listening_blocking")]
    trait Api {
        #[event]
        fn happened(n: usize);
    }
    // Heartbeats every second: after some without one the broker ends a connection.
    let separator = if bus.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}heartbeat=1", bus.url());
    let shop = bus.app_builder("shop").url(url.as_str());
    let shop = shop.connect().await?;
    let deliveries = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&deliveries);
    let handler = move |_: Happened| {
        counter.fetch_add(1, Ordering::SeqCst);
        let url = url.clone();
        let other = std::thread::spawn(move || until_the_silent_are_cut_off(&url));
        // This test has one thread: nothing else of it runs meanwhile.
        let cut_off = other.join().expect("it does not panic");
        std::future::ready(cut_off.map_err(|error| error.to_string()))
    };
    ApiClient::new(&shop)
        .happened()
        .listen("blocking", handler)
        .await?;
    ApiEvents::new(&bus)
        .happened()
        .publish(Happened { n: 1 })
        .await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    eventually("the event is delivered", async || {
        deliveries.load(Ordering::SeqCst) > 0
    })
    .await?;
    foreign.until("lb.q.shop.blocking", 0, 1).await?;
    shop.close().await;
    foreign.until("lb.q.shop.blocking", 0, 0).await?;
    assert_eq!(
        deliveries.load(Ordering::SeqCst),
        1,
        "it was delivered again: the connection was lost"
    );
    Ok(())
}

#[lightbus::test]
async fn a_stop_keeps_to_the_concurrency_and_loses_nothing(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "listening_stop")]
    trait Api {
        #[event]
        fn happened(n: usize);
    }
    let running = Arc::new(AtomicUsize::new(0));
    let handled = Arc::new(AtomicUsize::new(0));
    let go_on = Arc::new(Semaphore::new(6));
    let handler = {
        let (running, handled) = (Arc::clone(&running), Arc::clone(&handled));
        let go_on = Arc::clone(&go_on);
        move |_: Happened| {
            let (running, handled) = (Arc::clone(&running), Arc::clone(&handled));
            let go_on = Arc::clone(&go_on);
            async move {
                assert!(
                    running.fetch_add(1, Ordering::SeqCst) < 2,
                    "more than two at a time"
                );
                go_on.acquire().await.unwrap().forget();
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                handled.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let happened = ApiClient::new(&bus).happened();
    let happened = happened.concurrency(2).prefetch(10);
    let listener = happened.listen("stop", handler).await?;
    let events = ApiEvents::new(&bus);
    for n in 0..60 {
        events.happened().publish(Happened { n }).await?;
    }
    eventually("some are handled, and two are not yet", async || {
        handled.load(Ordering::SeqCst) == 6 && running.load(Ordering::SeqCst) == 2
    })
    .await?;
    let (foreign, queue) = (Foreign::connect(&bus.url()).await?, "lb.q.test.stop");
    let stopping = tokio::spawn(async move { listener.stop().await });
    until_cancelled(&bus, &foreign, queue).await?;
    // Of those that have been delivered some may still be handled.
    go_on.add_permits(60);
    stopping.await?;
    let left = 60 - u32::try_from(handled.load(Ordering::SeqCst))?;
    assert!((44..=52).contains(&left), "{left}");
    foreign.until(queue, left, 0).await?;
    foreign.until("lb.q.test.stop.dead", 0, 0).await?;
    Ok(())
}

#[lightbus::test]
async fn a_listen_that_is_given_up_does_not_begin_later(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "listening_dropped")]
    trait Api {
        #[event]
        fn happened(n: usize);
    }
    let api = ApiClient::new(&bus);
    let listening = api.happened().listen("dropped", |_| async {});
    assert!(
        tokio::time::timeout(Duration::ZERO, listening)
            .await
            .is_err()
    );
    // The name is free again when the attempt has ended, and the queue has no other consumer than this one.
    let mut listener = None;
    eventually("the name is free", async || {
        listener = api.happened().listen("dropped", |_| async {}).await.ok();
        listener.is_some()
    })
    .await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    foreign.until("lb.q.test.dropped", 0, 1).await?;
    Ok(())
}
