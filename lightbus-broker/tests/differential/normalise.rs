//! Transcripts as text, without what differs by nature: names that a broker makes up become numbers, the date of a death
//! becomes "now", and the names of a sequence lose their prefix.

use super::client::{Content, Incoming};
use amq_protocol::{
    protocol::{AMQPClass, basic::AMQPProperties},
    types::{AMQPValue, FieldTable},
};
use std::{collections::HashMap, fmt::Write as _};

/// What the names begin with that brokers make up.
const MADE_UP: [&str; 3] = ["amq.gen-", "amq.ctag-", "amq.rabbitmq.reply-to."];

/// Turns what one broker said into text that another one's can be compared with.
#[derive(Debug)]
pub(crate) struct Normaliser {
    prefix: String,
    seen: HashMap<String, String>,
    wrong_tag: Option<u64>,
}

impl Normaliser {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            seen: HashMap::new(),
            wrong_tag: None,
        }
    }

    /// A tag that was used wrongly, and that is another one on another broker.
    pub(crate) fn wrong_tag(&mut self, tag: u64) {
        self.wrong_tag = Some(tag);
    }

    /// The text without what differs by nature.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut text = text.replace(&self.prefix, "");
        if let Some(tag) = self.wrong_tag {
            text = text.replace(
                &format!("unknown delivery tag {tag}"),
                "unknown delivery tag",
            );
        }
        for kind in MADE_UP {
            text = self.number(&text, kind);
        }
        text
    }

    /// Replaces what follows `kind` by a number of its own.
    fn number(&mut self, text: &str, kind: &str) -> String {
        let mut out = String::new();
        let mut parts = text.split(kind);
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            // It has its number already.
            if part.starts_with('#') {
                let _ = write!(out, "{kind}{part}");
                continue;
            }
            let made_up =
                |letter: char| letter.is_ascii_alphanumeric() || "-_=.+/".contains(letter);
            let end = part.find(|letter| !made_up(letter)).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let number = self.seen.len();
            let shown = self
                .seen
                .entry(format!("{kind}{name}"))
                .or_insert_with(|| format!("{kind}#{number}"));
            let _ = write!(out, "{shown}{rest}");
        }
        out
    }
}

/// Everything about something that came but its delivery tag.
pub(crate) fn show(incoming: &Incoming) -> String {
    use amq_protocol::protocol::basic::AMQPMethod::{Deliver, GetOk};
    let head = match &incoming.method {
        AMQPClass::Basic(Deliver(deliver)) => format!(
            "deliver to {:?} from exchange {:?} key {:?}{}",
            deliver.consumer_tag.as_str(),
            deliver.exchange.as_str(),
            deliver.routing_key.as_str(),
            if deliver.redelivered {
                " redelivered"
            } else {
                ""
            }
        ),
        AMQPClass::Basic(GetOk(got)) => format!(
            "get-ok from exchange {:?} key {:?}{}, {} left",
            got.exchange.as_str(),
            got.routing_key.as_str(),
            if got.redelivered { " redelivered" } else { "" },
            got.message_count
        ),
        other => show_method(other),
    };
    match &incoming.content {
        None => head,
        Some(content) => format!("{head} {}", show_content(content)),
    }
}

fn show_content(content: &Content) -> String {
    let body = String::from_utf8_lossy(&content.body);
    format!(
        "{:?} ({} bytes in {} frames) {}",
        body.trim_end_matches('.'),
        content.body.len(),
        content.frames,
        show_properties(&content.properties)
    )
}

/// A method, without the fields that are empty or false.
pub(crate) fn show_method(class: &AMQPClass) -> String {
    let debug = format!("{class:?}");
    let name = super::operation::method_name(class);
    let fields = match (debug.find('{'), debug.rfind('}')) {
        (Some(from), Some(to)) => debug[from + 1..to].trim().to_owned(),
        _ => String::new(),
    };
    let mut shown = fields
        .replace("ShortString(", "(")
        .replace("LongString(", "(");
    for nothing in [", arguments: FieldTable({})", "arguments: FieldTable({})"] {
        shown = shown.replace(nothing, "");
    }
    let shown: Vec<_> = shown
        .split(", ")
        .filter(|field| !field.ends_with(": false"))
        .collect();
    format!("{name} {}", shown.join(", "))
}

/// The properties that are set.
pub(crate) fn show_properties(properties: &AMQPProperties) -> String {
    let mut out = String::from("[");
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let comma = if out.len() > 1 { ", " } else { "" };
            let _ = write!(out, "{comma}{name}={value}");
        }
    };
    macro_rules! texts {
        ($($name:ident)*) => {
            $(add(stringify!($name), properties.$name().as_ref().map(|text| format!("{:?}", text.as_str())));)*
        };
    }
    texts!(content_type content_encoding);
    add("headers", properties.headers().as_ref().map(show_table));
    add(
        "delivery_mode",
        properties.delivery_mode().map(|mode| mode.to_string()),
    );
    add(
        "priority",
        properties.priority().map(|priority| priority.to_string()),
    );
    texts!(correlation_id reply_to expiration message_id);
    add(
        "timestamp",
        properties.timestamp().map(|time| time.to_string()),
    );
    texts!(kind user_id app_id cluster_id);
    out.push(']');
    out
}

/// A table; the time in a death is only said to be there.
pub(crate) fn show_table(table: &FieldTable) -> String {
    let entries = table.inner();
    let death = entries.contains_key("reason") && entries.contains_key("queue");
    let shown: Vec<_> = entries
        .iter()
        .map(|(name, value)| match value {
            AMQPValue::Timestamp(_) if death && name.as_str() == "time" => "time: now".to_owned(),
            value => format!("{}: {}", name.as_str(), show_value(value)),
        })
        .collect();
    format!("{{{}}}", shown.join(", "))
}

fn show_value(value: &AMQPValue) -> String {
    match value {
        AMQPValue::FieldTable(table) => show_table(table),
        AMQPValue::FieldArray(array) => {
            let shown: Vec<_> = array.as_slice().iter().map(show_value).collect();
            format!("[{}]", shown.join(", "))
        }
        AMQPValue::LongString(text) => format!("{:?}", text.to_string()),
        other => format!("{other:?}"),
    }
}
