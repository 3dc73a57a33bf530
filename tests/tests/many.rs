//! Five hundred tests, each with a bus of its own: what a suite of an app's costs.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lightbus::testing::TestBus;
use lightbus::{HandlerError, Retry};

type Test = Result<(), Box<dyn std::error::Error>>;

#[lightbus::api(name = "many")]
trait Api {
    async fn double(&self, number: u64) -> u64;
    #[task]
    async fn add(&self, number: u64);
    #[event]
    fn counted(number: u64);
}

/// Adds up what it is given.
#[derive(Clone, Default)]
struct Sum(Arc<AtomicU64>);

impl Api for Sum {
    async fn double(&self, number: u64) -> u64 {
        2 * number
    }

    async fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }
}

fn counted(number: u64) -> Counted {
    Counted { number }
}

/// A program under test: of each number it hears it asks the double, and has that added.
async fn doubling(bus: &TestBus) -> Result<(), lightbus::Error> {
    let app = bus.app("doubling").await?;
    let api = ApiClient::new(&app);
    let client = api.clone();
    let double = move |it: Counted| {
        let api = client.clone();
        async move {
            let double = api.double(it.number).await?;
            api.add(double).enqueue().await?;
            Ok::<_, HandlerError>(())
        }
    };
    api.counted()
        .retry(Retry::never())
        .listen("double", double)
        .await?;
    Ok(())
}

async fn serve(bus: &TestBus) -> Result<Sum, lightbus::Error> {
    let sum = Sum::default();
    bus.app("sum")
        .await?
        .serve(ApiServer::new(sum.clone()))
        .await?;
    Ok(sum)
}

async fn an_event_is_published(bus: TestBus, n: u64) -> Test {
    bus.simulate(counted(n)).await?;
    bus.published(counted(n)).once().await;
    Ok(())
}

async fn an_event_is_handled(bus: TestBus, n: u64) -> Test {
    let api = ApiClient::new(&bus);
    bus.stub(api.double(n)).returns(2 * n).await?;
    doubling(&bus).await?;
    bus.simulate(counted(n)).await?;
    bus.published(counted(n)).handled_by("doubling").await;
    Ok(())
}

async fn a_listener_calls(bus: TestBus, n: u64) -> Test {
    let api = ApiClient::new(&bus);
    bus.stub(api.double(n)).returns(0).await?;
    doubling(&bus).await?;
    bus.simulate(counted(n)).await?;
    bus.called(api.double(n)).by("doubling").once().await;
    Ok(())
}

async fn a_listener_enqueues(bus: TestBus, n: u64) -> Test {
    let api = ApiClient::new(&bus);
    bus.stub(api.double(n)).returns(7).await?;
    doubling(&bus).await?;
    bus.simulate(counted(n)).await?;
    bus.published(counted(n))
        .then(bus.called(api.double(n)))
        .then(bus.enqueued(api.add(7)))
        .await;
    Ok(())
}

async fn a_stub_answers(bus: TestBus, n: u64) -> Test {
    let api = ApiClient::new(&bus);
    bus.stub(api.double(n)).returns(n).await?;
    assert_eq!(api.double(n).await?, n);
    Ok(())
}

async fn a_provider_answers(bus: TestBus, n: u64) -> Test {
    serve(&bus).await?;
    let api = ApiClient::new(&bus);
    assert_eq!(api.double(n).await?, 2 * n);
    bus.called(api.double(n)).returned(2 * n).once().await;
    Ok(())
}

async fn a_worker_works(bus: TestBus, n: u64) -> Test {
    let sum = serve(&bus).await?;
    let api = ApiClient::new(&bus);
    bus.simulate(api.add(n)).await?;
    bus.enqueued(api.add(n)).handled_by("sum").await;
    assert_eq!(sum.0.load(Relaxed), n);
    Ok(())
}

async fn apps_work_together(bus: TestBus, n: u64) -> Test {
    let sum = serve(&bus).await?;
    doubling(&bus).await?;
    bus.simulate(counted(n)).await?;
    bus.settled().await;
    assert_eq!(sum.0.load(Relaxed), 2 * n);
    Ok(())
}

async fn a_listener_fails(bus: TestBus, n: u64) -> Test {
    doubling(&bus).await?;
    bus.simulate(counted(n)).await?;
    bus.published(counted(n))
        .dead_because("nobody serves")
        .await;
    Ok(())
}

async fn a_task_waits(bus: TestBus, n: u64) -> Test {
    let sum = serve(&bus).await?;
    let api = ApiClient::new(&bus);
    api.add(n).after(Duration::from_secs(60)).enqueue().await?;
    bus.settled().await;
    bus.enqueued(api.add(n)).handled_by("sum").never().await;
    assert_eq!(sum.0.load(Relaxed), 0);
    Ok(())
}

/// Fifty tests of a kind, named by their number.
macro_rules! fifty {
    ($($kind:ident)*) => {$(
        mod $kind {
            use lightbus::testing::TestBus;
            fifty!(@ $kind
                n00 n01 n02 n03 n04 n05 n06 n07 n08 n09 n10 n11 n12 n13 n14 n15 n16 n17 n18 n19 n20 n21 n22 n23 n24
                n25 n26 n27 n28 n29 n30 n31 n32 n33 n34 n35 n36 n37 n38 n39 n40 n41 n42 n43 n44 n45 n46 n47 n48 n49);
        }
    )*};
    (@ $kind:ident $($n:ident)*) => {$(
        #[lightbus::test]
        async fn $n(bus: TestBus) -> super::Test {
            let number = stringify!($n)[1..].parse()?;
            super::$kind(bus, number).await
        }
    )*};
}

fifty! {
    an_event_is_published an_event_is_handled a_listener_calls a_listener_enqueues a_stub_answers
    a_provider_answers a_worker_works apps_work_together a_listener_fails a_task_waits
}
