//! What clients say, in the words of a small world: few names, so that they meet.

use super::{tape::Tape, world::encode};
use crate::frames;
use amq_protocol::{
    frame::WriteContext,
    protocol::{
        AMQPClass,
        basic::{self, AMQPProperties, gen_properties},
        channel, confirm, connection, exchange, queue, tx,
    },
    types::{AMQPValue, FieldArray, FieldTable, ShortString},
};

const QUEUES: [&str; 8] = ["a", "b", "c", "d", "a", "b", "", "amq.rabbitmq.reply-to"];
/// Where messages go: more often than not straight to a queue.
const ADDRESSES: [&str; 8] = ["", "", "", "", "x", "y", "z", "amq.topic"];
const EXCHANGES: [&str; 8] = [
    "",
    "x",
    "y",
    "z",
    "amq.direct",
    "amq.topic",
    "amq.fanout",
    "amq.headers",
];
const REPLIES: [&str; 4] = ["a", "b", "amq.rabbitmq.reply-to", "c"];
const KINDS: [&str; 6] = ["direct", "fanout", "topic", "headers", "x-none", ""];
const KEYS: [&str; 8] = ["a", "b", "c", "d", "a.b", "*.b", "#", "a.#.b"];
const TAGS: [&str; 4] = ["t", "u", "v", ""];
const OVERFLOWS: [&str; 7] = [
    "drop-head",
    "reject-publish",
    "reject-publish-dlx",
    "drop-head",
    "reject-publish",
    "reject-publish-dlx",
    "none",
];

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn int(tape: &mut Tape<'_>, limit: usize) -> AMQPValue {
    AMQPValue::LongInt(tape.below(limit) as i32)
}

/// Everything from the protocol header to the open channels 1 and 2.
pub(crate) fn opening() -> Vec<u8> {
    let capabilities = [
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
    ];
    let capabilities: FieldTable = table(capabilities.map(|name| (name, AMQPValue::Boolean(true))));
    let start_ok = connection::StartOk {
        client_properties: table([("capabilities", AMQPValue::FieldTable(capabilities))]),
        mechanism: "PLAIN".into(),
        response: "\0guest\0guest".into(),
        locale: "en_US".into(),
    };
    let tune_ok = connection::TuneOk {
        channel_max: 8,
        frame_max: 4096,
        heartbeat: 0,
    };
    let open = connection::Open {
        virtual_host: "/".into(),
    };
    let mut bytes = frames::PROTOCOL.to_vec();
    let methods = [
        connection::AMQPMethod::StartOk(start_ok),
        connection::AMQPMethod::TuneOk(tune_ok),
        connection::AMQPMethod::Open(open),
    ];
    encode(&mut bytes, 0, methods.map(AMQPClass::Connection));
    encode(&mut bytes, 1, [open_channel()]);
    encode(&mut bytes, 2, [open_channel()]);
    bytes
}

/// Confirms that a channel was closed, and opens it again.
pub(crate) fn reopening(channel: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let close_ok = AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {}));
    encode(&mut bytes, channel, [close_ok, open_channel()]);
    bytes
}

/// Queues and exchanges for the scene, one after the other.
pub(crate) fn scenery(tape: &mut Tape<'_>) -> Vec<Vec<u8>> {
    let exchanges = EXCHANGES[1..4].iter().map(|name| exchange::Declare {
        exchange: (*name).into(),
        kind: tape.pick(&KINDS[..4]).into(),
        ..exchange::Declare::default()
    });
    let exchanges: Vec<_> = exchanges
        .map(|declare| AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)))
        .collect();
    let queues = QUEUES[..4].iter().map(|name| queue::Declare {
        queue: (*name).into(),
        passive: false,
        ..declare(tape)
    });
    let queues = queues.map(|declare| AMQPClass::Queue(queue::AMQPMethod::Declare(declare)));
    let method = |method| {
        let mut bytes = Vec::new();
        encode(&mut bytes, 1, [method]);
        bytes
    };
    exchanges.into_iter().chain(queues).map(method).collect()
}

fn open_channel() -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))
}

