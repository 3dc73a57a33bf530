//! Random sequences: first a few declarations that mostly succeed, then anything at all.

use super::operation::{
    NAMED_BY_BROKER, Operation, Place, Publish, REPLY_ADDRESS, SOON, Verdict, WrongTag,
};
use amq_protocol::{
    protocol::{AMQPClass, basic, basic::AMQPProperties, channel, confirm, exchange, queue, tx},
    types::{AMQPValue, FieldArray, FieldTable},
};
use proptest::{prelude::*, sample::select};

const CONNECTIONS: usize = 2;
const CHANNELS: u16 = 2;
const QUEUES: usize = 4;
const EXCHANGES: usize = 3;

/// The names of one sequence, which no other one uses.
#[derive(Clone, Debug)]
pub(crate) struct Names(String);

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    pub(crate) fn queues(&self) -> Vec<String> {
        (0..QUEUES).map(|n| format!("{}q{n}", self.0)).collect()
    }

    pub(crate) fn exchanges(&self) -> Vec<String> {
        (0..EXCHANGES).map(|n| format!("{}x{n}", self.0)).collect()
    }

    /// Mostly queues that may well be there.
    fn queue(&self) -> impl Strategy<Value = String> + use<> {
        prop_oneof![
            30 => select(self.queues()),
            2 => Just(String::new()),
            2 => Just(NAMED_BY_BROKER.to_owned()),
            1 => Just(format!("{}missing", self.0)),
        ]
    }

    /// Mostly exchanges that may well be there.
    fn exchange(&self) -> impl Strategy<Value = String> + use<> {
        prop_oneof![
            30 => select(self.exchanges()),
            1 => Just(String::new()),
            1 => Just(format!("{}missing", self.0)),
        ]
    }
}

/// Sequences with names that begin with `prefix`.
pub(crate) fn sequences(prefix: &str) -> impl Strategy<Value = Vec<Operation>> + use<> {
    let names = Names::new(prefix);
    (
        setup(&names),
        prop::collection::vec(anything(&names), 8..45),
    )
        .prop_map(|(mut setup, rest)| {
            setup.extend(rest);
            setup
        })
}

/// Most queues and exchanges, each declared once, then bindings, consumers and channels that confirm.
fn setup(names: &Names) -> impl Strategy<Value = Vec<Operation>> + use<> {
    let mostly = |one: BoxedStrategy<Operation>| {
        prop_oneof![1 => Just(Vec::new()), 7 => one.prop_map(|one| vec![one])].boxed()
    };
    let mut steps: Vec<BoxedStrategy<Vec<Operation>>> = Vec::new();
    for name in names.queues() {
        steps.push(mostly(call(declare_queue(Just(name), names, false))));
    }
    for name in names.exchanges() {
        steps.push(mostly(call(declare_exchange(Just(name), names, false))));
    }
    steps.push(prop::collection::vec(call(bind_queue(names)), 2..7).boxed());
    steps.push(prop::collection::vec(call(bind_exchange(names)), 0..2).boxed());
    steps.push(prop::collection::vec(call(consume(names)), 0..3).boxed());
    steps.push(prop::collection::vec(call(Just(confirm_select())), 0..3).boxed());
    steps.prop_map(|steps| steps.concat())
}

fn place() -> impl Strategy<Value = Place> {
    (0..CONNECTIONS, 1..=CHANNELS).prop_map(|(connection, channel)| Place {
        connection,
        channel,
    })
}

/// True once in `of`.
fn seldom(of: u32) -> impl Strategy<Value = bool> {
    (0..of).prop_map(|n| n == 1)
}

fn call(class: impl Strategy<Value = AMQPClass> + 'static) -> BoxedStrategy<Operation> {
    (place(), class)
        .prop_map(|(place, class)| Operation::Call(place, class))
        .boxed()
}

