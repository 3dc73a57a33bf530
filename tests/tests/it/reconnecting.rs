//! Lost connections. On the embedded broker alone, which can be told to cut them.

use std::time::Duration;

use lightbus_tests::TestBroker;
use tokio::sync::mpsc;

#[lightbus::api(name = "reconnecting")]
trait Api {
    async fn echo_after(&self, n: u32, ms: u64) -> u32;
    #[event]
    fn happened(n: u32);
}

struct Provider(mpsc::UnboundedSender<u32>);

impl Api for Provider {
    async fn echo_after(&self, n: u32, ms: u64) -> u32 {
        let _ = self.0.send(n);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        n
    }
}

#[tokio::test]
async fn calls_events_and_answers_survive_a_cut() -> anyhow::Result<()> {
    let broker = TestBroker::start().await?;
    let Some(embedded) = broker.embedded() else {
        return Ok(());
    };
    let provider = broker.bus("cut-provider").await?;
    let (begun, mut begins) = mpsc::unbounded_channel();
    provider.serve(ApiServer::new(Provider(begun))).await?;
    let peer = broker.bus("cut-peer").await?;
    let api = ApiClient::new(&peer);
    let (sender, mut heard) = mpsc::unbounded_channel();
    let handler = move |event: Happened| {
        let _ = sender.send(event.n);
        std::future::ready(())
    };
    api.happened().listen("cut", handler).await?;
    let events = ApiEvents::new(&provider);
    for n in 0..5 {
        let waiting = tokio::spawn({
            let api = api.clone();
            async move {
                api.echo_after(n, 300)
                    .timeout(Duration::from_secs(10))
                    .await
            }
        });
        assert_eq!(begins.recv().await, Some(n), "a call runs once");
        embedded.drop_connections();
        // The answer to a call that was under way still arrives, on another connection.
        assert_eq!(waiting.await??, n);
        // So do new calls and events.
        assert_eq!(
            api.echo_after(n + 100, 0)
                .timeout(Duration::from_secs(10))
                .await?,
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

#[tokio::test]
async fn an_alarm_is_named_and_waited_out() -> anyhow::Result<()> {
    #[lightbus::api(name = "alarm")]
    trait Alarm {
        #[event]
        fn rang(n: u32);
    }
    let broker = TestBroker::start().await?;
    let Some(embedded) = broker.embedded() else {
        return Ok(());
    };
    let bus = broker.bus("alarm-shop").await?;
    let rang = AlarmEvents::new(&bus).rang();
    rang.publish(Rang { n: 0 }).await?;
    embedded.block_publishers("low on memory");
    let mut text = String::new();
    lightbus_tests::eventually("it is not sent, and the alarm is named", async || {
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
