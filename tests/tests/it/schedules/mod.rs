//! Schedules: fired in time, by one of the replicas, and not forgotten over losses.

mod changing;
mod firing;
mod missed;
mod pausing;
mod refusing;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use lapin::BasicProperties;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use lightbus::{
    Bus, Context, Error, Missed, Overlap, RunOutcome, ScheduleStatus, Scheduled,
    ScheduledOccurrence,
};
use lightbus_tests::proxy::Proxy;
use lightbus_tests::{TestBroker, eventually, passed, queue_of};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

const TICK: Duration = Duration::from_millis(300);

/// The occurrences in a task's queue: how often each message id came, by the time that it is for.
#[derive(Clone, Default)]
struct Ticks(Arc<Mutex<BTreeMap<i64, Vec<String>>>>);

impl Ticks {
    /// Takes what is in the queue from now on, as no worker of ours would.
    async fn of(broker: &TestBroker, queue: &str) -> anyhow::Result<(Self, JoinHandle<()>)> {
        let ticks = Self::default();
        let foreign = broker.foreign().await?;
        let channel = foreign.channel().await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let none = FieldTable::default();
        let mut consumer = channel
            .basic_consume(queue.into(), "".into(), options, none)
            .await?;
        let all = ticks.clone();
        let taking = tokio::spawn(async move {
            let _connected = foreign;
            while let Some(Ok(delivery)) = consumer.next().await {
                let at = scheduled_at(&delivery.properties);
                let id = delivery.properties.message_id().clone();
                let id = id.map(|id| id.to_string()).unwrap_or_default();
                all.0.lock().await.entry(at).or_default().push(id);
            }
        });
        Ok((ticks, taking))
    }

    async fn len(&self) -> usize {
        self.0.lock().await.len()
    }

    async fn until(&self, n: usize) -> anyhow::Result<()> {
        let what = format!("there are {n} occurrences");
        eventually(&what, async || self.len().await >= n).await
    }

    async fn times(&self) -> Vec<i64> {
        self.0.lock().await.keys().copied().collect()
    }

    /// None is missing between the first and the last, and a double has the same id.
    async fn assert_complete(&self) {
        let times = self.times().await;
        let (first, last) = (times[0], times[times.len() - 1]);
        let step = usize::try_from(TICK.as_millis()).unwrap();
        let expected: Vec<i64> = (first..=last).step_by(step).collect();
        assert_eq!(times, expected);
        for (at, ids) in &*self.0.lock().await {
            let ids: BTreeSet<&String> = ids.iter().collect();
            assert_eq!(ids.len(), 1, "at {at}: {ids:?}");
        }
    }
}

fn scheduled_at(properties: &BasicProperties) -> i64 {
    let headers = properties.headers().clone().unwrap_or_default();
    match headers.inner().get("lb-cron-at") {
        Some(lapin::types::AMQPValue::LongLongInt(at)) => *at,
        other => panic!("no occurrence: {other:?}"),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// A broker on which a task's queue is empty: a RabbitMQ still has what earlier runs left in it.
async fn start_with(queues: &[&str]) -> anyhow::Result<TestBroker> {
    let broker = TestBroker::start().await?;
    let foreign = broker.foreign().await?;
    for queue in queues {
        foreign.drain(queue).await?;
    }
    Ok(broker)
}

/// The present, in the middle of an interval of about ten minutes: nothing is due for minutes.
fn quiet_interval() -> i64 {
    (600_000..)
        .find(|ms| (ms / 4..ms / 2).contains(&(now() % ms)))
        .unwrap()
}

async fn wait(
    scheduled: &Scheduled,
    what: &str,
    is: impl Fn(&ScheduleStatus) -> bool,
) -> anyhow::Result<()> {
    eventually(what, async || {
        scheduled.status().await.is_ok_and(|status| is(&status))
    })
    .await
}
