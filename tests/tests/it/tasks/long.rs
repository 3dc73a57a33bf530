//! Tasks that take long.

use lightbus::Bus;
use lightbus_broker::{EventKind, Events, QueueInfo};

use super::*;

/// Messages move after 100 ms, come anew every 200 ms, and are back three seconds after their process was lost.
fn impatient(builder: lightbus::BusBuilder) -> lightbus::BusBuilder {
    let times = [100, 200, 3000].map(Duration::from_millis);
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

/// Waits until messages that are held have been delivered so many times.
async fn until_delivered(times: usize, events: &mut Events) -> anyhow::Result<()> {
    let delivering = async {
        for _ in 0..times {
            while !events.next().await.is_some_and(|event| {
                matches!(event.kind, EventKind::Delivered { queue, .. } if queue.name.starts_with("lb.hold."))
            }) {}
        }
    };
    Ok(tokio::time::timeout(LONG, delivering).await?)
}

/// Does a process of this app hold a message?
async fn is_held(bus: &Bus, foreign: &Foreign) -> bool {
    let queue = format!("lb.hold.{}.{}", bus.app(), bus.instance());
    foreign
        .queue(&queue)
        .await
        .is_ok_and(|queue| queue.is_some())
}

#[lightbus::test(broker = "embedded")]
async fn a_task_that_takes_long_is_nobody_elses_meanwhile(bus: TestBus) -> anyhow::Result<()> {
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
    let embedded = bus.broker();
    let (begun, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let mut workers = Vec::new();
    for number in 0..2 {
        let slow = Slow {
            bus: number,
            begun: begun.clone(),
            leave: Arc::clone(&leave),
        };
        let worker = impatient(bus.app_builder("long")).connect().await?;
        worker.serve(ApiServer::new(slow)).await?;
        workers.push(worker);
    }
    let mut events = embedded.events();
    ApiClient::new(&workers[0]).work().enqueue().await?;
    reports(&mut reported, 1).await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    let hold =
        async || is_held(&workers[0], &foreign).await != is_held(&workers[1], &foreign).await;
    eventually("its message has moved", hold).await?;
    // Several deliveries of it later, and over the loss of all connections, it is still in one worker's hands.
    until_delivered(3, &mut events).await?;
    embedded.drop_connections();
    // For longer than it would take to be back in its queue.
    until_delivered(16, &mut events).await?;
    assert!(reported.try_recv().is_err(), "nobody began it again");
    leave.add_permits(1);
    for bus in &workers {
        bus.close().await;
    }
    let third = bus.app("long").await?;
    let slow = Slow {
        bus: 3,
        begun,
        leave,
    };
    third.serve(ApiServer::new(slow)).await?;
    let of_tasks = |queue: &&QueueInfo| {
        queue.name.starts_with("lb.task.") || queue.name.starts_with("lb.hold.")
    };
    eventually("no message is left of it", async || {
        let snapshot = embedded.snapshot();
        let mut queues = snapshot.queues.iter().filter(of_tasks);
        queues.all(|queue| queue.ready + queue.unacked == 0)
    })
    .await?;
    assert!(reported.try_recv().is_err(), "it was done");
    Ok(())
}

#[lightbus::test]
async fn a_task_that_takes_too_long_to_stop_is_handed_back(bus: TestBus) -> anyhow::Result<()> {
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
    let (begun, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let first = impatient(bus.app_builder("stop")).grace(Duration::from_millis(300));
    let first = first.connect().await?;
    let slow = |bus| {
        ApiServer::new(Slow {
            bus,
            begun: begun.clone(),
            leave: Arc::clone(&leave),
        })
    };
    first.serve(slow(1)).await?;
    let second = impatient(bus.app_builder("stop")).connect().await?;
    ApiClient::new(&second).work().enqueue().await?;
    reports(&mut reported, 1).await?;
    let foreign = Foreign::connect(&bus.url()).await?;
    eventually("it is held", async || is_held(&first, &foreign).await).await?;
    second.serve(slow(2)).await?;
    first.close().await;
    assert_eq!(reports(&mut reported, 1).await?, [2]);
    leave.add_permits(1);
    second.close().await;
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_message_that_is_held_for_long_survives_a_cut(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_long_cut")]
    trait Api {
        #[task]
        async fn work(&self);
    }
    impl Api for Slow {
        async fn work(&self) {
            self.work().await;
        }
    }
    let (begun, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let back = 3 * SECOND;
    let mut workers = Vec::new();
    for number in 0..2 {
        let slow = Slow {
            bus: number,
            begun: begun.clone(),
            leave: Arc::clone(&leave),
        };
        let worker = bus.app_builder("long-cut");
        let worker = worker.hold_tasks(Duration::from_millis(100), 60 * SECOND, back);
        let worker = worker.connect().await?;
        worker.serve(ApiServer::new(slow)).await?;
        workers.push(worker);
    }
    let mut events = bus.broker().events();
    ApiClient::new(&bus).work().enqueue().await?;
    reports(&mut reported, 1).await?;
    // The first copy of it would be too old by now.
    passed(back + SECOND).await?;
    bus.broker().drop_connections();
    until_delivered(4, &mut events).await?;
    passed(back).await?;
    assert!(reported.try_recv().is_err(), "somebody else began it");
    leave.add_permits(1);
    Ok(())
}
