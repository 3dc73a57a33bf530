//! Senders that give up while what they sent is still on its way: it keeps its place among what may be in flight. On the embedded broker alone,
//! which can be told to keep it waiting.

use std::time::{Duration, Instant};

use lightbus::testing::TestBus;
use lightbus::{CallError, PublishError};
use lightbus_tests::eventually;

const MS: Duration = Duration::from_millis(1);
/// More than may be in flight: 32 MiB.
const MEGABYTES: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(60);

#[lightbus::api(name = "giving_up")]
trait Api {
    async fn length(&self, payload: String) -> usize;
    #[event]
    fn happened(payload: String);
}

struct Provider;

impl Api for Provider {
    async fn length(&self, payload: String) -> usize {
        payload.len()
    }
}

fn megabyte() -> String {
    "x".repeat(1_000_000)
}

/// Publishes without patience until there is no place for another one.
async fn fill(events: &ApiEvents) -> anyhow::Result<()> {
    for _ in 0..MEGABYTES {
        let publish = events.happened().publish(Happened {
            payload: megabyte(),
        });
        match publish.timeout(20 * MS).await {
            Err(PublishError::Connection { reason, .. }) if reason.contains("too many") => {
                return Ok(());
            }
            Err(_) => {}
            Ok(()) => anyhow::bail!("it was confirmed"),
        }
    }
    anyhow::bail!("{MEGABYTES} MB are in flight")
}

#[lightbus::test(broker = "embedded")]
async fn an_event_keeps_its_place_until_it_is_confirmed_or_its_channel_is_lost(
    bus: TestBus,
) -> anyhow::Result<()> {
    let broker = bus.broker();
    let events = ApiEvents::new(&bus);
    let small = || Happened {
        payload: String::new(),
    };
    events.happened().publish(small()).await?;
    broker.faults().withhold_confirms(u64::from(MEGABYTES));
    fill(&events).await?;
    broker.block_publishers("low on memory");
    let refused = async |timeout| {
        let payload = megabyte();
        let publish = events.happened().publish(Happened { payload });
        let refused = publish.timeout(timeout).await;
        matches!(refused, Err(PublishError::Blocked { .. }))
    };
    eventually("the alarm is known", async || refused(50 * MS).await).await?;
    let asked = Instant::now();
    assert!(refused(PATIENCE).await);
    let took = asked.elapsed();
    assert!(took < PATIENCE / 4, "told after {took:?}");
    broker.faults().clear();
    broker.drop_connections();
    eventually("publishers are not blocked", async || {
        events.happened().publish(small()).await.is_ok()
    })
    .await?;
    for _ in 0..40 {
        let payload = megabyte();
        events.happened().publish(Happened { payload }).await?;
    }
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn what_has_not_left_keeps_its_place_until_it_has(bus: TestBus) -> anyhow::Result<()> {
    let embedded = bus.broker();
    let provider = bus.app("provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let (events, api) = (ApiEvents::new(&bus), ApiClient::new(&bus));
    let payload = String::new();
    events.happened().publish(Happened { payload }).await?;
    api.length("").await?;
    // Times out at first, as it did not leave; and a dropped call is no better.
    embedded.faults().stall_all();
    fill(&events).await?;
    let mut full = false;
    for n in 0..MEGABYTES {
        let call = api.length(megabyte()).into_future();
        let given_up = tokio::time::timeout(20 * MS, call);
        match n % 2 {
            0 => drop(given_up.await),
            _ => match api.length(megabyte()).timeout(20 * MS).await {
                Err(CallError::Connection(failure)) => full |= failure.detail.contains("too many"),
                Err(_) => {}
                Ok(_) => anyhow::bail!("it was answered"),
            },
        }
        if full {
            break;
        }
    }
    assert!(full, "{MEGABYTES} MB of calls are on their way");
    embedded.faults().resume_all();
    for _ in 0..40 {
        let payload = megabyte();
        assert_eq!(api.length(&payload).await?, payload.len());
        events.happened().publish(Happened { payload }).await?;
    }
    Ok(())
}
