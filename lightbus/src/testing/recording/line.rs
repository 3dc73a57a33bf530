//! A recording as text: JSON lines.

use std::collections::BTreeMap;
use std::time::Duration;

use lightbus_runtime::__testing::{Kind, TaskPlace};
use lightbus_runtime::Priority;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Answer, Recorded};

const FORMAT: &str = "lightbus-recording";
const VERSION: u64 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u64,
}

/// Each other one, in the order in which a person reads it.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at_ms: u64,
    by: String,
    /// API and name, under what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    content: Option<Value>,
    /// Why there is no content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    limited: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<Word>,
    #[serde(default, skip_serializing_if = "is_zero")]
    delay_s: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered_by: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    answer: Option<Value>,
    /// The method's own.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    error: Option<Value>,
    /// Why it has neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Low,
    High,
}

/// What is `null` is there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde asks for it.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub(super) fn first() -> String {
    json(&Head {
        format: FORMAT.to_owned(),
        version: VERSION,
    })
}

pub(super) fn of(message: &Recorded) -> String {
    let mut line = Line {
        at_ms: u64::try_from(message.at.as_millis()).unwrap_or(u64::MAX),
        by: message.by.clone(),
        keys: message.keys.clone(),
        headers: message.headers.iter().cloned().collect(),
        ..Line::default()
    };
    let subject = Some(message.subject());
    match message.kind {
        Kind::Event => line.event = subject,
        Kind::Call => line.call = subject,
        Kind::Task => line.task = subject,
    }
    match &message.content {
        Ok(content) => line.content = Some(content.clone()),
        Err(why) => line.unreadable = Some(why.clone()),
    }
    if let Some(place) = &message.place {
        line.queue.clone_from(&place.queue);
        line.limited = place.limited;
        line.delay_s = place.delay;
        line.priority = match place.priority {
            Priority::High => Some(Word::High),
            Priority::Low => Some(Word::Low),
            Priority::Normal => None,
        };
    }
    match message.answer.clone() {
        None => {}
        Some(Answer::Value { by, value }) => {
            (line.answered_by, line.answer) = (Some(by), Some(value));
        }
        Some(Answer::Error { by, error }) => {
            (line.answered_by, line.error) = (Some(by), Some(error));
        }
        Some(Answer::Failed(why)) => line.failed = Some(why),
    }
    json(&line)
}

/// Neither has a key that is no text, or a number that JSON does not know: it cannot fail.
fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

pub(super) fn parse(text: &str) -> Result<Vec<Recorded>, String> {
    let mut lines = text.lines().zip(1..);
    let (head, _) = lines.next().unwrap_or_default();
    check_head(head).map_err(|why| format!("line 1: {why}"))?;
    let lines = lines.filter(|(line, _)| !line.trim().is_empty());
    let messages = lines.map(|(line, number): (_, usize)| {
        let message = serde_json::from_str::<Line>(line).map_err(|error| error.to_string());
        let message = message.and_then(recorded);
        message.map_err(|why| format!("line {number}: {why}"))
    });
    messages.collect()
}

fn check_head(line: &str) -> Result<(), String> {
    let head = serde_json::from_str::<Head>(line).ok();
    match head.filter(|head| head.format == FORMAT) {
        Some(head) if head.version <= VERSION => Ok(()),
        Some(head) => Err(format!(
            "it is of version {}, and this lightbus reads up to version {VERSION}: use the one that wrote it, or a newer one",
            head.version
        )),
        None => Err(format!(
            "it is no recording: that begins with the line {}",
            first()
        )),
    }
}

