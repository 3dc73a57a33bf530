//! Random messages, and random ways to get them.

use super::{
    declarations::{header, routing_key},
    operation::{NAMED_BY_BROKER, Publish, REPLY_ADDRESS, SOON},
    strategy::{Names, seldom, some_of, table, text},
};
use amq_protocol::{
    protocol::{
        AMQPClass,
        basic::{self, AMQPProperties},
    },
    types::{AMQPValue, FieldArray},
};
use proptest::{prelude::*, sample::select};

pub(crate) fn publish(names: &Names) -> BoxedStrategy<Publish> {
    let queue = prop_oneof![
        24 => select(names.queues()),
        1 => Just(NAMED_BY_BROKER.to_owned()),
        1 => Just(REPLY_ADDRESS.to_owned()),
        1 => Just("amq.rabbitmq.reply-to".to_owned()),
        1 => Just(String::new()),
    ];
    let destination = prop_oneof![
        7 => queue.prop_map(|queue| (String::new(), queue)),
        6 => (select(names.exchanges()), routing_key()),
        1 => (names.exchange(), routing_key()),
    ];
    let size = prop_oneof![1 => Just(0_usize), 12 => 1..20_usize, 1 => 3_000..12_000_usize];
    (destination, seldom(3), seldom(300), properties(names), size)
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
            let properties = chosen
                .into_iter()
                .fold(start, |properties, (set, value)| set(properties, &value));
            // In a priority queue RabbitMQ overlooks what expires before others, until something else moves it.
            if properties.expiration().is_some() && properties.priority().is_some() {
                return properties.with_priority(0);
            }
            properties
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

pub(crate) fn get(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    (names.queue(), seldom(3)).prop_map(|(queue, no_ack)| {
        AMQPClass::Basic(basic::AMQPMethod::Get(basic::Get {
            queue: queue.into(),
            no_ack,
        }))
    })
}

pub(crate) fn consume(names: &Names) -> impl Strategy<Value = AMQPClass> + use<> {
    let queue = prop_oneof![
        14 => names.queue().prop_map(|name| (name, false)),
        1 => seldom(4).prop_map(|not| !not).prop_map(|no_ack| ("amq.rabbitmq.reply-to".to_owned(), no_ack)),
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

pub(crate) fn cancel_unknown() -> impl Strategy<Value = AMQPClass> {
    seldom(3).prop_map(|nowait| {
        AMQPClass::Basic(basic::AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: "nobody".into(),
            nowait,
        }))
    })
}

pub(crate) fn qos() -> impl Strategy<Value = AMQPClass> {
    (0..4_u16, seldom(5)).prop_map(|(prefetch_count, global)| {
        AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos {
            prefetch_count,
            global,
        }))
    })
}

pub(crate) fn recover() -> impl Strategy<Value = AMQPClass> {
    (seldom(20), seldom(4)).prop_map(|(not, asynchronous)| {
        let requeue = !not;
        AMQPClass::Basic(if asynchronous {
            basic::AMQPMethod::RecoverAsync(basic::RecoverAsync { requeue })
        } else {
            basic::AMQPMethod::Recover(basic::Recover { requeue })
        })
    })
}
