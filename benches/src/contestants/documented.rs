//! lapin as its documentation shows it: each publish and each acknowledgement is awaited before the next step.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};
use tokio::sync::oneshot;

use super::topology::{self, CALL_TIMEOUT, EVENT_KEY, METHOD, Names, properties};
use super::{Caller, Plan, Publisher, Tally};
use crate::work::{Happening, Request, RequestRef, decode, encode};

/// Answers calls, one after the other.
pub(crate) async fn serve(url: &str, names: &Names, tally: Tally) -> Result<Vec<Connection>> {
    let connection = topology::connect(url).await?;
    let (consuming, publishing) = (
        connection.create_channel().await?,
        connection.create_channel().await?,
    );
    names.declare_calls(&consuming).await?;
    names.declare_reply_exchange(&consuming).await?;
    let mut consumer = consume(&consuming, names.calls()).await?;
    let replies = names.replies();
    report(async move {
        while let Some(delivery) = consumer.next().await {
            let delivery = delivery?;
            // Before the work: a call runs at most once.
            delivery.ack(BasicAckOptions::default()).await?;
            let request: Request = decode(&delivery.data)?;
            let reply = encode(&request.body)?;
            let to = delivery
                .properties
                .reply_to()
                .clone()
                .context("a call without reply-to")?;
            let correlation = delivery
                .properties
                .correlation_id()
                .clone()
                .unwrap_or_default();
            publishing
                .basic_publish(
                    replies.clone(),
                    to,
                    BasicPublishOptions::default(),
                    &reply,
                    properties::reply(correlation),
                )
                .await?
                .await?;
            tally.count();
        }
        bail!("the consumer ended")
    });
    Ok(vec![connection])
}

/// Handles events, one after the other for each listener.
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
        let mut consumer = consume(&channel, queue).await?;
        let tally = tally.clone();
        report(async move {
            while let Some(delivery) = consumer.next().await {
                let delivery = delivery?;
                let _event: Happening = decode(&delivery.data)?;
                tally.count();
                delivery.ack(BasicAckOptions::default()).await?;
            }
            bail!("the consumer ended")
        });
    }
    Ok(vec![connection])
}

/// Calls over a reply queue of its own.
pub(crate) struct Calls {
    _connection: Connection,
    channel: Channel,
    names: Names,
    reply_to: ShortString,
    next: AtomicU64,
    pending: Arc<Mutex<HashMap<u64, oneshot::Sender<Vec<u8>>>>>,
}

impl Calls {
    pub(crate) async fn new(url: &str, names: &Names) -> Result<Self> {
        let connection = topology::connect(url).await?;
        let (consuming, channel) = (
            connection.create_channel().await?,
            connection.create_channel().await?,
        );
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let reply_to = names.declare_replies(&consuming).await?;
        let mut consumer = consume(&consuming, reply_to.clone()).await?;
        let pending = Arc::new(Mutex::new(HashMap::<u64, oneshot::Sender<Vec<u8>>>::new()));
        let waiting = Arc::clone(&pending);
        report(async move {
            while let Some(delivery) = consumer.next().await {
                let delivery = delivery?;
                delivery.ack(BasicAckOptions::default()).await?;
                let correlation = delivery
                    .properties
                    .correlation_id()
                    .clone()
                    .context("a reply without correlation id")?;
                let caller = waiting
                    .lock()
                    .expect("not poisoned")
                    .remove(&correlation.as_str().parse()?);
                if let Some(caller) = caller {
                    let _ = caller.send(delivery.data);
                }
            }
            bail!("the consumer ended")
        });
        Ok(Self {
            _connection: connection,
            channel,
            names: names.clone(),
            reply_to,
            next: AtomicU64::new(0),
            pending,
        })
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
        let confirmation = self
            .channel
            .basic_publish(
                self.names.calls(),
                METHOD.into(),
                options,
                &arguments,
                properties,
            )
            .await?
            .await?;
        ensure!(
            confirmation.is_ack() && confirmation.take_message().is_none(),
            "nobody serves the call"
        );
        decode(
            &tokio::time::timeout(CALL_TIMEOUT, reply)
                .await
                .context("no reply")??,
        )
    }
}

/// Publishes, and waits for all confirms after each window.
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
        let (mut published, mut unconfirmed) = (0, 0);
        for id in plan.ids() {
            let event = encode(&Happening {
                id,
                body: body.to_owned(),
            })?;
            let options = BasicPublishOptions::default();
            // Dropping the confirm leaves it to `wait_for_confirms`.
            let _confirm = self
                .channel
                .basic_publish(
                    self.names.events(),
                    EVENT_KEY.into(),
                    options,
                    &event,
                    properties::event(),
                )
                .await?;
            published += 1;
            unconfirmed += 1;
            if unconfirmed == plan.window {
                self.channel.wait_for_confirms().await?;
                unconfirmed = 0;
            }
        }
        self.channel.wait_for_confirms().await?;
        Ok(published)
    }
}

async fn consume(channel: &Channel, queue: ShortString) -> Result<lapin::Consumer> {
    Ok(channel
        .basic_consume(
            queue,
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?)
}

/// Runs a loop that must not end while the process measures.
pub(super) fn report(task: impl Future<Output = Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = task.await {
            crate::side::failed(&error);
        }
    });
}
