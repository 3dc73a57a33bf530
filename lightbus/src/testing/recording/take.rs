//! A recording of what the bus of a test has seen.

use std::time::Duration;

use lightbus_runtime::__testing::{Kind, SECRET, event_keys, is_answer_secret, redact, task_place};
use serde_json::Value;

use super::{Answer, Recorded, Recording};
use crate::testing::seen::{Answer as Answered, Fate, Seen};

pub(super) fn take(seen: &[Seen]) -> Recording {
    let mut messages = seen.iter().filter(|seen| !is_sent_again(seen)).peekable();
    let begun = messages.peek().map_or(Duration::ZERO, |first| first.at);
    Recording {
        messages: messages.map(|seen| recorded(seen, begun)).collect(),
    }
}

/// A call that a provider gave back as it stopped: its caller sends it once more.
fn is_sent_again(seen: &Seen) -> bool {
    let is_given_back = |fate: &Fate| {
        matches!(
            fate,
            Fate::Answered {
                answer: Answered::GivenBack,
                ..
            }
        )
    };
    seen.fates().any(is_given_back)
}

fn recorded(seen: &Seen, begun: Duration) -> Recorded {
    let (message, api) = (&seen.message, &seen.api);
    let key = message.routing_key();
    Recorded {
        at: whole_ms(seen.at.saturating_sub(begun)),
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
        headers: own_headers(seen),
        answer: match seen.kind {
            Kind::Call => seen
                .fates()
                .rev()
                .find_map(answer)
                .map(|it| redacted(seen, it)),
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

fn redacted(seen: &Seen, answer: Answer) -> Answer {
    if !is_answer_secret(&seen.api, &seen.name) {
        return answer;
    }
    match answer {
        Answer::Value { by, .. } => Answer::Value {
            by,
            value: SECRET.into(),
        },
        Answer::Error { by, .. } => Answer::Error {
            by,
            error: SECRET.into(),
        },
        failed @ Answer::Failed(_) => failed,
    }
}

/// As a file has it.
fn whole_ms(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// What the sender added by `.header(..)`.
fn own_headers(seen: &Seen) -> Vec<(String, String)> {
    let own = seen.headers.as_object().into_iter().flatten();
    let texts = own.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    texts.collect()
}

fn answer(fate: &Fate) -> Option<Answer> {
    match fate {
        Fate::Answered { by, answer, .. } => {
            let by = by.clone();
            Some(match answer.clone() {
                Answered::Value(value) => Answer::Value { by, value },
                Answered::Error(error) => Answer::Error { by, error },
                Answered::GivenBack => return None,
                Answered::Refused(why) => Answer::Failed(why),
            })
        }
        Fate::Nowhere => Some(Answer::Failed("nobody serves it".to_owned())),
        Fate::Dead(death) => Some(Answer::Failed(death.told())),
        _ => None,
    }
}
