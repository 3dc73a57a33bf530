//! lapin by someone who has measured it: nothing is awaited one by one, acknowledgements go in multiples, prefetch is
//! 1000, a channel for each consumer.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, Consumer};
use tokio::sync::oneshot;

use super::documented::report;
use super::topology::{self, CALL_TIMEOUT, EVENT_KEY, METHOD, Names, properties};
use super::{Caller, Plan, Publisher, Tally};
use crate::work::{Happening, Request, RequestRef, decode, encode};

const PREFETCH: u16 = 1000;
/// At most so many deliveries are acknowledged at once.
const BATCH: usize = 64;
const LOOK_FOR_RETURNS: Duration = Duration::from_millis(10);

/// A publish under way: resolves when the broker has confirmed it.
type Publishing = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// The channel to publish on, and all connections: one, or one for each direction.
struct Connected {
    connections: Vec<Connection>,
    consuming: Channel,
    publishing: Channel,
}

async fn connect(url: &str, two: bool) -> Result<Connected> {
    let mut connections = vec![topology::connect(url).await?];
    if two {
        connections.push(topology::connect(url).await?);
    }
    let consuming = connections[0].create_channel().await?;
    let publishing = connections[connections.len() - 1].create_channel().await?;
    Ok(Connected {
        connections,
        consuming,
        publishing,
    })
}

/// Answers calls: as many as have arrived are acknowledged together, before they run.
pub(crate) async fn serve(
    url: &str,
    two: bool,
    names: &Names,
    tally: Tally,
) -> Result<Vec<Connection>> {
    let Connected {
        connections,
        consuming,
        publishing,
    } = connect(url, two).await?;
    names.declare_calls(&consuming).await?;
    names.declare_reply_exchange(&consuming).await?;
    let mut batches = consume(&consuming, names.calls())
        .await?
        .ready_chunks(BATCH);
    let replies = names.replies();
    report(async move {
        while let Some(batch) = batches.next().await {
            let batch = batch.into_iter().collect::<lapin::Result<Vec<_>>>()?;
            acknowledge(&consuming, &batch);
            for delivery in batch {
                let request: Request = decode(&delivery.data)?;
                let reply = encode(&request.body)?;
                let to = delivery
                    .properties
                    .reply_to()
                    .clone()
                    .context("a call without reply-to")?;
                let properties = properties::reply(
                    delivery
                        .properties
                        .correlation_id()
                        .clone()
                        .unwrap_or_default(),
                );
                let options = BasicPublishOptions::default();
                // The first poll hands the frames over; when they are written is of no interest here.
                if let Some(submitted) = publishing
                    .basic_publish(replies.clone(), to, options, &reply, properties)
                    .now_or_never()
                {
                    submitted?;
                }
                tally.count();
            }
        }
        bail!("the consumer ended")
    });
    Ok(connections)
}

/// Handles events; what has been handled is acknowledged every 64 events and when none are left.
pub(crate) async fn listen(
    url: &str,
    names: &Names,
    listeners: usize,
    tally: &Tally,
) -> Result<Vec<Connection>> {
    let connection = topology::connect(url).await?;
    for number in 0..listeners {
        let channel = connection.create_channel().await?;
        let queue = names.declare_listener(&channel, number).await?;
        let mut batches = consume(&channel, queue).await?.ready_chunks(BATCH);
        let tally = tally.clone();
        report(async move {
            while let Some(batch) = batches.next().await {
                let batch = batch.into_iter().collect::<lapin::Result<Vec<_>>>()?;
                for delivery in &batch {
                    let _event: Happening = decode(&delivery.data)?;
                    tally.count();
                }
                acknowledge(&channel, &batch);
            }
            bail!("the consumer ended")
        });
    }
    Ok(vec![connection])
}

/// Calls over a reply queue of its own.
pub(crate) struct Calls {
    _connections: Vec<Connection>,
    channel: Channel,
    names: Names,
    reply_to: ShortString,
    next: AtomicU64,
    pending: Pending,
}

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Vec<u8>>>>>;

impl Calls {
    pub(crate) async fn new(url: &str, two: bool, names: &Names) -> Result<Self> {
        let Connected {
            connections,
            consuming,
            publishing: channel,
        } = connect(url, two).await?;
        let reply_to = names.declare_replies(&consuming).await?;
        let consumer = consume(&consuming, reply_to.clone()).await?;
        let pending = Pending::default();
        report(hand_out(consuming, consumer, Arc::clone(&pending)));
        report(watch_returns(channel.clone(), Arc::clone(&pending)));
        Ok(Self {
            _connections: connections,
            channel,
            names: names.clone(),
            reply_to,
            next: AtomicU64::new(0),
            pending,
        })
    }
}

