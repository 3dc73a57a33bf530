//! What is known to differ between versions of RabbitMQ, and why. RabbitMQ 4 is the model; what an older one does otherwise is
//! left out of the sequences, or out of both transcripts.

use super::{
    operation::{Operation, Publish},
    world::Step,
};
use amq_protocol::{
    protocol::{AMQPClass, exchange, queue},
    types::{AMQPValue, FieldTable},
};

/// The broker that ours is compared with.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) url: String,
    /// From its server properties.
    pub(crate) version: String,
}

impl Reference {
    fn is_old(&self) -> bool {
        self.version.starts_with("3.")
    }

    /// The operations on which this version agrees with RabbitMQ 4, and RabbitMQ with itself.
    pub(crate) fn fit(&self, operations: Vec<Operation>) -> Vec<Operation> {
        let quorum = operations.iter().filter(|one| one.declares_quorum());
        let quorum = quorum.count();
        let fits = |operation: &Operation| {
            let is_fine = !self.is_old() || is_ageless(operation);
            let others = quorum - usize::from(operation.declares_quorum());
            is_fine && !(others > 0 && races(operation))
        };
        operations.into_iter().filter(fits).collect()
    }

    /// The transcript without what this version does not say, or says in vain.
    pub(crate) fn adjust(&self, mut steps: Vec<Step>) -> Vec<Step> {
        for line in steps.iter_mut().flat_map(|step| &mut step.lines) {
            // In RabbitMQ the count of deliveries goes from one quorum queue to the next with a dead letter; here each
            // queue counts for itself.
            if line.contains("x-first-death-queue") {
                *line = without_number(line, "x-delivery-count: ").replace(" redelivered", "");
            }
        }
        if self.is_old() {
            for line in steps.iter_mut().flat_map(|step| &mut step.lines) {
                // A first delivery is not counted since 4.0.
                *line = without(line, "x-delivery-count: LongLongInt(0)");
                // A key of the queue's own took the place of other recipients, and of what was told of them.
                if line.contains("x-first-death-queue") {
                    *line = without_list(line, "CC: [");
                }
                // Nor are headers added where there is nothing to tell.
                *line = without(line, "headers={}");
                // Since 3.13, the last death is told beside the first.
                for what in ["exchange", "queue", "reason"] {
                    *line = without_text(line, &format!("x-last-death-{what}: "));
                }
            }
        }
        steps
    }
}

/// Whether a message may die as soon as another one, or it itself, is in the queue: the dead letter and the copy that is still
/// on the way to a quorum queue overtake each other there.
fn races(operation: &Operation) -> bool {
    match operation {
        Operation::Publish(_, publish) => {
            let expiration = publish.properties.expiration().as_ref();
            !publish.exchange.is_empty() && expiration.is_some_and(|text| text.as_str() == "0")
        }
        Operation::Call(_, AMQPClass::Queue(queue::AMQPMethod::Declare(declare))) => {
            let arguments = &declare.arguments;
            let is_short = ["x-max-length", "x-max-length-bytes"]
                .iter()
                .any(|limit| arguments.contains_key(limit));
            let is_brief = arguments.inner().get("x-message-ttl") == Some(&AMQPValue::LongInt(0));
            arguments.contains_key("x-dead-letter-exchange") && (is_short || is_brief)
        }
        _ => false,
    }
}

fn is_ageless(operation: &Operation) -> bool {
    match operation {
        // Before 4.0, quorum queues had no priorities, and what came back did not come first.
        operation if operation.declares_quorum() => false,
        Operation::Publish(_, publish) => is_ageless_message(publish),
        Operation::Call(_, AMQPClass::Exchange(method)) => match method {
            // An unknown type ended the connection before 4.0.
            exchange::AMQPMethod::Declare(declare) => declare.kind.as_str() != "nonsense",
            exchange::AMQPMethod::Bind(bind) => is_exact(&bind.arguments),
            _ => true,
        },
        Operation::Call(_, AMQPClass::Queue(queue::AMQPMethod::Bind(bind))) => {
            is_exact(&bind.arguments)
        }
        _ => true,
    }
}

fn is_ageless_message(publish: &Publish) -> bool {
    let properties = &publish.properties;
    // Since 3.13, any delivery mode will do, and an expiration is spelled anew.
    let mode = matches!(properties.delivery_mode(), None | Some(1 | 2));
    let expiration = properties.expiration().as_ref();
    // The user was checked before the expiration.
    let checked = properties.user_id().is_none() || expiration.is_none();
    mode && checked
        && expiration.is_none_or(|text| !text.as_str().starts_with('+'))
        && properties.headers().as_ref().is_none_or(is_exact)
}

/// Before 4.0 a headers exchange compared numbers without their types.
fn is_exact(headers: &FieldTable) -> bool {
    let typed = |value: &AMQPValue| matches!(value, AMQPValue::Double(_) | AMQPValue::Timestamp(_));
    // And a history that the client made up was believed.
    !headers.inner().values().any(typed) && !headers.contains_key("x-death")
}

/// The line without an entry of a table.
fn without(line: &str, entry: &str) -> String {
    let line = line.replace(&format!(", {entry}"), "");
    line.replace(&format!("{entry}, "), "").replace(entry, "")
}

/// The line without an entry whose value is a text.
fn without_text(line: &str, name: &str) -> String {
    let Some(from) = line.find(name) else {
        return line.to_owned();
    };
    let value = &line[from + name.len()..];
    let end = value
        .match_indices('"')
        .nth(1)
        .map_or(value.len(), |(at, _)| at + 1);
    without(line, &format!("{name}{}", &value[..end]))
}

/// The line without an entry whose value is a number.
fn without_number(line: &str, name: &str) -> String {
    let Some(from) = line.find(name) else {
        return line.to_owned();
    };
    let value = &line[from + name.len()..];
    let end = value.find(')').map_or(value.len(), |at| at + 1);
    without(line, &format!("{name}{}", &value[..end]))
}

/// The line without an entry whose value is a list; what is asked for begins it.
fn without_list(line: &str, begin: &str) -> String {
    let list = line
        .split_once(begin)
        .map(|(_, rest)| rest.split(']').next());
    match list.flatten() {
        Some(list) => without(line, &format!("{begin}{list}]")),
        None => line.to_owned(),
    }
}
