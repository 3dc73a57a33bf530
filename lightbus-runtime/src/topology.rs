//! Every exchange, queue and routing key of the bus: the only place where such a name is made.

mod delay;
mod join;
mod journal;
mod read;
mod schedule;
mod task;

use std::borrow::Cow;

pub(crate) use delay::{LONGEST as LONGEST_DELAY, delayed, ladder_plan, out_plan, undelayed};
pub(crate) use join::{join_plan, join_queue};
pub(crate) use journal::{CANCEL_KEY, Log, cancel_plan, journal_exchange, log_plan};
pub(crate) use read::{
    api_of_calls, event_of, held_from, is_dead_queue, is_unrouted, is_work, listener_of, on_ladder,
    schedule_of,
};
pub(crate) use schedule::{
    CRON, CRON_ASK, CRON_MARK, cron_binding, cron_exchange, cron_exchange_plan, cron_key,
    cron_plan, cron_queue, cron_unbinding,
};
pub(crate) use task::{
    Lane, UNIQUE_HOLDER_ARGUMENT, UNIQUE_LEASE_ARGUMENT, api_of_task_queue, hold_exchange,
    hold_key, hold_plan, hold_queue, named_lane, task_exchange, task_lane, task_plan, task_queue,
    unique_plan, unique_queue,
};
pub use task::{Priority, TaskPlace, task_place};

/// A value of a queue or exchange argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Number(i64),
    Flag(bool),
}

pub(crate) type Arguments = Vec<(&'static str, Value)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Direct,
    Topic,
    Fanout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) arguments: Arguments,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) arguments: Arguments,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) queue: String,
    pub(crate) exchange: String,
    pub(crate) key: String,
}

/// A binding of one exchange to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) to: String,
    pub(crate) from: String,
    pub(crate) key: String,
}

/// What has to exist before a queue can be consumed, in the order of declaring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) links: Vec<Link>,
    /// Bindings of an earlier version of the same listener that would deliver too much.
    pub(crate) stale: Vec<Binding>,
}

impl Plan {
    pub(crate) fn merge(&mut self, other: Self) {
        self.exchanges.extend(other.exchanges);
        self.queues.extend(other.queues);
        self.bindings.extend(other.bindings);
        self.links.extend(other.links);
        self.stale.extend(other.stale);
    }
}

/// Does a listener handle its events one by one in their order, across all replicas?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Free,
    Kept,
}

const EXPIRES_MS: i64 = 60_000;
const CALLS_MAX: i64 = 10_000;
const UNROUTED_MAX: i64 = 1_000;
pub(crate) const SINGLE_ACTIVE_ARGUMENT: &str = "x-single-active-consumer";
pub(crate) const DELIVERY_LIMIT_ARGUMENT: &str = "x-delivery-limit";
pub(crate) const DELIVERY_LIMIT: i64 = 20;
/// As good as none, for every version of RabbitMQ: version 3 refuses -1.
const NO_DELIVERY_LIMIT: i64 = 1_000_000_000;
const UNROUTED: &str = "lb.sys.unrouted";

fn text(value: impl Into<Cow<'static, str>>) -> Value {
    Value::Text(value.into())
}

fn exchange(name: String, kind: Kind) -> Exchange {
    Exchange {
        name,
        kind,
        arguments: Vec::new(),
    }
}

fn queue_type(kind: &'static str) -> (&'static str, Value) {
    ("x-queue-type", text(kind))
}

/// A queue that belongs to running programs and goes 60 s after the last of them.
fn expiring(name: String) -> Queue {
    Queue {
        name,
        arguments: vec![
            queue_type("classic"),
            ("x-expires", Value::Number(EXPIRES_MS)),
            ("x-max-length", Value::Number(CALLS_MAX)),
        ],
    }
}

// ---- calls

/// The exchange that an API's calls are published to. Its queue has the same name.
pub(crate) fn rpc_name(api: &str) -> String {
    format!("lb.rpc.{api}")
}

/// What a caller declares: a publish to an exchange that does not exist would close its channel.
pub(crate) fn caller_plan(api: &str) -> Plan {
    Plan {
        exchanges: vec![exchange(rpc_name(api), Kind::Direct)],
        ..Plan::default()
    }
}

/// The queue of an API is bound for each method it serves, so that an unknown method comes back at once.
pub(crate) fn rpc_plan(api: &str, methods: impl Iterator<Item = &'static str>) -> Plan {
    let exchange = exchange(rpc_name(api), Kind::Direct);
    let mut queue = expiring(rpc_name(api));
    queue.arguments.push(("x-overflow", text("reject-publish")));
    let bindings = methods
        .map(|method| Binding {
            queue: queue.name.clone(),
            exchange: exchange.name.clone(),
            key: method.to_owned(),
        })
        .collect();
    Plan {
        exchanges: vec![exchange],
        queues: vec![queue],
        bindings,
        ..Plan::default()
    }
}

