//! What is written down of a task: small messages in the streams of its API.
//!
//! What a record says is in its headers, where it can be read on the broker's screens; a value or an error of the method's own is its payload.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::{Deserialize, Serialize};

use super::id::TaskKey;
use crate::clock::Clock;
use crate::codec::{Format, Payload, encode};
use crate::wire::again::{DEAD_REASON, REPLAYED};
use crate::wire::{self, ATTEMPT, ERROR, RESULT_TTL, SENT_AT, STATE, Sender, short, text_value};

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The id of the task's message.
    pub(crate) task: String,
    /// In milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// Counted from 0.
    pub(crate) attempt: u32,
    /// How often it had come out of the dead letters by then.
    pub(crate) replayed: u32,
    /// For how long the end is kept.
    pub(crate) ttl: Option<Duration>,
    pub(crate) says: Says,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Says {
    Started,
    Progress(Progress),
    /// An attempt failed, and another one follows.
    Retrying(String),
    /// The method's value, encoded.
    Done(Vec<u8>),
    /// It is done, and its value cannot be kept: why.
    DoneUnkept(String),
    Failed(Failed),
    Expired,
    /// It is not run any more: said by who would have run it.
    Cancelled,
    /// It came out of the dead letters, to be run as if for the first time.
    Replayed,
    /// Somebody asks for that.
    Cancel,
    /// How far it has come, for the next attempt.
    Checkpoint(Vec<u8>),
    /// Nothing about any task: who wrote it has read everything before it when it comes.
    Marker,
}

/// How far a task has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) part: f64,
    #[serde(default)]
    pub(crate) text: String,
}

/// How a task failed for the last time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failed {
    /// A dead letter's.
    pub(crate) reason: String,
    pub(crate) error: String,
    /// The method's own error, encoded.
    pub(crate) domain: Option<Vec<u8>>,
}

impl Says {
    fn word(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Progress(_) => "progress",
            Self::Retrying(_) => "retrying",
            Self::Done(_) | Self::DoneUnkept(_) => "done",
            Self::Failed(_) => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Replayed => "replayed",
            Self::Cancel => "cancel",
            Self::Checkpoint(_) => "checkpoint",
            Self::Marker => "marker",
        }
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        match self {
            // Two plain values can be encoded.
            Self::Progress(progress) => encode(progress).unwrap_or_default(),
            Self::Done(bytes) | Self::Checkpoint(bytes) => bytes.clone(),
            Self::Failed(failed) => failed.domain.clone().unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn error(&self) -> Option<&str> {
        match self {
            Self::Retrying(error) | Self::DoneUnkept(error) => Some(error),
            Self::Failed(failed) => Some(&failed.error),
            _ => None,
        }
    }
}

impl Record {
    /// Of now, about a task's first attempt.
    pub(crate) fn new(clock: &Clock, task: &str, says: Says) -> Self {
        Self {
            task: task.to_owned(),
            at_ms: clock.now_ms(),
            attempt: 0,
            replayed: 0,
            ttl: None,
            says,
        }
    }

    pub(crate) fn key(&self) -> TaskKey {
        TaskKey::of(&self.task)
    }

    pub(crate) fn properties(&self, sender: &Sender) -> BasicProperties {
        let mut headers = FieldTable::default();
        let mut add = |name, value| {
            headers.insert(short(name), value);
        };
        add(STATE, text_value(self.says.word()));
        add(SENT_AT, AMQPValue::LongLongInt(self.at_ms));
        for (name, count) in [(ATTEMPT, self.attempt), (REPLAYED, self.replayed)] {
            if count > 0 {
                add(name, AMQPValue::LongUInt(count));
            }
        }
        if let Some(ttl) = self.ttl {
            let ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            add(RESULT_TTL, AMQPValue::LongLongInt(ms));
        }
        if let Some(error) = self.says.error() {
            add(ERROR, text_value(error));
        }
        if let Says::Failed(failed) = &self.says {
            add(DEAD_REASON, text_value(&failed.reason));
        }
        sender.task_log(&self.task, headers)
    }

    /// Reads a record, or says why it is none. Whether a value is of its task's type is for those to find out who know that.
    pub(crate) fn read(
        properties: &BasicProperties,
        data: &[u8],
        payload_limit: usize,
    ) -> Result<Self, &'static str> {
        if !wire::is_kind(properties, wire::TASK_LOG) {
            return Err("it has another type");
        }
        if data.len() > payload_limit || wire::headers_size(properties) > wire::HEADERS_LIMIT {
            return Err("it is too large");
        }
        let task = properties.correlation_id().as_ref();
        let task = task.map_or("", ShortString::as_str);
        if task.is_empty() {
            return Err("it names no task");
        }
        let number = |name| wire::header_number(properties, name);
        let count = |name| number(name).and_then(|count| u32::try_from(count).ok());
        let ttl = number(RESULT_TTL).and_then(|ms| u64::try_from(ms).ok());
        Ok(Self {
            task: task.to_owned(),
            at_ms: number(SENT_AT).ok_or("it does not say when it was written")?,
            attempt: count(ATTEMPT).unwrap_or_default(),
            replayed: count(REPLAYED).unwrap_or_default(),
            ttl: ttl.map(Duration::from_millis),
            says: says(properties, data)?,
        })
    }
}