fn anything(names: &Names) -> BoxedStrategy<Operation> {
    prop_oneof![
        24 => (place(), publish(names)).prop_map(|(place, publish)| Operation::Publish(place, Box::new(publish))),
        14 => (any::<prop::sample::Index>(), verdict())
            .prop_map(|(pick, verdict)| Operation::Settle { pick: pick.index(64), verdict }),
        10 => call(get(names)),
        8 => call(consume(names)),
        3 => (any::<prop::sample::Index>(), seldom(4))
            .prop_map(|(pick, nowait)| Operation::Cancel { pick: pick.index(16), nowait }),
        2 => call(declare_queue(odd_queue(names), names, true)),
        1 => call(declare_exchange(odd_exchange(names), names, true)),
        4 => call(bind_queue(names)),
        2 => call(unbind_queue(names)),
        2 => call(bind_exchange(names)),
        1 => call(unbind_exchange(names)),
        2 => call(purge(names)),
        2 => prop_oneof![3 => call(delete_queue(names)), 1 => call(delete_exchange(names))],
        3 => call(qos()),
        2 => call(recover()),
        5 => call(transaction()),
        2 => call(Just(confirm_select())),
        3 => call(channel_method()),
        1 => (place(), select(vec![WrongTag::Zero, WrongTag::Settled, WrongTag::Unknown]), verdict())
            .prop_map(|(place, wrong, verdict)| Operation::SettleWrong { place, wrong, verdict }),
        1 => (0..CONNECTIONS).prop_map(Operation::Reconnect),
        1 => call(cancel_unknown()),
        1 => prop_oneof![4 => call(access()), 1 => Just(Operation::Wait)],
    ]
    .boxed()
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => seldom(3).prop_map(|multiple| Verdict::Ack { multiple }),
        3 => (seldom(3), any::<bool>())
            .prop_map(|(multiple, requeue)| Verdict::Nack { multiple, requeue }),
        2 => any::<bool>().prop_map(|requeue| Verdict::Reject { requeue }),
    ]
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn table(entries: Vec<(&'static str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

/// Up to three of some entries.
fn some_of(
    entries: impl Strategy<Value = (&'static str, AMQPValue)> + 'static,
    weight: u32,
) -> BoxedStrategy<FieldTable> {
    prop_oneof![
        6 => Just(FieldTable::default()),
        weight => prop::collection::vec(entries, 1..4).prop_map(table),
    ]
    .boxed()
}

// ---- queues ----------------------------------------------------------------------------------------------------

fn odd_queue(names: &Names) -> impl Strategy<Value = String> + use<> {
    prop_oneof![
        16 => select(names.queues()),
        4 => Just(String::new()),
        1 => select(vec!["amq.mine".to_owned(), "amq.rabbitmq.reply-to".to_owned()]),
    ]
}

fn declare_queue(
    name: impl Strategy<Value = String> + 'static,
    names: &Names,
    wild: bool,
) -> BoxedStrategy<AMQPClass> {
    let kind = prop_oneof![
        8 => queue_arguments(names, wild).prop_map(|arguments| (arguments, false)),
        1 => quorum_arguments(names).prop_map(|arguments| (arguments, true)),
    ];
    let odd = if wild { 12 } else { 24 };
    (
        (
            name,
            if wild {
                any::<bool>().boxed()
            } else {
                Just(false).boxed()
            },
            any::<bool>(),
        ),
        (seldom(odd / 2), seldom(odd / 2), seldom(odd / 2)),
        kind,
    )
        .prop_map(
            |((queue, passive, durable), (exclusive, auto_delete, nowait), (arguments, quorum))| {
                AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
                    queue: queue.into(),
                    passive,
                    durable: durable || quorum,
                    exclusive: exclusive && !quorum,
                    auto_delete: auto_delete && !quorum,
                    nowait,
                    arguments,
                }))
            },
        )
        .boxed()
}