pub(crate) fn reply_exchange(app: &str) -> String {
    format!("lb.reply.{app}")
}

pub(crate) fn reply_queue(app: &str, instance: &str) -> String {
    format!("lb.r.{app}.{instance}")
}

pub(crate) fn reply_plan(app: &str, instance: &str) -> Plan {
    let exchange = exchange(reply_exchange(app), Kind::Direct);
    let queue = expiring(reply_queue(app, instance));
    let binding = Binding {
        queue: queue.name.clone(),
        exchange: exchange.name.clone(),
        key: instance.to_owned(),
    };
    Plan {
        exchanges: vec![exchange],
        queues: vec![queue],
        bindings: vec![binding],
        ..Plan::default()
    }
}

// ---- word from instance to instance

/// The exchange of what is no call, no event and no task: each message is for whoever binds its key.
pub(crate) const CONTROL: &str = "lb.ctl";

pub(crate) fn control_queue(app: &str, instance: &str) -> String {
    format!("lb.c.{app}.{instance}")
}

/// What telling providers something needs.
pub(crate) fn control_plan() -> Plan {
    Plan {
        exchanges: vec![exchange(CONTROL.to_owned(), Kind::Topic)],
        ..Plan::default()
    }
}

/// What being told something needs; the queue is bound by whoever wants to know.
pub(crate) fn control_queue_plan(app: &str, instance: &str) -> Plan {
    Plan {
        queues: vec![expiring(control_queue(app, instance))],
        ..control_plan()
    }
}

/// With what key the providers of an API hear that a caller has given up a call.
pub(crate) fn cancel_key(api: &str) -> String {
    format!("cancel.{api}")
}

/// A provider's plan with what tells this instance of calls that are given up.
pub(crate) fn with_cancels(mut plan: Plan, api: &str, app: &str, instance: &str) -> Plan {
    let control = control_queue_plan(app, instance);
    plan.exchanges.extend(control.exchanges);
    plan.queues.extend(control.queues);
    plan.bindings.push(Binding {
        queue: control_queue(app, instance),
        exchange: CONTROL.to_owned(),
        key: cancel_key(api),
    });
    plan
}

// ---- events

/// What publishing an API's events needs: their exchange, and where those go that nobody listens to.
pub(crate) fn event_plan(api: &str) -> Plan {
    let unrouted = exchange(UNROUTED.to_owned(), Kind::Fanout);
    let samples = Queue {
        name: UNROUTED.to_owned(),
        arguments: vec![
            queue_type("classic"),
            ("x-max-length", Value::Number(UNROUTED_MAX)),
            ("x-overflow", text("drop-head")),
        ],
    };
    let binding = Binding {
        queue: UNROUTED.to_owned(),
        exchange: UNROUTED.to_owned(),
        key: String::new(),
    };
    let mut events = exchange(event_exchange(api), Kind::Topic);
    events
        .arguments
        .push(("alternate-exchange", text(UNROUTED)));
    Plan {
        exchanges: vec![unrouted, events],
        queues: vec![samples],
        bindings: vec![binding],
        ..Plan::default()
    }
}

pub(crate) fn event_exchange(api: &str) -> String {
    format!("lb.ev.{api}")
}

/// Which events a listener wants: their names, and, for each key, the words it asks for (none: all).
#[derive(Clone, Debug)]
pub(crate) struct Interest {
    pub(crate) api: &'static str,
    pub(crate) events: &'static [&'static str],
    pub(crate) keys: Vec<Vec<String>>,
}

impl Interest {
    /// The binding keys: `<api>.<event>.#`, or one for each combination of the words asked for.
    ///
    /// The trailing `#` matches also no word, so that an event may gain a key later without losing its listeners.
    pub(crate) fn patterns(&self) -> Vec<String> {
        let mut patterns: Vec<String> = self
            .events
            .iter()
            .map(|event| format!("{}.{event}", self.api))
            .collect();
        let last = self.keys.iter().rposition(|words| !words.is_empty());
        for words in self.keys.iter().take(last.map_or(0, |last| last + 1)) {
            patterns = patterns
                .iter()
                .flat_map(|pattern| match words.as_slice() {
                    [] => vec![format!("{pattern}.*")],
                    words => words
                        .iter()
                        .map(|word| format!("{pattern}.{word}"))
                        .collect(),
                })
                .collect();
        }
        patterns
            .iter_mut()
            .for_each(|pattern| pattern.push_str(".#"));
        patterns
    }

