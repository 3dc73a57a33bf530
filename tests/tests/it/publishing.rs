//! What the broker refuses, and what that does to other messages.

use std::time::Duration;

use lightbus::testing::TestBus;
use lightbus::{Bus, CallError, Context, PublishError, Retry};
use lightbus_broker::{Broker, Permissions, User};
use lightbus_tests::{Foreign, reporting};
use tokio::sync::mpsc;

#[tokio::test]
async fn a_forbidden_publish_fails_alone() -> anyhow::Result<()> {
    #[lightbus::api(name = "refused_allowed")]
    trait Allowed {
        #[event]
        fn happened(n: u32);
    }
    #[lightbus::api(name = "refused_forbidden")]
    trait Forbidden {
        #[event]
        fn forged(n: u32);
    }
    let own = Permissions::all().write(r"^lb\.(sys|ev\.refused_allowed)");
    let broker = Broker::builder()
        .add_user(User::new("shop", "secret").access("/", own))
        .start()
        .await?;
    let url = broker.url().replace("guest:guest", "shop:secret");
    let bus = Bus::builder("refused-shop").url(url).connect().await?;
    let (allowed, forbidden) = (
        AllowedEvents::new(&bus).happened(),
        ForbiddenEvents::new(&bus).forged(),
    );
    allowed.publish(Happened { n: 0 }).await?;
    let mut publishing = tokio::task::JoinSet::new();
    for n in 0..400 {
        let (allowed, forbidden) = (allowed.clone(), forbidden.clone());
        publishing.spawn(async move {
            match n % 4 {
                0 => (true, forbidden.publish(Forged { n }).await),
                _ => (false, allowed.publish(Happened { n }).await),
            }
        });
    }
    while let Some(ended) = publishing.join_next().await {
        match ended? {
            (true, Err(error @ PublishError::Denied { .. })) => {
                let text = error.to_string();
                assert!(
                    text.contains("refused_forbidden.forged") && text.contains("access"),
                    "{text}"
                );
            }
            (false, Ok(())) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bus.counts().events_unconfirmed, 0);
    Ok(())
}

#[tokio::test]
async fn a_forbidden_call_says_what_is_missing_and_is_not_worth_another_try() -> anyhow::Result<()>
{
    #[lightbus::api(name = "refused_call")]
    trait Api {
        async fn open(&self) -> bool;
    }
    let own = Permissions::all().configure(r"^lb\.(r|reply|dead|sys)\.");
    let broker = Broker::builder()
        .add_user(User::new("shop", "secret").access("/", own))
        .start()
        .await?;
    let url = broker.url().replace("guest:guest", "shop:secret");
    let bus = Bus::builder("refused-caller").url(url).connect().await?;
    let error = ApiClient::new(&bus).open().await.unwrap_err();
    assert!(matches!(error, CallError::Denied(_)), "{error:?}");
    assert!(!error.is_retryable());
    let text = error.to_string();
    for part in ["refused_call.open", "exchange `lb.rpc.refused_call`"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.contains("list_permissions"), "{text}");
    Ok(())
}

#[lightbus::test]
async fn an_exchange_that_is_deleted_is_declared_again(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "refused_deleted")]
    trait Api {
        #[event]
        fn happened(n: u32);
    }
    #[lightbus::api(name = "refused_other")]
    trait Other {
        #[event]
        fn sold(n: u32);
    }
    let (handler, mut heard) = reporting(|event: Sold| event.n);
    OtherClient::new(&bus)
        .sold()
        .listen("deleted", handler)
        .await?;
    let (events, others) = (
        ApiEvents::new(&bus).happened(),
        OtherEvents::new(&bus).sold(),
    );
    let foreign = Foreign::connect(&bus.url()).await?;
    for n in 0..5 {
        events.publish(Happened { n }).await?;
        foreign.delete_exchange("lb.ev.refused_deleted").await?;
        let (one, two) = tokio::join!(events.publish(Happened { n }), others.publish(Sold { n }));
        one?;
        two?;
        let mut last = heard.recv().await;
        // Published again under the same id, if the channel was closed under it.
        while last.is_some_and(|last| last < n) {
            last = heard.recv().await;
        }
        assert_eq!(last, Some(n));
    }
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_blocked_broker_is_named_at_once_when_no_more_may_wait(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "refused_blocked")]
    trait Api {
        #[event]
        fn happened(payload: String);
    }
    const MESSAGES: usize = 40;
    let events = ApiEvents::new(&bus).happened();
    events
        .publish(Happened {
            payload: String::new(),
        })
        .await?;
    bus.broker().block_publishers("low on memory");
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..MESSAGES {
        let events = events.clone();
        let payload = "x".repeat(1_000_000);
        waiting.spawn(async move {
            events
                .publish(Happened { payload })
                .timeout(Duration::from_secs(60))
                .await
        });
    }
    // 32 MiB may wait; the others are told, long before their deadline.
    let mut refused = 0;
    while refused < MESSAGES - 33 {
        match waiting.join_next().await.expect("one that does not wait")? {
            Err(PublishError::Blocked { .. }) => refused += 1,
            other => anyhow::bail!("{other:?}"),
        }
    }
    bus.broker().unblock_publishers();
    let mut stored = 0;
    while let Some(ended) = waiting.join_next().await {
        match ended? {
            Ok(()) => stored += 1,
            Err(PublishError::Blocked { .. }) => refused += 1,
            other => anyhow::bail!("{other:?}"),
        }
    }
    assert_eq!(stored + refused, MESSAGES);
    assert!(stored >= 30, "{stored} were stored after the alarm");
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_deleted_level_of_the_ladder_takes_no_event_with_it(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "refused_ladder")]
    trait Api {
        #[event]
        fn happened();
    }
    let (sender, mut made) = mpsc::unbounded_channel();
    let handler = move |_: Happened| {
        let attempt = Context::current().map_or(0, |context| context.attempt());
        let _ = sender.send(attempt);
        std::future::ready(if attempt < 2 { Err("not yet") } else { Ok(()) })
    };
    ApiClient::new(&bus)
        .happened()
        .retry(Retry::fixed(Duration::from_secs(1)))
        .listen("ladder", handler)
        .await?;
    for _ in 0..3 {
        ApiEvents::new(&bus).happened().publish(Happened {}).await?;
        for attempt in 0..3 {
            assert_eq!(made.recv().await, Some(attempt));
        }
        // Nothing is in it at the moment.
        assert_eq!(bus.faults().delete_queue("lb.delay.00"), 1);
    }
    Ok(())
}
