//! What a client may do to a broker: the operations of which sequences are made.

use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::{self, AMQPProperties},
        queue,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use std::fmt;

/// Stands for the queue that the broker named last.
pub(crate) const NAMED_BY_BROKER: &str = "%named";
/// Stands for the address in the `reply-to` of the message that came last.
pub(crate) const REPLY_ADDRESS: &str = "%reply";
/// In milliseconds: what surely expires when it is waited for, and hardly before.
pub(crate) const SOON: u32 = 100;

/// Where something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) connection: usize,
    pub(crate) channel: u16,
}

/// How a client settles deliveries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    Ack { multiple: bool },
    Nack { multiple: bool, requeue: bool },
    Reject { requeue: bool },
}

impl Verdict {
    pub(crate) fn multiple(self) -> bool {
        match self {
            Self::Ack { multiple } | Self::Nack { multiple, .. } => multiple,
            Self::Reject { .. } => false,
        }
    }

    /// The method for a tag.
    pub(crate) fn method(self, delivery_tag: u64) -> AMQPClass {
        AMQPClass::Basic(match self {
            Self::Ack { multiple } => basic::AMQPMethod::Ack(basic::Ack {
                delivery_tag,
                multiple,
            }),
            Self::Nack { multiple, requeue } => basic::AMQPMethod::Nack(basic::Nack {
                delivery_tag,
                multiple,
                requeue,
            }),
            Self::Reject { requeue } => basic::AMQPMethod::Reject(basic::Reject {
                delivery_tag,
                requeue,
            }),
        })
    }
}

/// One thing a client does.
#[derive(Clone)]
pub(crate) enum Operation {
    /// Calls a method without content.
    Call(Place, AMQPClass),
    Publish(Place, Box<Publish>),
    /// Settles one of the deliveries that are not settled, wherever it is.
    Settle {
        pick: usize,
        verdict: Verdict,
    },
    /// Settles what the channel does not have: 0, a tag settled before, a tag never given.
    SettleWrong {
        place: Place,
        wrong: WrongTag,
        verdict: Verdict,
    },
    /// Cancels one of the consumers there are.
    Cancel {
        pick: usize,
        nowait: bool,
    },
    /// Closes a connection, and opens it again.
    Reconnect(usize),
    /// Lets time pass, so that what is unused expires.
    Wait,
}

/// A delivery tag that is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WrongTag {
    Zero,
    Settled,
    Unknown,
}

/// A message and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) mandatory: bool,
    pub(crate) immediate: bool,
    pub(crate) properties: AMQPProperties,
    /// Of the body, in bytes.
    pub(crate) size: usize,
}

impl Operation {
    /// What kind of thing this is, for counting.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Call(_, class) => method_name(class),
            Self::Publish(..) => "basic.publish".to_owned(),
            Self::Settle { verdict, .. } => format!("settle: {}", verdict_name(*verdict)),
            Self::SettleWrong { .. } => "settle wrongly".to_owned(),
            Self::Cancel { .. } => "basic.cancel".to_owned(),
            Self::Reconnect(_) => "reconnect".to_owned(),
            Self::Wait => "wait".to_owned(),
        }
    }

    /// Whether it moves messages, so that some may have got into a queue where they expire soon.
    pub(crate) fn moves_messages(&self) -> bool {
        match self {
            Self::Call(_, class) => !matches!(
                class,
                AMQPClass::Exchange(_) | AMQPClass::Confirm(_) | AMQPClass::Queue(_)
            ),
            Self::Wait => false,
            _ => true,
        }
    }

    /// Whether it makes something expire soon.
    pub(crate) fn expires_soon(&self) -> bool {
        match self {
            Self::Call(_, AMQPClass::Queue(queue::AMQPMethod::Declare(declare))) => {
                let ttl = declare.arguments.inner().get("x-message-ttl");
                ttl == Some(&AMQPValue::LongInt(SOON as i32))
            }
            Self::Publish(_, publish) => publish
                .properties
                .expiration()
                .as_ref()
                .is_some_and(|expiration| expiration.as_str() == SOON.to_string()),
            _ => false,
        }
    }

    pub(crate) fn declares_quorum(&self) -> bool {
        match self {
            Self::Call(_, AMQPClass::Queue(queue::AMQPMethod::Declare(declare))) => {
                is_quorum(declare)
            }
            _ => false,
        }
    }

    /// Operations that do the same with less.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        match self {
            Self::Call(place, class) => {
                let mut all = Vec::new();
                for without in without_each(arguments(class)) {
                    let mut class = class.clone();
                    if let Some(arguments) = arguments_mut(&mut class) {
                        *arguments = without;
                    }
                    all.push(Self::Call(*place, class));
                }
                all
            }
            Self::Publish(place, publish) => publish
                .simpler()
                .into_iter()
                .map(|simpler| Self::Publish(*place, Box::new(simpler)))
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Publish {
    fn simpler(&self) -> Vec<Self> {
        let mut all = Vec::new();
        if self.properties != AMQPProperties::default() {
            all.push(Self {
                properties: AMQPProperties::default(),
                ..self.clone()
            });
        }
        if let Some(headers) = self.properties.headers() {
            let only = AMQPProperties::default().with_headers(headers.clone());
            if only != self.properties {
                all.push(Self {
                    properties: only,
                    ..self.clone()
                });
            }
            for without in without_each(Some(headers)) {
                all.push(Self {
                    properties: self.properties.clone().with_headers(without),
                    ..self.clone()
                });
            }
        }
        if let Some(expiration) = self.properties.expiration() {
            let only = AMQPProperties::default().with_expiration(expiration.clone());
            if only != self.properties {
                all.push(Self {
                    properties: only,
                    ..self.clone()
                });
            }
        }
        if self.size > 0 {
            all.push(Self {
                size: 0,
                ..self.clone()
            });
        }
        if self.mandatory {
            all.push(Self {
                mandatory: false,
                ..self.clone()
            });
        }
        all
    }
}

