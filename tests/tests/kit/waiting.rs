//! What waits for hours, in milliseconds.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use lightbus::Context;
use lightbus::testing::TestBus;

const HOUR: Duration = Duration::from_secs(3600);

#[lightbus::api(name = "waiting")]
trait Api {
    #[task(retries = 3, backoff = "1h fixed", result_ttl = "7d")]
    async fn fragile(&self) -> Result<u32, String>;
    #[task(result_ttl = "7d")]
    async fn usual(&self, n: u32) -> u32;
}

/// Counts its attempts.
struct Worker(Arc<AtomicU32>);

impl Api for Worker {
    async fn fragile(&self) -> Result<u32, String> {
        self.0.fetch_add(1, SeqCst);
        match Context::current().map(|it| it.attempt()) {
            Some(attempt @ 2..) => Ok(attempt),
            attempt => Err(format!("attempt {attempt:?}")),
        }
    }

    async fn usual(&self, n: u32) -> u32 {
        self.0.fetch_add(1, SeqCst);
        n
    }
}

#[tokio::test]
async fn hours_pass_one_after_the_other() -> anyhow::Result<()> {
    let bus = TestBus::with_virtual_time().await?;
    let ran = Arc::<AtomicU32>::default();
    let worker = ApiServer::new(Worker(Arc::clone(&ran)));
    bus.app("worker").await?.serve(worker).await?;
    let api = ApiClient::new(&bus);
    let fragile = api.fragile().enqueue().await?;
    let tomorrow = api.usual(1).after(24 * HOUR).enqueue().await?;
    let soon = api.usual(2).after(2 * HOUR).enqueue().await?;
    bus.settled().await;
    assert_eq!(ran.load(SeqCst), 1);
    // An hour, more or less: the delays of retries vary.
    bus.advance(5 * HOUR / 4).await;
    assert_eq!(ran.load(SeqCst), 2);
    bus.advance(5 * HOUR / 4).await;
    assert_eq!(ran.load(SeqCst), 4);
    assert_eq!(fragile.result().await, Ok(2));
    assert_eq!(soon.result().await?, 2);
    bus.advance(24 * HOUR).await;
    assert_eq!(ran.load(SeqCst), 5);
    assert_eq!(tomorrow.result().await?, 1);
    Ok(())
}

#[tokio::test]
async fn time_that_goes_by_itself_is_not_moved() {
    let text = crate::failure(|bus| async move { bus.advance(HOUR).await });
    assert!(text.await.contains("with_virtual_time"));
}