/// Something nobody could object to.
pub(crate) fn harmless() -> Vec<u8> {
    let mut bytes = Vec::new();
    let declare = queue::Declare {
        queue: "witness".into(),
        ..queue::Declare::default()
    };
    let delete = queue::Delete {
        queue: "witness".into(),
        ..queue::Delete::default()
    };
    encode(
        &mut bytes,
        1,
        [AMQPClass::Queue(queue::AMQPMethod::Declare(declare))],
    );
    bytes.extend(publication(
        1,
        "",
        "witness",
        &AMQPProperties::default(),
        b"m",
        false,
    ));
    encode(
        &mut bytes,
        1,
        [AMQPClass::Queue(queue::AMQPMethod::Delete(delete))],
    );
    bytes
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

fn publication(
    channel: u16,
    exchange: &str,
    key: &str,
    properties: &AMQPProperties,
    body: &[u8],
    mandatory: bool,
) -> Vec<u8> {
    let publish = basic::Publish {
        exchange: exchange.into(),
        routing_key: key.into(),
        mandatory,
        immediate: false,
    };
    let mut bytes = Vec::new();
    encode(
        &mut bytes,
        channel,
        [AMQPClass::Basic(basic::AMQPMethod::Publish(publish))],
    );
    let raw = gen_properties(properties)(WriteContext::from(Vec::new())).unwrap();
    frames::content(&mut bytes, channel, &raw.into_inner().0, body, 4096);
    bytes
}

/// A publication's frames.
pub(crate) fn publish(tape: &mut Tape<'_>, channel: u16) -> Vec<u8> {
    let (exchange, key) = (tape.pick(&ADDRESSES), tape.pick(&KEYS));
    let wishes = tape.byte() & tape.byte();
    let mut properties = AMQPProperties::default();
    if wishes & 1 != 0 {
        properties = properties.with_expiration(tape.below(50).to_string().as_str().into());
    }
    if wishes & 2 != 0 {
        properties = properties.with_priority(tape.byte());
    }
    if wishes & 4 != 0 {
        properties = properties.with_reply_to(tape.pick(&REPLIES).into());
    }
    if wishes & 8 != 0 {
        properties = properties.with_headers(headers(tape));
    }
    if wishes & 16 != 0 {
        properties = properties.with_user_id(
            tape.pick(&[
                "guest", "guest", "guest", "guest", "guest", "guest", "guest", "other",
            ])
            .into(),
        );
    }
    let body = vec![b'm'; tape.below(256) * if wishes & 32 != 0 { 40 } else { 1 }];
    publication(channel, exchange, key, &properties, &body, wishes & 64 != 0)
}

fn headers(tape: &mut Tape<'_>) -> FieldTable {
    let keys = || vec![text("a"), text("b")];
    match tape.below(16) {
        0..=3 => table([("CC", AMQPValue::FieldArray(FieldArray::from(keys())))]),
        4..=7 => table([("BCC", AMQPValue::FieldArray(FieldArray::from(keys())))]),
        8 => table([("CC", int(tape, 9))]),
        _ => table([("h", int(tape, 3)), ("x-death", text("no"))]),
    }
}

/// Any method but `basic.publish`; `tag` is the last delivery's.
pub(crate) fn method(tape: &mut Tape<'_>, tag: u64) -> AMQPClass {
    match tape.below(64) {
        0..=4 => AMQPClass::Queue(queue::AMQPMethod::Declare(declare(tape))),
        5..=9 => AMQPClass::Queue(of_queue(tape)),
        10..=13 => AMQPClass::Exchange(of_exchange(tape)),
        14..=25 => AMQPClass::Basic(basic::AMQPMethod::Consume(consume(tape))),
        26..=58 => AMQPClass::Basic(of_basic(tape, tag)),
        59 | 60 => AMQPClass::Tx(match tape.below(3) {
            0 => tx::AMQPMethod::Select(tx::Select {}),
            1 => tx::AMQPMethod::Commit(tx::Commit {}),
            _ => tx::AMQPMethod::Rollback(tx::Rollback {}),
        }),
        61 => AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select {
            nowait: tape.one_in(2),
        })),
        _ => AMQPClass::Channel(match tape.below(8) {
            0 => channel::AMQPMethod::Open(channel::Open {}),
            1 => channel::AMQPMethod::Close(channel::Close::default()),
            2 => channel::AMQPMethod::CloseOk(channel::CloseOk {}),
            _ => channel::AMQPMethod::Flow(channel::Flow {
                active: tape.one_in(2),
            }),
        }),
    }
}

fn declare(tape: &mut Tape<'_>) -> queue::Declare {
    let (queue, flags) = (tape.pick(&QUEUES).into(), tape.byte());
    let arguments = queue_arguments(tape);
    queue::Declare {
        queue,
        passive: flags & 7 == 7,
        durable: flags & 8 != 0 || arguments.contains_key("x-queue-type"),
        exclusive: flags & 56 == 48,
        auto_delete: flags & 200 == 192,
        nowait: flags & 7 == 6,
        arguments,
    }
}

fn queue_arguments(tape: &mut Tape<'_>) -> FieldTable {
    let mut arguments = FieldTable::default();
    let mut wish = |name: &str, value: AMQPValue| {
        arguments.insert(name.into(), value);
    };
    let wishes = tape.byte() & tape.byte();
    if wishes & 1 != 0 {
        wish("x-message-ttl", int(tape, 40));
    }
    if wishes & 2 != 0 {
        wish("x-expires", AMQPValue::LongInt(1 + tape.below(60) as i32));
    }
    if wishes & 4 != 0 {
        wish("x-max-length", int(tape, 4));
        wish("x-overflow", text(tape.pick(&OVERFLOWS)));
    }
    if wishes & 8 != 0 {
        wish("x-dead-letter-exchange", text(tape.pick(&EXCHANGES)));
    }
    if wishes & 24 == 24 {
        wish("x-dead-letter-routing-key", text(tape.pick(&KEYS)));
    }
    if wishes & 32 != 0 {
        wish("x-single-active-consumer", AMQPValue::Boolean(true));
    }
    match wishes >> 6 {
        1 => wish("x-max-priority", int(tape, 6)),
        2 => wish(
            "x-queue-type",
            text(tape.pick(&["quorum", "classic", "quorum", "stream"])),
        ),
        _ => {}
    }
    arguments
}