fn recorded(line: Line) -> Result<Recorded, String> {
    let (kind, subject) = match (line.event, line.call, line.task) {
        (Some(event), None, None) => (Kind::Event, event),
        (None, Some(call), None) => (Kind::Call, call),
        (None, None, Some(task)) => (Kind::Task, task),
        _ => {
            return Err(
                "it is to be one of `event`, `call` and `task`, with API and name as in \"auth.user_registered\""
                    .to_owned(),
            );
        }
    };
    let (api, name) = subject.rsplit_once('.').ok_or_else(|| {
        format!(
            "`{subject}` is to be an API's name and, after a dot, that of its event, call or task"
        )
    })?;
    let content = match (line.content, line.unreadable) {
        (Some(content), _) => Ok(content),
        (None, Some(why)) => Err(why),
        (None, None) => return Err("it has no `content`".to_owned()),
    };
    let place = (kind == Kind::Task).then_some(TaskPlace {
        queue: line.queue,
        limited: line.limited,
        priority: match line.priority {
            Some(Word::High) => Priority::High,
            Some(Word::Low) => Priority::Low,
            None => Priority::Normal,
        },
        delay: line.delay_s,
    });
    let by = line.answered_by.unwrap_or_default();
    let answer = match (line.answer, line.error, line.failed) {
        (Some(value), ..) => Some(Answer::Value { by, value }),
        (_, Some(error), _) => Some(Answer::Error { by, error }),
        (.., failed) => failed.map(Answer::Failed),
    };
    Ok(Recorded {
        at: Duration::from_millis(line.at_ms),
        by: line.by,
        kind,
        api: api.to_owned(),
        name: name.to_owned(),
        content,
        keys: line.keys,
        place,
        headers: line.headers.into_iter().collect(),
        answer,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Recording;

    const HEAD: &str = r#"{"format":"lightbus-recording","version":1}"#;

    #[test]
    fn what_was_written_is_read_back() {
        let text = [
            HEAD,
            r#"{"at_ms":0,"by":"web","call":"my.auth.check","content":{"a":[1,null]},"answered_by":"auth-app","answer":null}"#,
            r#"{"at_ms":1,"by":"web","call":"auth.check","content":{},"answered_by":"auth-app","error":null}"#,
            r#"{"at_ms":2,"by":"web","call":"auth.check","content":{},"failed":"nobody serves it"}"#,
            r#"{"at_ms":3,"by":"auth-app","event":"auth.left","content":{"name":"é"},"keys":["é",""],"headers":{"a":"b"}}"#,
            r#"{"at_ms":4,"by":"auth-app","event":"auth.left","unreadable":"the payload is truncated"}"#,
            r#"{"at_ms":9,"by":"web","task":"auth.sync","content":{},"limited":true,"delay_s":60}"#,
            r#"{"at_ms":9,"by":"web","task":"auth.resize","content":{},"queue":"slow","priority":"high"}"#,
            "",
        ]
        .join("\n");
        assert_eq!(Recording::parse(&text).unwrap().to_string(), text);
    }

    #[track_caller]
    fn refused(lines: &[&str], expected: &str) {
        let error = Recording::parse(&lines.join("\n")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let no_recording = "line 1: it is no recording: that begins with the line {\"format\"";
        refused(&[], no_recording);
        refused(&[r#"{"at_ms":0}"#], no_recording);
        let newer = r#"{"format":"lightbus-recording","version":2}"#;
        refused(
            &[newer],
            "line 1: it is of version 2, and this lightbus reads up to version 1",
        );
        refused(&[HEAD, "", "{"], "line 3: EOF while parsing");
        refused(
            &[HEAD, r#"{"at_ms":0,"by":"a","what":1}"#],
            "line 2: unknown field `what`",
        );
        let of = |rest: &str| format!(r#"{{"at_ms":0,"by":"a",{rest}}}"#);
        let both = of(r#""event":"a.b","task":"a.b","content":{}"#);
        refused(
            &[HEAD, &both],
            "line 2: it is to be one of `event`, `call` and `task`",
        );
        let plain = of(r#""event":"left","content":{}"#);
        refused(&[HEAD, &plain], "line 2: `left` is to be an API's name");
        refused(
            &[HEAD, &of(r#""event":"a.b""#)],
            "line 2: it has no `content`",
        );
    }
}
