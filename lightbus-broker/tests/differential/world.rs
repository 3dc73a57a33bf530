//! Runs a sequence on one broker, and writes down what its clients see.
//!
//! RabbitMQ does much behind a client's back. So after each operation we wait until all is quiet: every channel has
//! answered once more, every message is confirmed, and the queues, which are asked on channels of our own, say the same
//! twice over. Then what came is written down, in an order that does not depend on chance.

use super::{
    channel::Channel,
    client::{self, Client, Incoming, Lost},
    normalise::Normaliser,
    operation::{self, Operation, Place, Publish, SOON, WrongTag},
    quiet::PATIENCE,
    strategy::Names,
};
use amq_protocol::protocol::{AMQPClass, basic, channel, connection, exchange, queue};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// The first of the channels on which queues are asked how they are.
pub(crate) const PROBES: u16 = 100;
/// The channel for taking the world apart.
pub(crate) const CLEANER: u16 = 90;
/// One connection has to cut bodies into more frames than the other.
const FRAME_MAX: [u32; 2] = [131_072, 4096];

/// How carefully to wait for quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Brisk,
    Careful,
}

impl Pace {
    fn of_disks(self) -> Duration {
        match self {
            Self::Brisk => Duration::from_millis(15),
            Self::Careful => Duration::from_millis(80),
        }
    }
}

/// What came of one operation.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) operation: String,
    pub(crate) kind: String,
    pub(crate) lines: Vec<String>,
}

/// What a queue says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Unknown,
    There { messages: u32, consumers: u32 },
    Refused(u16),
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) connection: usize,
    pub(crate) channel: u16,
    pub(crate) open: bool,
    pub(crate) waiting: bool,
    pub(crate) now: Probe,
    pub(crate) shown: Probe,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) channels: BTreeMap<u16, Channel>,
    /// What came since the last operation, on all channels.
    pub(crate) came: Vec<Incoming>,
    /// Confirms that came since then: the channel, the number, and whether the message was taken.
    pub(crate) confirmed: BTreeSet<(u16, bool, u64)>,
    pub(crate) lost: Option<String>,
    pub(crate) closing: bool,
}

/// One broker and all the clients of one sequence.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) pace: Pace,
    pub(crate) names: Names,
    pub(crate) connections: Vec<Connection>,
    pub(crate) queues: BTreeMap<String, Queue>,
    pub(crate) normaliser: Normaliser,
    pub(crate) step: usize,
    pub(crate) named_by_broker: Option<String>,
    pub(crate) reply_address: Option<String>,
    pub(crate) next_probe: u16,
    /// Something may be expiring.
    pub(crate) expiring: bool,
    /// The names with which quorum queues were declared. They count consumers late, and `basic.get` among them.
    pub(crate) quorum: BTreeSet<String>,
    pub(crate) notes: Vec<String>,
}

/// Runs a sequence; an error means that the broker, or the way to it, broke down.
pub(crate) fn run(
    url: &str,
    prefix: &str,
    operations: &[Operation],
    pace: Pace,
) -> Result<Vec<Step>, Lost> {
    let mut world = World::new(url, prefix, pace)?;
    let mut steps = Vec::new();
    for operation in operations {
        steps.push(world.perform(operation)?);
    }
    steps.extend(world.finish()?);
    world.clean();
    Ok(steps)
}

/// Deletes what a sequence that broke off has left.
pub(crate) fn clean(url: &str, prefix: &str) -> Result<(), Lost> {
    World::new(url, prefix, Pace::Brisk)?.clean();
    Ok(())
}

/// The version a broker says it has.
pub(crate) fn version(url: &str) -> Result<String, Lost> {
    Ok(Client::connect(url, FRAME_MAX[0])?.version)
}

impl Connection {
    pub(crate) fn open(url: &str, number: usize) -> Result<Self, Lost> {
        Ok(Self {
            client: Client::connect(url, FRAME_MAX[number % FRAME_MAX.len()])?,
            channels: BTreeMap::new(),
            came: Vec::new(),
            confirmed: BTreeSet::new(),
            lost: None,
            closing: false,
        })
    }
}