fn of_queue(tape: &mut Tape<'_>) -> queue::AMQPMethod {
    let queue: ShortString = tape.pick(&QUEUES).into();
    let (exchange, routing_key): (ShortString, ShortString) =
        (tape.pick(&EXCHANGES).into(), tape.pick(&KEYS).into());
    let arguments = if tape.one_in(3) {
        table([("h", int(tape, 3))])
    } else {
        FieldTable::default()
    };
    match tape.below(8) {
        0..=4 => queue::AMQPMethod::Bind(queue::Bind {
            queue,
            exchange,
            routing_key,
            nowait: false,
            arguments,
        }),
        5 => queue::AMQPMethod::Unbind(queue::Unbind {
            queue,
            exchange,
            routing_key,
            arguments,
        }),
        6 => queue::AMQPMethod::Purge(queue::Purge {
            queue,
            nowait: tape.one_in(2),
        }),
        _ => queue::AMQPMethod::Delete(queue::Delete {
            queue,
            if_unused: tape.one_in(3),
            if_empty: tape.one_in(3),
            nowait: tape.one_in(2),
        }),
    }
}

fn of_exchange(tape: &mut Tape<'_>) -> exchange::AMQPMethod {
    let (name, other): (ShortString, ShortString) =
        (tape.pick(&EXCHANGES).into(), tape.pick(&EXCHANGES).into());
    let (routing_key, nowait): (ShortString, _) = (tape.pick(&KEYS).into(), tape.one_in(4));
    let arguments = FieldTable::default();
    match tape.below(8) {
        0..=3 => exchange::AMQPMethod::Declare(exchange::Declare {
            exchange: name,
            kind: tape.pick(&KINDS).into(),
            passive: tape.one_in(8),
            durable: false,
            auto_delete: tape.one_in(2),
            internal: tape.one_in(6),
            nowait,
            arguments: if tape.one_in(3) {
                table([("alternate-exchange", text(other.as_str()))])
            } else {
                arguments
            },
        }),
        4 | 5 => exchange::AMQPMethod::Bind(exchange::Bind {
            destination: name,
            source: other,
            routing_key,
            nowait,
            arguments,
        }),
        6 => exchange::AMQPMethod::Unbind(exchange::Unbind {
            destination: name,
            source: other,
            routing_key,
            nowait,
            arguments,
        }),
        _ => exchange::AMQPMethod::Delete(exchange::Delete {
            exchange: name,
            if_unused: tape.one_in(2),
            nowait,
        }),
    }
}

fn consume(tape: &mut Tape<'_>) -> basic::Consume {
    let (queue, consumer_tag) = (tape.pick(&QUEUES), tape.pick(&TAGS).into());
    basic::Consume {
        queue: queue.into(),
        consumer_tag,
        no_local: false,
        no_ack: tape.one_in(2) || queue == REPLIES[2],
        exclusive: tape.one_in(8),
        nowait: tape.one_in(3),
        arguments: if tape.one_in(3) {
            table([("x-priority", int(tape, 3))])
        } else {
            FieldTable::default()
        },
    }
}

fn of_basic(tape: &mut Tape<'_>, tag: u64) -> basic::AMQPMethod {
    let delivery_tag = tag.saturating_sub(tape.below(4) as u64).max(1);
    let (multiple, requeue) = (tape.one_in(2), tape.one_in(2));
    match tape.below(10) {
        0..=4 if tag == 0 => basic::AMQPMethod::Get(get(tape)),
        0 | 1 => basic::AMQPMethod::Ack(basic::Ack {
            delivery_tag,
            multiple,
        }),
        2 | 3 => basic::AMQPMethod::Nack(basic::Nack {
            delivery_tag,
            multiple,
            requeue,
        }),
        4 => basic::AMQPMethod::Reject(basic::Reject {
            delivery_tag,
            requeue,
        }),
        5 => basic::AMQPMethod::Recover(basic::Recover { requeue: true }),
        6 => basic::AMQPMethod::Qos(basic::Qos {
            prefetch_count: tape.below(4) as u16,
            global: multiple,
        }),
        7 => basic::AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: tape.pick(&TAGS).into(),
            nowait: multiple,
        }),
        _ => basic::AMQPMethod::Get(get(tape)),
    }
}

fn get(tape: &mut Tape<'_>) -> basic::Get {
    basic::Get {
        queue: tape.pick(&QUEUES[..7]).into(),
        no_ack: tape.one_in(2),
    }
}
