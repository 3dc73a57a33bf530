//! Many tasks: enqueued, run and acknowledged, by lightbus and by a program written by hand on lapin, one after the other on the same broker.
//!
//! ```text
//! cargo run --release -p lightbus-benches --bin tasks                        a million on the embedded broker
//! LIGHTBUS_URL=amqp://… cargo run --release -p lightbus-benches --bin tasks -- --count 100000 --rounds 3
//! ```
//!
//! Both enqueue persistent messages into a quorum queue and wait for every confirmation, a thousand at a time; both decode the arguments, and acknowledge in
//! multiples. A task that is lost, or run twice, is an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use lightbus::{Bus, enqueue_many};
use lightbus_broker::Broker;

const WINDOW: usize = 1024;
const PREFETCH: u16 = 1000;
const BATCH: usize = 64;
const QUEUE: &str = "bench-tasks";
/// For a million tasks at once, in the embedded broker.
const MEMORY: usize = 4 << 30;
/// How many tasks are made at a time.
const CHUNK: u64 = 10_000;

/// Many tasks, by lightbus and by hand.
#[derive(Debug, Parser)]
struct Options {
    /// How many tasks each contestant enqueues and runs.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// How often each of them does so, in turns.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
}

/// Resizing nothing.
#[lightbus::api(name = "bench_tasks")]
trait BenchTasks {
    /// Counts its number.
    #[task]
    async fn work(&self, number: u64, text: String);
}

/// What has been run: how many, and the sum of their numbers.
#[derive(Clone, Debug, Default)]
struct Done {
    count: Arc<AtomicU64>,
    sum: Arc<AtomicU64>,
}

impl Done {
    fn add(&self, number: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(number, Ordering::Relaxed);
    }

    async fn all(&self, count: u64) -> Result<()> {
        let mut before = 0;
        loop {
            for _ in 0..600 {
                if self.count.load(Ordering::Relaxed) >= count {
                    return self.check(count);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let now = self.count.load(Ordering::Relaxed);
            ensure!(now > before, "stuck at {now} of {count}");
            before = now;
        }
    }

    fn check(&self, count: u64) -> Result<()> {
        let (done, sum) = (
            self.count.load(Ordering::Relaxed),
            self.sum.load(Ordering::Relaxed),
        );
        ensure!(done == count, "{done} ran, not {count}");
        ensure!(
            sum == count * (count - 1) / 2,
            "some ran twice, and others not at all"
        );
        Ok(())
    }
}

impl BenchTasks for Done {
    async fn work(&self, number: u64, text: String) {
        std::hint::black_box(text);
        self.add(number);
    }
}

/// Tasks a second, and memory in MiB at the end.
#[derive(Clone, Copy, Debug)]
struct Rates {
    enqueued: f64,
    run: f64,
    memory: u64,
}

fn text() -> String {
    "x".repeat(80)
}

async fn by_lightbus(url: &str, count: u64) -> Result<Rates> {
    let bus = Bus::builder("bench")
        .url(url)
        .publish_timeout(Duration::from_secs(60))
        .connect()
        .await?;
    let api = BenchTasksClient::new(&bus);
    let began = Instant::now();
    for start in (0..count).step_by(CHUNK as usize) {
        let api = api.clone();
        let tasks = (start..count.min(start + CHUNK)).map(move |number| api.work(number, text()));
        for enqueued in enqueue_many(tasks).await {
            enqueued?;
        }
    }
    let enqueued = began.elapsed();
    let (done, began) = (Done::default(), Instant::now());
    let server = BenchTasksServer::new(done.clone());
    bus.serve(server).task_concurrency(PREFETCH * 4 / 5).await?;
    done.all(count).await?;
    let run = began.elapsed();
    let memory = memory_mib();
    bus.close().await;
    Ok(rates(count, enqueued, run, memory))
}

async fn by_hand(url: &str, count: u64) -> Result<Rates> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), durable, arguments)
        .await?;
    let began = Instant::now();
    publish(&channel, count).await?;
    let enqueued = began.elapsed();
    let (done, began) = (Done::default(), Instant::now());
    let consuming = tokio::spawn(consume(
        connection.create_channel().await?,
        done.clone(),
        count,
    ));
    done.all(count).await?;
    let run = began.elapsed();
    consuming.await??;
    let memory = memory_mib();
    channel
        .queue_delete(QUEUE.into(), QueueDeleteOptions::default())
        .await?;
    connection.close(200, "done".into()).await?;
    Ok(rates(count, enqueued, run, memory))
}