impl World {
    fn new(url: &str, prefix: &str, pace: Pace) -> Result<Self, Lost> {
        let connections = (0..FRAME_MAX.len())
            .map(|number| Connection::open(url, number))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            url: url.to_owned(),
            pace,
            names: Names::new(prefix),
            connections,
            queues: BTreeMap::new(),
            normaliser: Normaliser::new(prefix),
            step: 0,
            named_by_broker: None,
            reply_address: None,
            next_probe: PROBES,
            expiring: false,
            quorum: BTreeSet::new(),
            notes: Vec::new(),
        })
    }

    fn perform(&mut self, operation: &Operation) -> Result<Step, Lost> {
        self.step += 1;
        self.expiring |= operation.expires_soon();
        self.act(operation)?;
        if operation.moves_messages() {
            self.settle_all()?;
        } else {
            self.settle()?;
        }
        if self.expiring && operation.moves_messages() {
            std::thread::sleep(Duration::from_millis(u64::from(SOON) * 2));
            self.settle()?;
        }
        let shown = format!("{operation:?}");
        Ok(self.write_down(&shown, operation.kind()))
    }

    // ---- doing -------------------------------------------------------------------------------------------------

    fn act(&mut self, operation: &Operation) -> Result<(), Lost> {
        match operation {
            Operation::Call(place, class) => self.call(*place, class.clone()),
            Operation::Publish(place, publish) => self.publish(*place, publish),
            Operation::Settle { pick, verdict } => self.settle_one(*pick, *verdict),
            Operation::SettleWrong {
                place,
                wrong,
                verdict,
            } => self.settle_wrong(*place, *wrong, *verdict),
            Operation::Cancel { pick, nowait } => self.cancel(*pick, *nowait),
            Operation::Reconnect(connection) => {
                self.close_channels(*connection, 1)?;
                self.close_connection(*connection)
            }
            Operation::Wait => {
                std::thread::sleep(Duration::from_millis(1100));
                Ok(())
            }
        }
    }

    /// The channel, opened if it is not open.
    fn channel(&mut self, place: Place) -> Result<&mut Channel, Lost> {
        let connection = &mut self.connections[place.connection];
        if !connection.channels.contains_key(&place.channel) {
            connection
                .client
                .send(place.channel, client::open_channel())?;
            connection
                .channels
                .insert(place.channel, Channel::opening());
            self.await_answer(place)?;
        }
        self.connections[place.connection]
            .channels
            .get_mut(&place.channel)
            .ok_or_else(|| Lost::because("a fresh channel was closed"))
    }

    pub(crate) fn call(&mut self, place: Place, mut class: AMQPClass) -> Result<(), Lost> {
        if let Some(name) = operation::queue_mut(&mut class)
            && name.as_str() == operation::NAMED_BY_BROKER
        {
            let named = self.named_by_broker.clone();
            *name = named.unwrap_or_else(|| "amq.gen-none".to_owned()).into();
        }
        self.channel(place)?;
        if matches!(class, AMQPClass::Channel(channel::AMQPMethod::Close(_))) {
            self.leave(place)?;
        }
        if !self.prepare(place, &class) {
            self.notes.push("left out".to_owned());
            return Ok(());
        }
        let due = usize::from(is_answered(&class));
        let channel = self.channel(place)?;
        channel.due += due;
        self.connections[place.connection]
            .client
            .send(place.channel, class)
    }

    /// Whoever closes a channel with unsettled deliveries cancels its consumers first. Else what goes back, or dies of it, may
    /// get to a queue that has not heard yet, and from there to a consumer of the very channel.
    fn leave(&mut self, place: Place) -> Result<(), Lost> {
        let channel = self.channel(place)?;
        if channel.unsettled.is_empty() && channel.in_transaction.is_empty() {
            return Ok(());
        }
        let tags = std::mem::take(&mut channel.consumers).into_keys();
        let mut tags: Vec<_> = tags.collect();
        // As below.
        tags.sort_by_key(|tag| self.normaliser.text(tag));
        for tag in tags {
            let cancel = basic::AMQPMethod::Cancel(basic::Cancel {
                consumer_tag: tag.into(),
                nowait: true,
            });
            let client = &mut self.connections[place.connection].client;
            client.send(place.channel, AMQPClass::Basic(cancel))?;
        }
        Ok(())
    }

    /// Notes what a method changes for the client; `false` if what it would do is left to chance.
    fn prepare(&mut self, place: Place, class: &AMQPClass) -> bool {
        let Some(channel) = self.connections[place.connection]
            .channels
            .get_mut(&place.channel)
        else {
            return true;
        };
        match class {
            AMQPClass::Basic(basic::AMQPMethod::Qos(qos)) if qos.global => {
                if qos.prefetch_count > 0 && channel.consumers.len() > 1 {
                    return false;
                }
                channel.limited = qos.prefetch_count > 0;
            }
            AMQPClass::Basic(basic::AMQPMethod::Qos(_)) => channel.limited = false,
            AMQPClass::Queue(queue::AMQPMethod::Declare(declare))
                if operation::is_quorum(declare)
                    && !self.quorum.contains(declare.queue.as_str()) =>
            {
                self.quorum.insert(declare.queue.to_string());
                return self.prepare(place, class);
            }
            AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) if declare.nowait => {
                let name = declare.queue.to_string();
                if !name.is_empty() {
                    self.learn_queue(place.connection, &name);
                }
            }
            AMQPClass::Channel(channel::AMQPMethod::Close(_)) => channel.leaving = true,
            // It ends the connection, whose channels go one by one: what one gives back, another may get before it goes, too.
            AMQPClass::Channel(channel::AMQPMethod::Open(_)) => {
                let mut channels = self.connections[place.connection].channels.values();
                return channels.all(|channel| channel.unsettled.is_empty());
            }
            AMQPClass::Basic(basic::AMQPMethod::Consume(consume)) => {
                if channel.limited && !channel.consumers.is_empty() {
                    return false;
                }
                channel.consume_acks = !consume.no_ack;
                if consume.nowait {
                    let tag = consume.consumer_tag.to_string();
                    channel.consumers.entry(tag).or_insert(!consume.no_ack);
                }
            }
            AMQPClass::Basic(basic::AMQPMethod::Get(get)) => channel.get_acks = !get.no_ack,
            AMQPClass::Basic(
                basic::AMQPMethod::Recover(basic::Recover { requeue: true })
                | basic::AMQPMethod::RecoverAsync(basic::RecoverAsync { requeue: true }),
            ) => channel.unsettled.clear(),
            AMQPClass::Tx(amq_protocol::protocol::tx::AMQPMethod::Commit(_)) => {
                channel.in_transaction.clear();
            }
            AMQPClass::Tx(amq_protocol::protocol::tx::AMQPMethod::Rollback(_)) => {
                channel.unsettled.append(&mut channel.in_transaction);
                channel.unsettled.sort_by_key(|unsettled| unsettled.tag);
            }
            _ => {}
        }
        true
    }

    fn publish(&mut self, place: Place, publish: &Publish) -> Result<(), Lost> {
        let step = self.step;
        let mut routing_key = publish.routing_key.clone();
        for (stands_for, name) in [
            (operation::NAMED_BY_BROKER, &self.named_by_broker),
            (operation::REPLY_ADDRESS, &self.reply_address),
        ] {
            if routing_key == stands_for {
                routing_key = name.clone().unwrap_or_else(|| "amq.none".to_owned());
            }
        }
        let mut body = if publish.size == 0 {
            Vec::new()
        } else {
            format!("m{step}").into_bytes()
        };
        body.resize(publish.size, b'.');
        let channel = self.channel(place)?;
        if channel.confirming {
            channel.published += 1;
            channel.unconfirmed.insert(channel.published);
        }
        let method = basic::Publish {
            exchange: publish.exchange.as_str().into(),
            routing_key: routing_key.into(),
            mandatory: publish.mandatory,
            immediate: publish.immediate,
        };
        self.connections[place.connection].client.publish(
            place.channel,
            method,
            &publish.properties,
            &body,
        )
    }

    fn settle_one(&mut self, pick: usize, verdict: operation::Verdict) -> Result<(), Lost> {
        let all: Vec<_> = self
            .open_channels()
            .flat_map(|(place, channel)| {
                channel
                    .unsettled
                    .iter()
                    .map(move |unsettled| (place, *unsettled))
            })
            .collect();
        if all.is_empty() {
            self.notes.push("nothing to settle".to_owned());
            return Ok(());
        }
        let (place, chosen) = all[pick % all.len()];
        let channel = self.channel(place)?;
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut channel.unsettled)
            .into_iter()
            .partition(|other| {
                if verdict.multiple() {
                    other.step <= chosen.step
                } else {
                    other.tag == chosen.tag
                }
            });
        channel.unsettled = left;
        let tag = taken.iter().map(|taken| taken.tag).max().unwrap_or(0);
        channel.settled = Some(tag);
        if channel.transactional {
            channel.in_transaction.extend(taken);
        }
        self.notes.push(format!("on {place}"));
        self.connections[place.connection]
            .client
            .send(place.channel, verdict.method(tag))
    }

    fn settle_wrong(
        &mut self,
        place: Place,
        wrong: WrongTag,
        verdict: operation::Verdict,
    ) -> Result<(), Lost> {
        let channel = self.channel(place)?;
        let tag = match wrong {
            WrongTag::Zero => 0,
            WrongTag::Settled => channel.settled.unwrap_or(0),
            WrongTag::Unknown => channel.last_tag + 1000,
        };
        if tag == 0 && verdict.multiple() {
            let taken = std::mem::take(&mut channel.unsettled);
            if channel.transactional {
                channel.in_transaction.extend(taken);
            }
        } else if verdict.multiple() && wrong_takes_some(channel, tag) {
            self.notes.push("left out".to_owned());
            return Ok(());
        }
        let channel = self.channel(place)?;
        channel.wrong_tag = Some(tag);
        self.connections[place.connection]
            .client
            .send(place.channel, verdict.method(tag))
    }

    fn cancel(&mut self, pick: usize, nowait: bool) -> Result<(), Lost> {
        let of_all = self.open_channels().flat_map(|(place, channel)| {
            let tags = channel.consumers.keys().cloned();
            tags.map(move |tag| (place, tag))
        });
        let mut all: Vec<_> = of_all.collect();
        // Tags that the broker made up have an order only once they are numbered.
        all.sort_by_key(|(place, tag)| {
            let place = (place.connection, place.channel);
            (place, self.normaliser.text(tag))
        });
        if all.is_empty() {
            self.notes.push("nobody to cancel".to_owned());
            return Ok(());
        }
        let (place, tag) = all[pick % all.len()].clone();
        self.notes.push(format!("on {place}"));
        if nowait {
            self.channel(place)?.consumers.remove(&tag);
        }
        let cancel = basic::Cancel {
            consumer_tag: tag.into(),
            nowait,
        };
        self.call(place, AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)))
    }

    pub(crate) fn close_connection(&mut self, number: usize) -> Result<(), Lost> {
        let close = connection::Close {
            reply_code: 200,
            reply_text: "done".into(),
            class_id: 0,
            method_id: 0,
        };
        let connection = &mut self.connections[number];
        connection.closing = true;
        connection.client.send(
            0,
            AMQPClass::Connection(connection::AMQPMethod::Close(close)),
        )
    }

    /// Waits until all is quiet, on disks as well.
    pub(crate) fn settle_all(&mut self) -> Result<(), Lost> {
        self.settle()?;
        if !self.quorum.is_empty() {
            // What a quorum queue is still writing to disk shows nowhere.
            std::thread::sleep(self.pace.of_disks());
            self.settle()?;
        }
        Ok(())
    }

    pub(crate) fn await_answer(&mut self, place: Place) -> Result<(), Lost> {
        let deadline = Instant::now() + PATIENCE;
        while self.connections[place.connection]
            .channels
            .get(&place.channel)
            .is_some_and(|channel| channel.due > 0)
            && Instant::now() < deadline
        {
            self.absorb_one(place.connection)?;
        }
        Ok(())
    }

    pub(crate) fn open_channels(&self) -> impl Iterator<Item = (Place, &Channel)> {
        self.connections
            .iter()
            .enumerate()
            .flat_map(|(connection, of)| {
                of.channels.iter().map(move |(channel, state)| {
                    let place = Place {
                        connection,
                        channel: *channel,
                    };
                    (place, state)
                })
            })
    }
}