/// The table with each of its entries left out in turn.
fn without_each(table: Option<&FieldTable>) -> Vec<FieldTable> {
    let Some(table) = table else {
        return Vec::new();
    };
    let without = |key: &ShortString| {
        let mut rest = table.inner().clone();
        rest.remove(key);
        FieldTable::from(rest)
    };
    table.inner().keys().map(without).collect()
}

pub(crate) fn is_quorum(declare: &queue::Declare) -> bool {
    let kind = declare.arguments.inner().get("x-queue-type");
    kind == Some(&AMQPValue::LongString("quorum".into()))
}

/// The arguments of a method that has some.
pub(crate) fn arguments_mut(class: &mut AMQPClass) -> Option<&mut FieldTable> {
    use amq_protocol::protocol::exchange;
    Some(match class {
        AMQPClass::Queue(queue::AMQPMethod::Declare(method)) => &mut method.arguments,
        AMQPClass::Queue(queue::AMQPMethod::Bind(method)) => &mut method.arguments,
        AMQPClass::Queue(queue::AMQPMethod::Unbind(method)) => &mut method.arguments,
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(method)) => &mut method.arguments,
        AMQPClass::Exchange(exchange::AMQPMethod::Bind(method)) => &mut method.arguments,
        AMQPClass::Exchange(exchange::AMQPMethod::Unbind(method)) => &mut method.arguments,
        AMQPClass::Basic(basic::AMQPMethod::Consume(method)) => &mut method.arguments,
        _ => return None,
    })
}

fn arguments(class: &AMQPClass) -> Option<&FieldTable> {
    use amq_protocol::protocol::exchange;
    Some(match class {
        AMQPClass::Queue(queue::AMQPMethod::Declare(method)) => &method.arguments,
        AMQPClass::Queue(queue::AMQPMethod::Bind(method)) => &method.arguments,
        AMQPClass::Queue(queue::AMQPMethod::Unbind(method)) => &method.arguments,
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(method)) => &method.arguments,
        AMQPClass::Exchange(exchange::AMQPMethod::Bind(method)) => &method.arguments,
        AMQPClass::Exchange(exchange::AMQPMethod::Unbind(method)) => &method.arguments,
        AMQPClass::Basic(basic::AMQPMethod::Consume(method)) => &method.arguments,
        _ => return None,
    })
}

/// The queue a method is about.
pub(crate) fn queue_mut(class: &mut AMQPClass) -> Option<&mut ShortString> {
    Some(match class {
        AMQPClass::Queue(queue::AMQPMethod::Declare(method)) => &mut method.queue,
        AMQPClass::Queue(queue::AMQPMethod::Bind(method)) => &mut method.queue,
        AMQPClass::Queue(queue::AMQPMethod::Unbind(method)) => &mut method.queue,
        AMQPClass::Queue(queue::AMQPMethod::Purge(method)) => &mut method.queue,
        AMQPClass::Queue(queue::AMQPMethod::Delete(method)) => &mut method.queue,
        AMQPClass::Basic(basic::AMQPMethod::Get(method)) => &mut method.queue,
        AMQPClass::Basic(basic::AMQPMethod::Consume(method)) => &mut method.queue,
        _ => return None,
    })
}

/// `queue.declare`, and so on.
pub(crate) fn method_name(class: &AMQPClass) -> String {
    let shown = format!("{class:?}");
    let mut words = shown.split(['(', ' ', '{']);
    let class = words.next().unwrap_or_default().to_lowercase();
    let mut name = class + ".";
    for (at, letter) in words.next().unwrap_or_default().char_indices() {
        if letter.is_uppercase() && at > 0 {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ack { multiple: true } => "ack multiple",
        Verdict::Ack { .. } => "ack",
        Verdict::Nack { multiple: true, .. } => "nack multiple",
        Verdict::Nack { .. } => "nack",
        Verdict::Reject { .. } => "reject",
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::normalise::{show_method, show_properties};
        match self {
            Self::Call(place, class) => write!(f, "{place}: {}", show_method(class)),
            Self::Publish(place, publish) => {
                let flags = [
                    (publish.mandatory, " mandatory"),
                    (publish.immediate, " immediate"),
                ];
                let flags: String = flags
                    .iter()
                    .filter(|flag| flag.0)
                    .map(|flag| flag.1)
                    .collect();
                write!(
                    f,
                    "{place}: publish {:?} to exchange {:?}{flags}, {} bytes, {}",
                    publish.routing_key,
                    publish.exchange,
                    publish.size,
                    show_properties(&publish.properties)
                )
            }
            Self::Settle { pick, verdict } => write!(f, "settle #{pick}: {verdict:?}"),
            Self::SettleWrong {
                place,
                wrong,
                verdict,
            } => write!(f, "{place}: settle a wrong tag ({wrong:?}): {verdict:?}"),
            Self::Cancel { pick, nowait } => {
                write!(
                    f,
                    "cancel consumer #{pick}{}",
                    if *nowait { " nowait" } else { "" }
                )
            }
            Self::Reconnect(connection) => write!(f, "reconnect {connection}"),
            Self::Wait => f.write_str("wait"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.connection, self.channel)
    }
}