fn says(properties: &BasicProperties, data: &[u8]) -> Result<Says, &'static str> {
    let error = wire::header_text(properties, ERROR);
    let text = || error.unwrap_or_default().to_owned();
    let value = || payload(properties, data);
    Ok(
        match wire::header_text(properties, STATE).unwrap_or_default() {
            "started" => Says::Started,
            "progress" => {
                let progress: Progress = Payload::check(&value()?, Format::Msgpack)
                    .and_then(Payload::decode)
                    .map_err(|_| "its progress cannot be read")?;
                Says::Progress(progress.checked()?)
            }
            "retrying" => Says::Retrying(text()),
            "done" if error.is_some() => Says::DoneUnkept(text()),
            "done" => Says::Done(value()?),
            "failed" => Says::Failed(Failed {
                reason: wire::header_text(properties, DEAD_REASON)
                    .unwrap_or("failed")
                    .to_owned(),
                error: text(),
                domain: match data {
                    [] => None,
                    _ => Some(value()?),
                },
            }),
            "expired" => Says::Expired,
            "cancelled" => Says::Cancelled,
            "replayed" => Says::Replayed,
            "cancel" => Says::Cancel,
            "checkpoint" => Says::Checkpoint(value()?),
            "marker" => Says::Marker,
            _ => return Err("it says nothing that this version knows"),
        },
    )
}

/// As MessagePack, and one value of bounded nesting.
fn payload(properties: &BasicProperties, data: &[u8]) -> Result<Vec<u8>, &'static str> {
    let content_type = properties.content_type().as_ref().map(ShortString::as_str);
    let format = Format::of(content_type).map_err(|_| "its content type is unknown")?;
    let payload = Payload::check(data, format).map_err(|_| "its payload cannot be read")?;
    Ok(payload.into_bytes())
}

impl Progress {
    /// From 0 to 1.
    pub(crate) fn new(part: f64, text: &str) -> Self {
        const TEXT: usize = 1024;
        Self {
            part: if part.is_nan() {
                0.0
            } else {
                part.clamp(0.0, 1.0)
            },
            text: wire::truncate(text, TEXT).to_owned(),
        }
    }

    fn checked(self) -> Result<Self, &'static str> {
        match self.part.is_finite() {
            true => Ok(Self::new(self.part, &self.text)),
            false => Err("its progress is no number"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    type Written = (BasicProperties, Vec<u8>);

    fn written(record: &Record) -> Written {
        let properties = record.properties(&Sender::new(&Clock::default(), "shop", "0"));
        (properties, record.says.payload())
    }

    fn read((properties, data): &Written) -> Result<Record, &'static str> {
        Record::read(properties, data, 1024)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let failed = Failed {
            reason: "failed".to_owned(),
            error: "no disk".to_owned(),
            domain: Some(encode("NoDisk").unwrap()),
        };
        for says in [
            Says::Started,
            Says::Progress(Progress::new(0.25, "a quarter")),
            Says::Retrying("no disk".to_owned()),
            Says::Done(encode(&7).unwrap()),
            Says::DoneUnkept("too large".to_owned()),
            Says::Failed(failed),
            Says::Expired,
            Says::Cancelled,
            Says::Replayed,
            Says::Cancel,
            Says::Checkpoint(encode("half").unwrap()),
            Says::Marker,
        ] {
            let record = Record {
                attempt: 2,
                replayed: 1,
                ttl: Some(Duration::from_secs(60)),
                ..Record::new(
                    &Clock::default(),
                    "019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90",
                    says,
                )
            };
            assert_eq!(read(&written(&record)), Ok(record));
        }
    }

    #[test]
    fn what_is_no_record_is_told_from_one() {
        let good = Record::new(&Clock::default(), "7", Says::Done(encode(&7).unwrap()));
        let with = |change: fn(Written) -> Written| read(&change(written(&good))).err();
        assert_eq!(with(|it| it), None);
        let bad: [fn(Written) -> Written; 7] = [
            |(it, data)| (it.with_type(short("lb1.task")), data),
            |(it, data)| (it.with_correlation_id(short("")), data),
            |(it, data)| (it.with_headers(FieldTable::default()), data),
            |(it, data)| (it.with_content_type(short("text/xml")), data),
            |(it, _)| (it, vec![0; 2000]),
            |(it, _)| (it, vec![0x91; 500]),
            |(it, _)| (it, vec![7, 7]),
        ];
        for change in bad {
            assert!(with(change).is_some());
        }
        let nan = Record::new(
            &Clock::default(),
            "7",
            Says::Progress(Progress {
                part: f64::NAN,
                text: String::new(),
            }),
        );
        assert!(read(&written(&nan)).is_err());
    }
}