/// Gives each reply to its caller.
async fn hand_out(channel: Channel, consumer: Consumer, pending: Pending) -> Result<()> {
    let mut batches = consumer.ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let batch = batch.into_iter().collect::<lapin::Result<Vec<_>>>()?;
        acknowledge(&channel, &batch);
        for delivery in batch {
            let correlation = delivery
                .properties
                .correlation_id()
                .as_ref()
                .context("a reply without correlation id")?;
            let caller = pending
                .lock()
                .expect("not poisoned")
                .remove(&correlation.as_str().parse()?);
            if let Some(caller) = caller {
                let _ = caller.send(delivery.data);
            }
        }
    }
    bail!("the consumer ended")
}

/// Lets a call fail at once when nobody serves it. On a channel without confirms lapin keeps returned messages until it is
/// asked for them, which is cheaper than a confirm for each call.
async fn watch_returns(channel: Channel, pending: Pending) -> Result<()> {
    loop {
        tokio::time::sleep(LOOK_FOR_RETURNS).await;
        for returned in channel.wait_for_confirms().await? {
            let correlation = returned
                .delivery
                .properties
                .correlation_id()
                .clone()
                .unwrap_or_default();
            pending
                .lock()
                .expect("not poisoned")
                .remove(&correlation.as_str().parse()?);
        }
    }
}

impl Caller for Calls {
    async fn call(&self, id: u64, body: &str) -> Result<String> {
        let arguments = encode(&RequestRef { id, body })?;
        let correlation = self.next.fetch_add(1, Ordering::Relaxed);
        let (caller, reply) = oneshot::channel();
        self.pending
            .lock()
            .expect("not poisoned")
            .insert(correlation, caller);
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let properties = properties::request(correlation, self.reply_to.clone());
        let publishing = self.channel.basic_publish(
            self.names.calls(),
            METHOD.into(),
            options,
            &arguments,
            properties,
        );
        // The first poll hands the frames over; when they are written, nobody needs to know. (Without confirms there are no
        // numbers to confuse, so that publishing from several threads needs no lock.)
        if let Some(submitted) = publishing.now_or_never() {
            submitted?;
        }
        decode(
            &tokio::time::timeout(CALL_TIMEOUT, reply)
                .await
                .context("no reply")?
                .context("nobody serves the call")?,
        )
    }
}

/// Publishes in a window: when it is full, the oldest is awaited.
pub(crate) struct Events {
    _connection: Connection,
    channel: Channel,
    names: Names,
}

impl Events {
    pub(crate) async fn new(url: &str, names: &Names) -> Result<Self> {
        let connection = topology::connect(url).await?;
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        names.declare_events(&channel).await?;
        Ok(Self {
            _connection: connection,
            channel,
            names: names.clone(),
        })
    }
}

impl Publisher for Events {
    async fn publish(&self, plan: &Plan, body: &str) -> Result<u64> {
        let mut confirmed = 0;
        let mut window = VecDeque::with_capacity(plan.window);
        for id in plan.ids() {
            if window.len() >= plan.window {
                confirmed += oldest(&mut window).await?;
            }
            let event = encode(&Happening {
                id,
                body: body.to_owned(),
            })?;
            let (exchange, options) = (self.names.events(), BasicPublishOptions::default());
            let mut publishing = publish(
                self.channel.clone(),
                exchange,
                EVENT_KEY.into(),
                options,
                event,
                properties::event(),
            );
            match (&mut publishing).now_or_never() {
                None => window.push_back(publishing),
                Some(confirmation) => confirmed += check(&confirmation?)?,
            }
        }
        while !window.is_empty() {
            confirmed += oldest(&mut window).await?;
        }
        Ok(confirmed)
    }
}

async fn oldest(window: &mut VecDeque<Publishing>) -> Result<u64> {
    match window.pop_front() {
        Some(publishing) => check(&publishing.await?),
        None => Ok(0),
    }
}

fn check(confirmation: &Confirmation) -> Result<u64> {
    ensure!(confirmation.is_ack(), "the broker refused an event");
    Ok(1)
}

/// Nothing happens before the first poll, which hands the frames to lapin.
fn publish(
    channel: Channel,
    exchange: ShortString,
    key: ShortString,
    options: BasicPublishOptions,
    payload: Vec<u8>,
    properties: BasicProperties,
) -> Publishing {
    Box::pin(async move {
        channel
            .basic_publish(exchange, key, options, &payload, properties)
            .await?
            .await
    })
}

/// Acknowledges a batch and all before it. The first poll hands the frame over.
///
/// Not by the delivery's own `ack`: that spawns a task for each, so that on several threads a later one can overtake an
/// earlier one, and the broker closes the channel (unknown delivery tag).
fn acknowledge(channel: &Channel, batch: &[Delivery]) {
    if let Some(last) = batch.last() {
        let _submitted = channel
            .basic_ack(last.delivery_tag, BasicAckOptions { multiple: true })
            .now_or_never();
    }
}

async fn consume(channel: &Channel, queue: ShortString) -> Result<Consumer> {
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    Ok(channel
        .basic_consume(
            queue,
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?)
}