fn dead_letter_entries(names: &Names) -> impl Strategy<Value = (&'static str, AMQPValue)> + use<> {
    let mut exchanges = names.exchanges();
    exchanges.push(String::new());
    let mut keys = names.queues();
    keys.push("a.b".to_owned());
    prop_oneof![
        3 => select(exchanges).prop_map(|name| ("x-dead-letter-exchange", text(&name))),
        1 => select(keys).prop_map(|name| ("x-dead-letter-routing-key", text(&name))),
    ]
}

/// A dead letter exchange, and a key only beside it.
fn dead_letters(names: &Names) -> impl Strategy<Value = Vec<(&'static str, AMQPValue)>> + use<> {
    let mut exchanges = names.exchanges();
    exchanges.extend([String::new(), String::new()]);
    let mut keys = names.queues();
    keys.push("a.b".to_owned());
    let exchange = select(exchanges).prop_map(|name| ("x-dead-letter-exchange", text(&name)));
    let key = select(keys).prop_map(|name| ("x-dead-letter-routing-key", text(&name)));
    prop_oneof![
        exchange.clone().prop_map(|exchange| vec![exchange]),
        (exchange, key).prop_map(|(exchange, key)| vec![exchange, key]),
    ]
}

fn number(name: &'static str, of: Vec<i32>) -> impl Strategy<Value = (&'static str, AMQPValue)> {
    select(of).prop_map(move |n| (name, AMQPValue::LongInt(n)))
}

fn queue_arguments(names: &Names, wild: bool) -> BoxedStrategy<FieldTable> {
    let limits = prop_oneof![
        2 => number("x-max-length", vec![0, 1, 2, 3]),
        1 => number("x-max-length-bytes", vec![0, 4, 10, 30]),
        2 => select(vec!["drop-head", "reject-publish", "reject-publish-dlx"])
            .prop_map(|how| ("x-overflow", text(how))),
        1 => number("x-message-ttl", vec![0, SOON as i32, 60_000]),
        1 => number("x-max-priority", vec![1, 3, 10]),
        1 => any::<bool>().prop_map(|flag| ("x-single-active-consumer", AMQPValue::Boolean(flag))),
        1 => number("x-expires", vec![700, 60_000]),
        1 => Just(("x-queue-type", text("classic"))),
        u32::from(wild) => dead_letter_entries(names),
    ];
    let dead_letters = prop_oneof![
        3 => Just(Vec::new()),
        2 => dead_letters(names),
    ];
    let limits = prop_oneof![
        4 => Just(Vec::new()),
        5 => prop::collection::vec(limits, 1..4),
    ];
    (limits, dead_letters)
        .prop_map(|(mut entries, more)| {
            entries.extend(more);
            table(entries)
        })
        .boxed()
}

fn quorum_arguments(names: &Names) -> BoxedStrategy<FieldTable> {
    let limits = prop_oneof![
        2 => number("x-delivery-limit", vec![0, 1, 2]),
        2 => number("x-max-length", vec![1, 2, 3]),
        1 => select(vec!["drop-head", "reject-publish"]).prop_map(|how| ("x-overflow", text(how))),
        1 => number("x-message-ttl", vec![0, SOON as i32, 60_000]),
        1 => any::<bool>().prop_map(|flag| ("x-single-active-consumer", AMQPValue::Boolean(flag))),
    ];
    let dead_letters = prop_oneof![
        1 => Just(Vec::new()),
        1 => dead_letters(names),
    ];
    (prop::collection::vec(limits, 0..3), dead_letters)
        .prop_map(|(mut entries, more)| {
            entries.extend(more);
            entries.push(("x-queue-type", text("quorum")));
            table(entries)
        })
        .boxed()
}

fn purge(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (names.queue(), seldom(5)).prop_map(|(queue, nowait)| {
        AMQPClass::Queue(queue::AMQPMethod::Purge(queue::Purge {
            queue: queue.into(),
            nowait,
        }))
    })
}

