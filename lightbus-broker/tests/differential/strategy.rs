//! Random sequences: first a few declarations that mostly succeed, then anything at all.

use super::{
    declarations::{
        bind_exchange, bind_queue, declare_exchange, declare_queue, delete_exchange, delete_queue,
        odd_exchange, odd_queue, purge, unbind_exchange, unbind_queue,
    },
    messages::{cancel_unknown, consume, get, publish, qos, recover},
    operation::{NAMED_BY_BROKER, Operation, Place, Verdict, WrongTag},
};
use amq_protocol::{
    protocol::{AMQPClass, channel, confirm, tx},
    types::{AMQPValue, FieldTable},
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
    pub(crate) fn queue(&self) -> impl Strategy<Value = String> + use<> {
        prop_oneof![
            50 => select(self.queues()),
            1 => Just(String::new()),
            1 => Just(NAMED_BY_BROKER.to_owned()),
            1 => Just(format!("{}missing", self.0)),
        ]
    }

    /// Mostly exchanges that may well be there.
    pub(crate) fn exchange(&self) -> impl Strategy<Value = String> + use<> {
        prop_oneof![
            60 => select(self.exchanges()),
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
        prop_oneof![1 => Just(Vec::new()), 15 => one.prop_map(|one| vec![one])].boxed()
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
    steps.push(prop::collection::vec(call(qos()), 0..2).boxed());
    steps.push(prop::collection::vec(call(consume(names)), 1..5).boxed());
    let modes = prop_oneof![3 => Just(confirm_select()), 1 => Just(tx_select())];
    steps.push(prop::collection::vec(call(modes), 0..3).boxed());
    steps.prop_map(|steps| steps.concat())
}

fn place() -> impl Strategy<Value = Place> {
    (0..CONNECTIONS, 1..=CHANNELS).prop_map(|(connection, channel)| Place {
        connection,
        channel,
    })
}

/// True once in `of`.
pub(crate) fn seldom(of: u32) -> impl Strategy<Value = bool> {
    (0..of).prop_map(|n| n == 1)
}

fn call(class: impl Strategy<Value = AMQPClass> + 'static) -> BoxedStrategy<Operation> {
    (place(), class)
        .prop_map(|(place, class)| Operation::Call(place, class))
        .boxed()
}

fn anything(names: &Names) -> BoxedStrategy<Operation> {
    prop_oneof![
        34 => (place(), publish(names)).prop_map(|(place, publish)| Operation::Publish(place, Box::new(publish))),
        18 => (any::<prop::sample::Index>(), verdict())
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
        3 => call(transaction()),
        1 => call(Just(confirm_select())),
        2 => call(channel_method()),
        1 => (place(), select(vec![WrongTag::Zero, WrongTag::Settled, WrongTag::Unknown]), verdict())
            .prop_map(|(place, wrong, verdict)| Operation::SettleWrong { place, wrong, verdict }),
        1 => (0..CONNECTIONS).prop_map(Operation::Reconnect),
        1 => call(cancel_unknown()),
        1 => prop_oneof![9 => call(access()), 1 => Just(Operation::Wait)],
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

pub(crate) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

pub(crate) fn table(entries: Vec<(&'static str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

/// Up to three of some entries.
pub(crate) fn some_of(
    entries: impl Strategy<Value = (&'static str, AMQPValue)> + 'static,
    weight: u32,
) -> BoxedStrategy<FieldTable> {
    prop_oneof![
        6 => Just(FieldTable::default()),
        weight => prop::collection::vec(entries, 1..4).prop_map(table),
    ]
    .boxed()
}

fn confirm_select() -> AMQPClass {
    AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select {
        nowait: false,
    }))
}

fn tx_select() -> AMQPClass {
    AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {}))
}

fn transaction() -> impl Strategy<Value = AMQPClass> {
    prop_oneof![
        3 => Just(tx_select()),
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
        2 => seldom(6).prop_map(|not| channel::AMQPMethod::Flow(channel::Flow { active: !not })),
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
