//! Tasks that take long.

use super::*;

/// Messages move after 100 ms, come anew every 200 ms, and are back a second after their process was lost.
fn impatient(builder: lightbus::BusBuilder) -> lightbus::BusBuilder {
    let times = [100, 200, 1000].map(Duration::from_millis);
    builder.hold_tasks(times[0], times[1], times[2])
}

/// Reports the number of its bus when it begins a task, and ends it when it may.
#[derive(Clone)]
struct Slow {
    bus: u32,
    begun: mpsc::UnboundedSender<u32>,
    leave: Arc<Semaphore>,
}

impl Slow {
    async fn work(&self) {
        let _ = self.begun.send(self.bus);
        self.leave.acquire().await.expect("open").forget();
    }
}

#[tokio::test]
async fn a_task_that_takes_long_is_nobody_elses_meanwhile() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_long")]
    trait Api {
        #[task]
        async fn work(&self);
    }
    impl Api for Slow {
        async fn work(&self) {
            self.work().await;
        }
    }
    let broker = TestBroker::start().await?;
    let Some(embedded) = broker.embedded() else {
        return Ok(());
    };
    let (begun, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let mut workers = Vec::new();
    for bus in 0..2 {
        let slow = Slow {
            bus,
            begun: begun.clone(),
            leave: Arc::clone(&leave),
        };
        let bus = impatient(broker.builder("long")).connect().await?;
        bus.serve(ApiServer::new(slow)).await?;
        workers.push(bus);
    }
    ApiClient::new(&workers[0]).work().enqueue().await?;
    reports(&mut reported, 1).await?;
    let foreign = broker.foreign().await?;
    let hold = async || {
        let mut held = 0;
        for bus in &workers {
            let queue = format!("lb.hold.{}.{}", bus.app(), bus.instance());
            held += usize::from(
                foreign
                    .queue(&queue)
                    .await
                    .is_ok_and(|queue| queue.is_some()),
            );
        }
        held == 1
    };
    eventually("its message has moved", hold).await?;
    // Several deliveries of it later, and over the loss of all connections, it is still in one worker's hands.
    tokio::time::sleep(Duration::from_millis(700)).await;
    embedded.drop_connections();
    for bus in &workers {
        bus.ready().await?;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(reported.try_recv().is_err(), "nobody began it again");
    leave.add_permits(1);
    for bus in &workers {
        bus.close().await;
    }
    let third = broker.bus("long").await?;
    let slow = Slow {
        bus: 3,
        begun,
        leave,
    };
    third.serve(ApiServer::new(slow)).await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(reported.try_recv().is_err(), "it was done");
    Ok(())
}

#[tokio::test]
async fn a_task_that_takes_too_long_to_stop_is_handed_back() -> anyhow::Result<()> {
    #[lightbus::api(name = "task_long_stop")]
    trait Api {
        #[task]
        async fn work(&self);
    }
    impl Api for Slow {
        async fn work(&self) {
            self.work().await;
        }
    }
    let broker = TestBroker::start().await?;
    let (begun, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let first = impatient(broker.builder("long-stop")).grace(Duration::from_millis(300));
    let first = first.connect().await?;
    let slow = |bus| {
        ApiServer::new(Slow {
            bus,
            begun: begun.clone(),
            leave: Arc::clone(&leave),
        })
    };
    first.serve(slow(1)).await?;
    let second = impatient(broker.builder("long-stop")).connect().await?;
    ApiClient::new(&second).work().enqueue().await?;
    reports(&mut reported, 1).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    second.serve(slow(2)).await?;
    first.close().await;
    assert_eq!(reports(&mut reported, 1).await?, [2]);
    leave.add_permits(1);
    second.close().await;
    Ok(())
}