fn delete_queue(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (names.queue(), any::<bool>(), any::<bool>(), seldom(5)).prop_map(
        |(queue, if_unused, if_empty, nowait)| {
            AMQPClass::Queue(queue::AMQPMethod::Delete(queue::Delete {
                queue: queue.into(),
                if_unused,
                if_empty,
                nowait,
            }))
        },
    )
}

// ---- exchanges and bindings ------------------------------------------------------------------------------------

fn odd_exchange(names: &Names) -> impl Strategy<Value = String> + use<> {
    prop_oneof![
        12 => select(names.exchanges()),
        1 => select(vec!["", "amq.direct", "amq.mine"]).prop_map(str::to_owned),
    ]
}

fn declare_exchange(
    name: impl Strategy<Value = String> + 'static,
    names: &Names,
    wild: bool,
) -> BoxedStrategy<AMQPClass> {
    let kind = prop_oneof![
        12 => select(vec!["direct", "fanout", "topic", "headers"]),
        u32::from(wild) => Just("nonsense"),
    ];
    let alternate = names.exchanges();
    let alternate = select(alternate).prop_map(|name| ("alternate-exchange", text(&name)));
    (
        (
            name,
            kind,
            if wild {
                seldom(3).boxed()
            } else {
                Just(false).boxed()
            },
        ),
        (any::<bool>(), seldom(8), seldom(10), seldom(8)),
        some_of(alternate, 2),
    )
        .prop_map(
            |((exchange, kind, passive), (durable, auto_delete, internal, nowait), arguments)| {
                AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
                    exchange: exchange.into(),
                    kind: kind.into(),
                    passive,
                    durable,
                    auto_delete,
                    internal,
                    nowait,
                    arguments,
                }))
            },
        )
        .boxed()
}

fn delete_exchange(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    let name = prop_oneof![12 => names.exchange(), 1 => Just("amq.direct".to_owned())];
    (name, any::<bool>(), seldom(5)).prop_map(|(exchange, if_unused, nowait)| {
        AMQPClass::Exchange(exchange::AMQPMethod::Delete(exchange::Delete {
            exchange: exchange.into(),
            if_unused,
            nowait,
        }))
    })
}

/// Keys of messages, some of which patterns match.
fn routing_key() -> impl Strategy<Value = String> {
    select(vec![
        "a", "a.b", "a.b.c", "b", "b.a", "", ".", "a.", ".a", "a..b", "a.*", "#",
    ])
    .prop_map(str::to_owned)
}

/// Keys of bindings, some of which are patterns.
fn binding_key() -> impl Strategy<Value = String> {
    select(vec![
        "a", "a.b", "a.b.c", "b", "", "*", "#", "a.*", "*.b", "a.#", "#.b", "#.#", "*.*", "*.#",
        "#.*.b", "a..b", "a.*.b", ".#", "*.", "a.#.c",
    ])
    .prop_map(str::to_owned)
}

fn header_value() -> impl Strategy<Value = AMQPValue> {
    select(vec![
        text("v"),
        text("w"),
        text(""),
        AMQPValue::LongInt(1),
        AMQPValue::LongLongInt(1),
        AMQPValue::ShortInt(1),
        AMQPValue::ShortShortUInt(1),
        AMQPValue::Boolean(true),
        AMQPValue::Boolean(false),
        AMQPValue::Double(1.0),
        AMQPValue::Void,
        AMQPValue::Timestamp(1),
        AMQPValue::FieldArray(FieldArray::from(vec![text("v")])),
    ])
}

fn header() -> impl Strategy<Value = (&'static str, AMQPValue)> {
    (select(vec!["h", "i", "x-h"]), header_value())
}

