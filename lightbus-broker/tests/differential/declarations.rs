//! Random declarations: queues, exchanges, bindings.

use super::{
    operation::SOON,
    strategy::{Names, seldom, some_of, table, text},
};
use amq_protocol::{
    protocol::{AMQPClass, exchange, queue},
    types::{AMQPValue, FieldArray, FieldTable},
};
use proptest::{prelude::*, sample::select};

pub(crate) fn odd_queue(names: &Names) -> impl Strategy<Value = String> + use<> {
    prop_oneof![
        16 => select(names.queues()),
        4 => Just(String::new()),
        1 => select(vec!["amq.mine".to_owned(), "amq.rabbitmq.reply-to".to_owned()]),
    ]
}

pub(crate) fn declare_queue(
    name: impl Strategy<Value = String> + 'static,
    names: &Names,
    wild: bool,
) -> BoxedStrategy<AMQPClass> {
    let kind = prop_oneof![
        14 => queue_arguments(names, wild).prop_map(|arguments| (arguments, false)),
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

pub(crate) fn purge(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (names.queue(), seldom(5)).prop_map(|(queue, nowait)| {
        AMQPClass::Queue(queue::AMQPMethod::Purge(queue::Purge {
            queue: queue.into(),
            nowait,
        }))
    })
}

pub(crate) fn delete_queue(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
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

// ---- exchanges and bindings ----------------------------------------------------------------------------------

pub(crate) fn odd_exchange(names: &Names) -> impl Strategy<Value = String> + use<> {
    prop_oneof![
        12 => select(names.exchanges()),
        1 => select(vec!["", "amq.direct", "amq.mine"]).prop_map(str::to_owned),
    ]
}

pub(crate) fn declare_exchange(
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

pub(crate) fn delete_exchange(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
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
pub(crate) fn routing_key() -> impl Strategy<Value = String> {
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

pub(crate) fn header() -> impl Strategy<Value = (&'static str, AMQPValue)> {
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

pub(crate) fn bind_queue(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
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

pub(crate) fn unbind_queue(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
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

pub(crate) fn bind_exchange(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
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

pub(crate) fn unbind_exchange(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
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