    /// The event that a routing key names, if it is one of these.
    pub(crate) fn event_of(&self, routing_key: &str) -> Option<&'static str> {
        let rest = routing_key.strip_prefix(self.api)?.strip_prefix('.')?;
        let name = rest.split('.').next()?;
        self.events.iter().find(|event| **event == name).copied()
    }

    fn is_filtered(&self) -> bool {
        self.keys.iter().any(|words| !words.is_empty())
    }

    /// Does the routing key carry the words asked for? False only for what a stale binding still lets through.
    pub(crate) fn matches(&self, routing_key: &str) -> bool {
        if !self.is_filtered() {
            return true;
        }
        let words = routing_key.split('.').skip(self.api.split('.').count() + 1);
        let mut words = words.map(Some).chain(std::iter::repeat(None));
        self.keys.iter().all(|wanted| {
            let word = words.next().flatten();
            wanted.is_empty() || word.is_some_and(|word| wanted.iter().any(|w| w == word))
        })
    }

    fn bind(&self, queue: &str) -> (Vec<Binding>, Vec<Binding>) {
        let bind = |key| Binding {
            queue: queue.to_owned(),
            exchange: event_exchange(self.api),
            key,
        };
        let stale = match self.is_filtered() {
            true => self
                .events
                .iter()
                .map(|event| bind(format!("{}.{event}.#", self.api)))
                .collect(),
            false => Vec::new(),
        };
        (self.patterns().into_iter().map(bind).collect(), stale)
    }
}

pub(crate) fn listener_queue(app: &str, listener: &str) -> String {
    format!("lb.q.{app}.{listener}")
}

fn dead_exchange(app: &str) -> String {
    format!("lb.dead.{app}")
}

pub(crate) fn dead_queue(queue: &str) -> String {
    format!("{queue}.dead")
}

/// Where an app's dead letters go: an exchange, and for each of its queues one that keeps what was published under its name.
pub(crate) fn dead_plan(app: &str, queue: &str) -> Plan {
    let letters = exchange(dead_exchange(app), Kind::Direct);
    let dead = Queue {
        name: dead_queue(queue),
        arguments: vec![
            queue_type("quorum"),
            // RabbitMQ 4 drops what was delivered 21 times, and each look at a dead letter is a delivery.
            (DELIVERY_LIMIT_ARGUMENT, Value::Number(NO_DELIVERY_LIMIT)),
        ],
    };
    let binding = Binding {
        queue: dead.name.clone(),
        exchange: letters.name.clone(),
        key: queue.to_owned(),
    };
    Plan {
        exchanges: vec![letters],
        queues: vec![dead],
        bindings: vec![binding],
        ..Plan::default()
    }
}

/// How to reach a queue's dead letters: exchange and routing key.
pub(crate) fn dead_letters<'a>(app: &str, queue: &'a str) -> (String, &'a str) {
    (dead_exchange(app), queue)
}

/// A named listener: one durable queue for (app, listener), and its dead letters.
pub(crate) fn listener_plan(app: &str, listener: &str, interest: &Interest, order: Order) -> Plan {
    let name = listener_queue(app, listener);
    let mut plan = event_plan(interest.api);
    let (bindings, stale) = interest.bind(&name);
    // The dead letters' queue comes first: a queue that dead-letters to nowhere loses messages.
    plan.merge(dead_plan(app, &name));
    plan.exchanges.push(delay::out());
    plan.queues.push(task::durable(app, &name, &name, order));
    plan.bindings.push(delay::out_binding(&name));
    plan.bindings.extend(bindings);
    plan.stale = stale;
    plan
}

pub(crate) fn broadcast_queue(app: &str, listener: &str, instance: &str) -> String {
    format!("lb.b.{app}.{listener}.{instance}")
}

/// A broadcast listener: a queue for each running instance.
pub(crate) fn broadcast_plan(
    app: &str,
    listener: &str,
    instance: &str,
    interest: &Interest,
) -> Plan {
    let mut queue = expiring(broadcast_queue(app, listener, instance));
    queue.arguments.push(("x-overflow", text("drop-head")));
    let mut plan = event_plan(interest.api);
    plan.bindings.extend(interest.bind(&queue.name).0);
    plan.queues.push(queue);
    plan
}

/// One word of a routing key: letters, digits, `-` and `_` as they are, every other byte as `%XX`, nothing as `%`.
///
/// So a value may hold dots, stars and hashes without changing what a binding means.
pub(crate) fn push_word(key: &mut String, value: &str) {
    use std::fmt::Write;
    if value.is_empty() {
        key.push('%');
    }
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            key.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(key, "%{byte:02X}");
        }
    }
}