pub(crate) fn close_channel() -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
        reply_code: 200,
        reply_text: "done".into(),
        class_id: 0,
        method_id: 0,
    }))
}

/// Whether settling `tag` and all before it would settle something.
fn wrong_takes_some(channel: &Channel, tag: u64) -> bool {
    channel
        .unsettled
        .iter()
        .any(|unsettled| unsettled.tag <= tag)
}

/// Whether the broker answers a method.
fn is_answered(class: &AMQPClass) -> bool {
    use amq_protocol::protocol::{confirm, tx};
    match class {
        AMQPClass::Queue(queue::AMQPMethod::Declare(method)) => !method.nowait,
        AMQPClass::Queue(queue::AMQPMethod::Bind(method)) => !method.nowait,
        AMQPClass::Queue(queue::AMQPMethod::Purge(method)) => !method.nowait,
        AMQPClass::Queue(queue::AMQPMethod::Delete(method)) => !method.nowait,
        AMQPClass::Queue(queue::AMQPMethod::Unbind(_)) => true,
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(method)) => !method.nowait,
        AMQPClass::Exchange(exchange::AMQPMethod::Delete(method)) => !method.nowait,
        AMQPClass::Exchange(exchange::AMQPMethod::Bind(method)) => !method.nowait,
        AMQPClass::Exchange(exchange::AMQPMethod::Unbind(method)) => !method.nowait,
        AMQPClass::Basic(method) => match method {
            basic::AMQPMethod::Consume(method) => !method.nowait,
            basic::AMQPMethod::Cancel(method) => !method.nowait,
            basic::AMQPMethod::Get(_)
            | basic::AMQPMethod::Qos(_)
            | basic::AMQPMethod::Recover(_) => true,
            _ => false,
        },
        AMQPClass::Confirm(confirm::AMQPMethod::Select(method)) => !method.nowait,
        AMQPClass::Access(_) => true,
        AMQPClass::Tx(
            tx::AMQPMethod::Select(_) | tx::AMQPMethod::Commit(_) | tx::AMQPMethod::Rollback(_),
        )
        | AMQPClass::Channel(
            channel::AMQPMethod::Flow(_)
            | channel::AMQPMethod::Close(_)
            | channel::AMQPMethod::Open(_),
        ) => true,
        _ => false,
    }
}
