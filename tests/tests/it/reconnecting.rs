//! Lost connections. On the embedded broker alone, which can be told to cut them.

use std::sync::Arc;
use std::time::Duration;

use lightbus::Bus;
use lightbus::testing::TestBus;
use lightbus_broker::ChannelInfo;
use lightbus_tests::{eventually, reporting};
use tokio::sync::{Notify, Semaphore, mpsc};

const MS: Duration = Duration::from_millis(1);

#[lightbus::api(name = "reconnecting")]
trait Api {
    async fn echo(&self, n: u32) -> u32;
    #[event]
    fn happened(n: u32);
}

/// Tells what it has begun, and answers when it may.
struct Provider(mpsc::UnboundedSender<u32>, Arc<Semaphore>);

impl Api for Provider {
    async fn echo(&self, n: u32) -> u32 {
        let _ = self.0.send(n);
        self.1.acquire().await.unwrap().forget();
        n
    }
}

/// Cuts all connections, and returns when all apps are back.
async fn cut(bus: &TestBus, apps: &[&Bus]) -> anyhow::Result<()> {
    let connections = || {
        let connections = bus.broker().snapshot().connections.into_iter();
        connections.map(|it| it.number).collect::<Vec<_>>()
    };
    let before = connections();
    bus.broker().drop_connections();
    eventually("the connections are back", async || {
        let now = connections();
        now.len() == before.len() && !now.iter().any(|number| before.contains(number))
    })
    .await?;
    for app in apps {
        app.ready().await?;
    }
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn calls_events_and_answers_survive_a_cut(bus: TestBus) -> anyhow::Result<()> {
    let provider = bus.app("provider").await?;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(0));
    provider
        .serve(ApiServer::new(Provider(begun, Arc::clone(&go_on))))
        .await?;
    let api = ApiClient::new(&bus);
    let (handler, mut heard) = reporting(|event: Happened| event.n);
    api.happened().listen("cut", handler).await?;
    let events = ApiEvents::new(&provider);
    for n in 0..5 {
        let waiting = tokio::spawn({
            let api = api.clone();
            async move { api.echo(n).timeout(Duration::from_secs(10)).await }
        });
        assert_eq!(begins.recv().await, Some(n), "a call runs once");
        cut(&bus, &[&provider, &bus]).await?;
        go_on.add_permits(2);
        // The answer to a call that was under way still arrives, on another connection.
        assert_eq!(waiting.await??, n);
        // So do new calls and events.
        assert_eq!(
            api.echo(n + 100).timeout(Duration::from_secs(10)).await?,
            n + 100
        );
        assert_eq!(begins.recv().await, Some(n + 100));
        events.happened().publish(Happened { n }).await?;
        // The one before comes again if the cut took its acknowledgement.
        let mut last = heard.recv().await;
        while last.is_some_and(|last| last < n) {
            last = heard.recv().await;
        }
        assert_eq!(last, Some(n));
    }
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_call_that_comes_again_is_settled_by_the_handler_that_runs_it(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "comes_again")]
    trait Slow {
        #[rpc(idempotent)]
        async fn run(&self, finish: bool) -> u32;
        async fn ping(&self);
    }
    struct Provider {
        number: u32,
        begun: mpsc::UnboundedSender<u32>,
        go_on: Arc<Semaphore>,
    }
    impl Slow for Provider {
        async fn run(&self, finish: bool) -> u32 {
            let _ = self.begun.send(self.number);
            if finish || self.number == 1 {
                self.go_on.acquire().await.unwrap().forget();
            }
            self.number
        }
        async fn ping(&self) {}
    }
    let embedded = bus.broker();
    let go_on = Arc::new(Semaphore::new(0));
    let (begun, mut begins) = mpsc::unbounded_channel();
    let provider = |number| Provider {
        number,
        begun: begun.clone(),
        go_on: Arc::clone(&go_on),
    };
    let one = bus.app_builder("one").grace(MS).connect();
    let one = one.await?;
    one.serve(SlowServer::new(provider(1))).await?;
    let api = SlowClient::new(&bus);
    let unsettled = || {
        embedded
            .snapshot()
            .queue("lb.rpc.comes_again")
            .unwrap()
            .unacked
    };
    let delivered_again = async || -> anyhow::Result<()> {
        embedded.drop_connections();
        eventually("it has been delivered again", async || unsettled() == 1).await?;
        // Taken after it, on the same connection.
        Ok(api.ping().await?)
    };
    let call = |finish| {
        let api = api.clone();
        tokio::spawn(async move { api.run(finish).await })
    };

    let answer = call(true);
    assert_eq!(begins.recv().await, Some(1));
    delivered_again().await?;
    assert_eq!(unsettled(), 1, "its handler is still at work");
    go_on.add_permits(1);
    assert_eq!(answer.await??, 1);
    eventually("it is settled with its handler", async || unsettled() == 0).await?;

    let answer = call(false);
    assert_eq!(
        begins.recv().await,
        Some(1),
        "it came again and did not run again"
    );
    delivered_again().await?;
    let two = bus.app("two").await?;
    two.serve(SlowServer::new(provider(2))).await?;
    one.close().await;
    assert_eq!(answer.await??, 2, "another provider has it");
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn a_channel_of_calls_that_the_broker_closes_is_counted(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "closed_channel")]
    trait Waiting {
        async fn wait(&self);
        async fn ping(&self);
    }
    struct Provider(Arc<Notify>, Arc<Notify>);
    impl Waiting for Provider {
        async fn wait(&self) {
            self.0.notify_one();
            self.1.notified().await;
        }
        async fn ping(&self) {}
    }
    let embedded = bus.broker();
    let provider = bus.app("provider").await?;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let serving = Provider(Arc::clone(&begun), Arc::clone(&go_on));
    provider.serve(WaitingServer::new(serving)).await?;
    let api = WaitingClient::new(&bus);
    api.ping().await?;
    embedded.drop_connections();
    eventually("calls are answered again", async || {
        api.ping().timeout(1000 * MS).await.is_ok()
    })
    .await?;
    assert_eq!(
        bus.counts().call_channels_closed,
        0,
        "a connection was lost"
    );

    let waiting = tokio::spawn({
        let api = api.clone();
        async move { api.wait().await }
    });
    begun.notified().await;
    let snapshot = embedded.snapshot();
    let channels = &snapshot.connection("test publish").unwrap().channels;
    let of_calls = |channel: &&ChannelInfo| channel.consumers == 0 && !channel.confirms;
    let channel = channels.iter().find(of_calls).unwrap().number;
    let faults = embedded.faults();
    assert_eq!(
        faults.close_channel("test publish", channel, 406, "PRECONDITION_FAILED"),
        1
    );
    eventually("it is counted, and nothing else was sent", async || {
        bus.counts().call_channels_closed == 1
    })
    .await?;
    go_on.notify_one();
    waiting.await??;
    api.ping().await?;
    assert_eq!(bus.counts().call_channels_closed, 1);
    Ok(())
}

#[lightbus::test(broker = "embedded")]
async fn an_alarm_is_named_and_waited_out(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "alarm")]
    trait Alarm {
        #[event]
        fn rang(n: u32);
    }
    let embedded = bus.broker();
    let rang = AlarmEvents::new(&bus).rang();
    rang.publish(Rang { n: 0 }).await?;
    embedded.block_publishers("low on memory");
    let mut text = String::new();
    eventually("it is not sent, and the alarm is named", async || {
        let blocked = rang.publish(Rang { n: 1 });
        match blocked.timeout(Duration::from_millis(50)).await {
            Err(error @ lightbus::PublishError::Blocked { .. }) => text = error.to_string(),
            _ => text.clear(),
        }
        text.contains("memory or disk alarm")
    })
    .await?;
    embedded.unblock_publishers();
    rang.publish(Rang { n: 2 }).await?;
    Ok(())
}