/// The values of an event's keys.
pub fn event_keys(routing_key: &str, api: &str) -> Vec<String> {
    let words = routing_key.split('.').skip(api.split('.').count() + 1);
    words.map(value).collect()
}

/// What a word stands for: the way back of [`push_word`].
fn value(word: &str) -> String {
    let mut pieces = word.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let escaped = piece
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.extend(escaped);
        bytes.extend_from_slice(piece.get(2..).unwrap_or_default().as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interest(keys: &[&[&str]]) -> Interest {
        Interest {
            api: "spares",
            events: &["stock_changed"],
            keys: keys
                .iter()
                .map(|words| words.iter().map(ToString::to_string).collect())
                .collect(),
        }
    }

    #[test]
    fn without_a_filter_an_event_is_bound_with_whatever_keys_it_has_or_will_have() {
        assert_eq!(interest(&[]).patterns(), ["spares.stock_changed.#"]);
    }

    #[test]
    fn the_routing_key_names_the_event() {
        let any = interest(&[]);
        assert_eq!(
            any.event_of("spares.stock_changed.bolt.north"),
            Some("stock_changed")
        );
        assert_eq!(any.event_of("spares.stock_changed"), Some("stock_changed"));
        for other in [
            "spares.stock",
            "spares",
            "",
            "sparesx.stock_changed",
            "lb.q.shop.log",
        ] {
            assert_eq!(any.event_of(other), None, "{other}");
        }
    }

    #[test]
    fn each_combination_of_words_is_a_binding() {
        assert_eq!(
            interest(&[&["bolt"]]).patterns(),
            ["spares.stock_changed.bolt.#"]
        );
        assert_eq!(
            interest(&[&[], &["north"]]).patterns(),
            ["spares.stock_changed.*.north.#"]
        );
        assert_eq!(
            interest(&[&["bolt", "nut"], &[]]).patterns(),
            ["spares.stock_changed.bolt.#", "spares.stock_changed.nut.#"]
        );
    }

    #[test]
    fn a_stale_binding_is_recognised_by_the_routing_key() {
        let bolts = interest(&[&["bolt"], &[]]);
        assert!(bolts.matches("spares.stock_changed.bolt.north"));
        assert!(!bolts.matches("spares.stock_changed.nut.north"));
        assert!(!bolts.matches("spares.stock_changed"));
        assert!(interest(&[]).matches("spares.stock_changed"));
    }

    #[test]
    fn a_filtered_listener_drops_the_binding_for_everything() {
        let plan = listener_plan("sales", "bolts", &interest(&[&["bolt"]]), Order::Free);
        assert_eq!(plan.stale.len(), 1);
        assert_eq!(plan.stale[0].key, "spares.stock_changed.#");
        assert!(
            listener_plan("sales", "all", &interest(&[]), Order::Free)
                .stale
                .is_empty()
        );
    }

    #[test]
    fn words_keep_dots_and_wildcards_out_of_the_key() {
        for (value, word) in [
            ("bolt-M8_x", "bolt-M8_x"),
            ("a.b", "a%2Eb"),
            ("*#", "%2A%23"),
            ("", "%"),
            ("é", "%C3%A9"),
        ] {
            let mut key = String::new();
            push_word(&mut key, value);
            assert_eq!(key, word);
        }
    }

    #[test]
    fn names_come_from_the_contract_alone() {
        assert_eq!(
            rpc_plan("my_company.auth", ["a"].into_iter()).queues[0].name,
            "lb.rpc.my_company.auth"
        );
        let plan = listener_plan("sales", "log", &interest(&[]), Order::Free);
        let queues: Vec<_> = plan.queues.iter().map(|q| q.name.as_str()).collect();
        assert_eq!(
            queues,
            ["lb.sys.unrouted", "lb.q.sales.log.dead", "lb.q.sales.log"]
        );
        assert!(
            plan.queues
                .iter()
                .all(|q| q.arguments[0].0 == "x-queue-type")
        );
    }

    #[test]
    fn the_keys_of_an_event_are_what_they_were() {
        let values = ["bolt", "", "a.b*#%", "é", "7"];
        let mut key = "my.spares.stock_changed".to_owned();
        for value in values {
            key.push('.');
            push_word(&mut key, value);
        }
        assert_eq!(event_keys(&key, "my.spares"), values);
        assert!(event_keys("auth.left", "auth").is_empty());
        assert_eq!(event_keys("auth.left.%zz%4", "auth"), [""]);
    }
}