/// A program may publish from one place alone: then nothing of what many need is needed.
async fn publish(channel: &lapin::Channel, count: u64) -> Result<()> {
    let mut confirms = std::collections::VecDeque::with_capacity(WINDOW);
    for number in 0..count {
        let mut headers = FieldTable::default();
        headers.insert("task".into(), AMQPValue::LongString("work".into()));
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/msgpack".into())
            .with_message_id(uuid::Uuid::now_v7().to_string().into())
            .with_headers(headers);
        let payload = rmp_serde::to_vec_named(&Arguments {
            number,
            text: text(),
        })?;
        let options = BasicPublishOptions::default();
        confirms.push_back(
            channel
                .basic_publish("".into(), QUEUE.into(), options, &payload, properties)
                .await?,
        );
        if confirms.len() == WINDOW
            && let Some(confirm) = confirms.pop_front()
        {
            ensure!(confirm.await?.is_ack(), "not stored");
        }
    }
    for confirm in confirms {
        ensure!(confirm.await?.is_ack(), "not stored");
    }
    Ok(())
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Arguments {
    number: u64,
    text: String,
}

async fn consume(channel: lapin::Channel, done: Done, count: u64) -> Result<()> {
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let options = BasicConsumeOptions::default();
    let consumer =
        channel.basic_consume(QUEUE.into(), "bench".into(), options, FieldTable::default());
    let mut batches = consumer.await?.ready_chunks(BATCH);
    let mut left = count;
    while left > 0 {
        let batch = batches.next().await.context("the consumer ended")?;
        let mut last = 0;
        for delivery in batch {
            let delivery = delivery?;
            let arguments: Arguments = rmp_serde::from_slice(&delivery.data)?;
            std::hint::black_box(arguments.text);
            done.add(arguments.number);
            (last, left) = (delivery.delivery_tag, left - 1);
        }
        channel
            .basic_ack(last, BasicAckOptions { multiple: true })
            .await?;
    }
    channel.close(200, "done".into()).await?;
    Ok(())
}

fn rates(count: u64, enqueued: Duration, run: Duration, memory: u64) -> Rates {
    Rates {
        enqueued: count as f64 / enqueued.as_secs_f64(),
        run: count as f64 / run.as_secs_f64(),
        memory,
    }
}

/// What this process takes of the machine's memory; 0 where that cannot be told.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok())
        .unwrap_or_default()
        / 1024
}

fn tell(who: &str, rates: Rates) {
    println!(
        "{who:<9} enqueued {:>8.0}/s   run {:>8.0}/s   {:>5} MiB",
        rates.enqueued, rates.run, rates.memory
    );
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (_broker, url) = match std::env::var("LIGHTBUS_URL") {
        Ok(url) => (None, url),
        Err(_) => {
            let broker = Broker::builder().memory_limit(MEMORY).start().await?;
            let url = broker.url();
            (Some(broker), url)
        }
    };
    println!("{} tasks each, none lost and none twice", options.count);
    for _ in 0..options.rounds {
        let hand = by_hand(&url, options.count).await?;
        tell("by hand", hand);
        let bus = by_lightbus(&url, options.count).await?;
        tell("lightbus", bus);
        println!(
            "{:<9} enqueued {:>8.2}     run {:>8.2}",
            "ratio",
            bus.enqueued / hand.enqueued,
            bus.run / hand.run
        );
    }
    Ok(())
}
