//! A recording of what the bus of a test has seen.

use amq_protocol::types::AMQPValue;
use lightbus_broker::Message;
use lightbus_runtime::__testing::{Kind, event_keys, redact, task_place};
use serde_json::Value;

use super::{Answer, Recorded, Recording};
use crate::testing::traffic::{Fate, Seen};

pub(super) fn take(seen: &[Seen]) -> Recording {
    let messages = seen.iter().filter(|seen| !is_sent_again(seen));
    Recording {
        messages: messages.map(recorded).collect(),
    }
}

/// A call that a provider gave back as it stopped: its caller sends it once more.
fn is_sent_again(seen: &Seen) -> bool {
    let mut fates = seen.fates.iter().map(|(_, fate)| fate);
    fates.any(
        |fate| matches!(fate, Fate::Answered { answer: Err(why), .. } if why == "shutting-down"),
    )
}

fn recorded(seen: &Seen) -> Recorded {
    let (message, api) = (&seen.message, &seen.api);
    let key = message.routing_key();
    Recorded {
        at: seen.at,
        by: seen.by.clone(),
        kind: seen.kind,
        api: api.clone(),
        name: seen.name.clone(),
        content: content(seen),
        keys: match seen.kind {
            Kind::Event => event_keys(key, api),
            Kind::Call | Kind::Task => Vec::new(),
        },
        place: match seen.kind {
            Kind::Task => task_place(key, api),
            Kind::Call | Kind::Event => None,
        },
        headers: own_headers(message),
        answer: match seen.kind {
            Kind::Call => seen.fates.iter().rev().find_map(|(_, fate)| answer(fate)),
            Kind::Task | Kind::Event => None,
        },
    }
}

fn content(seen: &Seen) -> Result<Value, String> {
    if seen.kind == Kind::Task && seen.name.starts_with('+') {
        return Err("it begins a flow, of tasks that were sent after it".to_owned());
    }
    let mut content = seen.content.clone()?;
    redact(&mut content, &seen.api, &seen.name);
    Ok(content)
}

/// What the sender added by `.header(..)`.
fn own_headers(message: &Message) -> Vec<(String, String)> {
    let headers = message.headers();
    let Some(AMQPValue::FieldTable(own)) = headers.inner().get("lb-meta") else {
        return Vec::new();
    };
    let texts = own.inner().iter().filter_map(|(name, value)| {
        let text = match value {
            AMQPValue::LongString(text) => text.to_string(),
            AMQPValue::ShortString(text) => text.to_string(),
            _ => return None,
        };
        Some((name.to_string(), text))
    });
    texts.collect()
}

fn answer(fate: &Fate) -> Option<Answer> {
    match fate {
        Fate::Answered {
            by,
            answer: Ok(value),
        } => Some(Answer::Value {
            by: by.clone(),
            value: value.clone(),
        }),
        // The method's own error is JSON; no other word is.
        Fate::Answered {
            by,
            answer: Err(text),
        } => Some(match serde_json::from_str(text) {
            Ok(error) => Answer::Error {
                by: by.clone(),
                error,
            },
            Err(_) => Answer::Failed(text.clone()),
        }),
        Fate::Nowhere => Some(Answer::Failed("nobody serves it".to_owned())),
        Fate::Dead(why) => Some(Answer::Failed(why.clone())),
        Fate::To(_) | Fate::Handled { .. } | Fate::Again => None,
    }
}