fn binding_arguments() -> BoxedStrategy<FieldTable> {
    let entry = prop_oneof![
        3 => header(),
        2 => select(vec!["all", "any", "all-with-x", "any-with-x"])
            .prop_map(|how| ("x-match", text(how))),
    ];
    let wrong = prop_oneof![
        30 => Just(None),
        1 => Just(Some(text("some"))),
        1 => Just(Some(AMQPValue::LongInt(1))),
    ];
    (some_of(entry, 5), wrong)
        .prop_map(|(mut arguments, wrong)| {
            if let Some(wrong) = wrong {
                arguments.insert("x-match".into(), wrong);
            }
            arguments
        })
        .boxed()
}

fn bind_queue(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (
        names.queue(),
        names.exchange(),
        binding_key(),
        binding_arguments(),
        seldom(6),
    )
        .prop_map(|(queue, exchange, routing_key, arguments, nowait)| {
            AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
                queue: queue.into(),
                exchange: exchange.into(),
                routing_key: routing_key.into(),
                nowait,
                arguments,
            }))
        })
}

fn unbind_queue(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (
        names.queue(),
        names.exchange(),
        binding_key(),
        binding_arguments(),
    )
        .prop_map(|(queue, exchange, routing_key, arguments)| {
            AMQPClass::Queue(queue::AMQPMethod::Unbind(queue::Unbind {
                queue: queue.into(),
                exchange: exchange.into(),
                routing_key: routing_key.into(),
                arguments,
            }))
        })
}

fn bind_exchange(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (
        names.exchange(),
        names.exchange(),
        binding_key(),
        binding_arguments(),
        seldom(6),
    )
        .prop_map(|(destination, source, routing_key, arguments, nowait)| {
            AMQPClass::Exchange(exchange::AMQPMethod::Bind(exchange::Bind {
                destination: destination.into(),
                source: source.into(),
                routing_key: routing_key.into(),
                nowait,
                arguments,
            }))
        })
}

fn unbind_exchange(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (
        names.exchange(),
        names.exchange(),
        binding_key(),
        binding_arguments(),
    )
        .prop_map(|(destination, source, routing_key, arguments)| {
            AMQPClass::Exchange(exchange::AMQPMethod::Unbind(exchange::Unbind {
                destination: destination.into(),
                source: source.into(),
                routing_key: routing_key.into(),
                nowait: false,
                arguments,
            }))
        })
}

// ---- messages --------------------------------------------------------------------------------------------------

fn publish(names: &Names) -> BoxedStrategy<Publish> {
    let queue = prop_oneof![
        24 => select(names.queues()),
        1 => Just(NAMED_BY_BROKER.to_owned()),
        1 => Just(REPLY_ADDRESS.to_owned()),
        1 => Just("amq.rabbitmq.reply-to".to_owned()),
        1 => Just(String::new()),
    ];
    let destination = prop_oneof![
        5 => queue.prop_map(|queue| (String::new(), queue)),
        6 => (select(names.exchanges()), routing_key()),
        1 => (names.exchange(), routing_key()),
    ];
    let size = prop_oneof![1 => Just(0_usize), 12 => 1..20_usize, 1 => 3_000..12_000_usize];
    (destination, seldom(3), seldom(100), properties(names), size)
        .prop_map(
            |((exchange, routing_key), mandatory, immediate, properties, size)| Publish {
                exchange,
                routing_key,
                mandatory,
                immediate,
                properties,
                size,
            },
        )
        .boxed()
}

/// Sets some of the properties.
type Setter = fn(AMQPProperties, &str) -> AMQPProperties;

fn properties(names: &Names) -> BoxedStrategy<AMQPProperties> {
    let plain: Vec<(Setter, &str)> = vec![
        (|p, v| p.with_content_type(v.into()), "text/plain"),
        (|p, v| p.with_content_encoding(v.into()), "gzip"),
        (|p, v| p.with_correlation_id(v.into()), "c-1"),
        (|p, v| p.with_correlation_id(v.into()), ""),
        (|p, v| p.with_message_id(v.into()), "m-1"),
        (|p, v| p.with_type(v.into()), "t"),
        (|p, v| p.with_app_id(v.into()), "a"),
        (|p, v| p.with_cluster_id(v.into()), "cl"),
        (|p, _| p.with_timestamp(1_700_000_000), ""),
        (|p, _| p.with_timestamp(0), ""),
        (|p, _| p.with_delivery_mode(1), ""),
        (|p, _| p.with_delivery_mode(2), ""),
        (|p, v| p.with_reply_to(v.into()), "amq.rabbitmq.reply-to"),
        (|p, v| p.with_reply_to(v.into()), "somewhere"),
        (|p, v| p.with_user_id(v.into()), "guest"),
    ];
    let odd: Vec<(Setter, &str)> = vec![
        (|p, v| p.with_user_id(v.into()), "other"),
        (|p, v| p.with_expiration(v.into()), "soon"),
        (|p, v| p.with_expiration(v.into()), "-1"),
        (|p, v| p.with_expiration(v.into()), ""),
        (|p, v| p.with_expiration(v.into()), "1.5"),
        (|p, v| p.with_expiration(v.into()), "99999999999999"),
        (|p, v| p.with_expiration(v.into()), "+7000"),
        (|p, v| p.with_expiration(v.into()), " 7000"),
        (|p, _| p.with_delivery_mode(0), ""),
        (|p, _| p.with_delivery_mode(3), ""),
        (|p, v| p.with_content_encoding(v.into()), ""),
    ];
    let one = prop_oneof![
        20 => select(plain).prop_map(|(set, value)| (set, value.to_owned())),
        1 => select(odd).prop_map(|(set, value)| (set, value.to_owned())),
        2 => select(vec!["0".to_owned(), SOON.to_string(), "60000".to_owned()])
            .prop_map(|value| ((|p, v| p.with_expiration(v.into())) as Setter, value)),
        5 => (0..12_u8).prop_map(|priority| {
            let set: Setter = |p, v| p.with_priority(v.parse().unwrap_or_default());
            (set, priority.to_string())
        }),
    ];
    let chosen = prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(one, 1..4)];
    let headers = prop_oneof![
        3 => Just(None),
        2 => some_of(message_header(names), 20).prop_map(Some),
    ];
    (chosen, headers)
        .prop_map(|(chosen, headers)| {
            let start = match headers {
                Some(headers) => AMQPProperties::default().with_headers(headers),
                None => AMQPProperties::default(),
            };
            chosen
                .into_iter()
                .fold(start, |properties, (set, value)| set(properties, &value))
        })
        .boxed()
}

fn message_header(names: &Names) -> BoxedStrategy<(&'static str, AMQPValue)> {
    let mut keys = names.queues();
    keys.extend(["a".to_owned(), "a.b".to_owned()]);
    let copies = prop::collection::vec(select(keys), 0..3).prop_map(|keys| {
        AMQPValue::FieldArray(FieldArray::from(
            keys.iter().map(|key| text(key)).collect::<Vec<_>>(),
        ))
    });
    let wrong = select(vec![
        text("a"),
        AMQPValue::Void,
        AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongInt(1)])),
    ]);
    let copies = prop_oneof![8 => copies, 1 => wrong];
    prop_oneof![
        8 => header(),
        3 => (select(vec!["CC", "BCC"]), copies),
        1 => select(vec![
            ("x-death", text("of me")),
            ("x-death", AMQPValue::FieldArray(FieldArray::default())),
            ("x-first-death-queue", text("elsewhere")),
            ("x-delivery-count", AMQPValue::LongInt(7)),
            ("x-received-from", text("afar")),
            ("x-stream-offset", AMQPValue::LongInt(1)),
        ]),
        1 => Just(("nested", AMQPValue::FieldTable(table(vec![("h", AMQPValue::Float(0.5))])))),
        1 => Just(("decimal", AMQPValue::DecimalValue(amq_protocol::types::DecimalValue { scale: 2, value: 314 }))),
        1 => Just(("bytes", AMQPValue::ByteArray(vec![0, 255].into()))),
    ]
    .boxed()
}

fn get(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (names.queue(), seldom(3)).prop_map(|(queue, no_ack)| {
        AMQPClass::Basic(basic::AMQPMethod::Get(basic::Get {
            queue: queue.into(),
            no_ack,
        }))
    })
}

fn consume(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    let queue = prop_oneof![
        16 => names.queue().prop_map(|name| (name, false)),
        1 => any::<bool>().prop_map(|no_ack| ("amq.rabbitmq.reply-to".to_owned(), no_ack)),
    ];
    let tag = prop_oneof![
        8 => select(vec!["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"]),
        1 => Just(""),
    ];
    let priority = select(vec![
        AMQPValue::LongInt(10),
        AMQPValue::LongInt(-5),
        AMQPValue::ShortShortInt(1),
        text("high"),
    ])
    .prop_map(|priority| ("x-priority", priority));
    (
        queue,
        tag,
        seldom(4),
        seldom(10),
        seldom(8),
        some_of(priority, 1),
    )
        .prop_map(
            |((queue, direct), tag, no_ack, exclusive, nowait, arguments)| {
                AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
                    queue: queue.into(),
                    consumer_tag: tag.into(),
                    no_local: false,
                    no_ack: no_ack || direct,
                    exclusive,
                    // Whoever is not told his tag cannot know it.
                    nowait: nowait && !tag.is_empty(),
                    arguments,
                }))
            },
        )
}

fn cancel_unknown() -> impl Strategy<Value = AMQPClass> {
    seldom(3).prop_map(|nowait| {
        AMQPClass::Basic(basic::AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: "nobody".into(),
            nowait,
        }))
    })
}

fn qos() -> impl Strategy<Value = AMQPClass> {
    (0..4_u16, seldom(5)).prop_map(|(prefetch_count, global)| {
        AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos {
            prefetch_count,
            global,
        }))
    })
}

fn recover() -> impl Strategy<Value = AMQPClass> {
    (seldom(6), seldom(4)).prop_map(|(not, asynchronous)| {
        let requeue = !not;
        AMQPClass::Basic(if asynchronous {
            basic::AMQPMethod::RecoverAsync(basic::RecoverAsync { requeue })
        } else {
            basic::AMQPMethod::Recover(basic::Recover { requeue })
        })
    })
}

// ---- modes and channels ----------------------------------------------------------------------------------------

fn confirm_select() -> AMQPClass {
    AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select {
        nowait: false,
    }))
}

fn transaction() -> impl Strategy<Value = AMQPClass> {
    prop_oneof![
        2 => Just(AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {}))),
        3 => Just(AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {}))),
        1 => Just(AMQPClass::Tx(tx::AMQPMethod::Rollback(tx::Rollback {}))),
    ]
}

fn channel_method() -> impl Strategy<Value = AMQPClass> {
    let close = channel::Close {
        reply_code: 200,
        reply_text: "done".into(),
        class_id: 0,
        method_id: 0,
    };
    prop_oneof![
        6 => Just(channel::AMQPMethod::Close(close)),
        2 => seldom(3).prop_map(|not| channel::AMQPMethod::Flow(channel::Flow { active: !not })),
        1 => Just(channel::AMQPMethod::Open(channel::Open {})),
    ]
    .prop_map(AMQPClass::Channel)
}

fn access() -> impl Strategy<Value = AMQPClass> {
    use amq_protocol::protocol::access::{AMQPMethod, Request};
    Just(AMQPClass::Access(AMQPMethod::Request(Request {
        realm: "/data".into(),
        exclusive: false,
        passive: true,
        active: true,
        write: true,
        read: true,
    })))
}
