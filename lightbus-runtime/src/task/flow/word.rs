//! What is told of a group: by a member, of its own end; and by the one who puts them together, of all that it knows. Whatever is told twice, or in another order, comes to the same.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::ShortString;
use serde::{Deserialize, Serialize};

use super::Place;
use super::failed::Cause;
use super::group::Key;
use super::next::{self, Bytes, Gather, Member, Next};
use crate::clock::system;
use crate::codec::{Format, Payload, encode};
use crate::wire;

/// What is known of some groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Word {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part>,
    /// Groups that are over, with the time since when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) over: Vec<(u128, i64)>,
    /// Nothing about any group: who wrote it has read everything before it when it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<u128>,
}

/// What is known of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) id: u128,
    /// What was fanned out, in brief.
    pub(super) lot: u64,
    pub(super) of: u32,
    pub(super) to: Gather,
    pub(super) then: Vec<Next>,
    pub(super) flow: String,
    #[serde(default)]
    pub(super) length: u32,
    pub(super) replayed: i64,
    /// When it was last heard of, in milliseconds since 1970.
    pub(super) at: i64,
    /// The members' values, by their index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) values: Vec<(u32, Bytes)>,
    /// Members that have no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failed: Vec<u32>,
    /// Why: the first failure that was heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<Cause>,
    /// What follows knows of the failure.
    #[serde(default)]
    pub(super) told: bool,
    /// Its values were too many: it cannot come to a good end any more.
    #[serde(default)]
    pub(super) hopeless: bool,
}

impl Part {
    /// Nothing yet.
    pub(super) fn of(member: &Member, then: &[Next], place: Place<'_>) -> Self {
        Self {
            id: member.id,
            lot: member.lot,
            of: member.of,
            to: member.to.clone(),
            then: then.to_vec(),
            flow: place.flow.to_owned(),
            length: place.length,
            replayed: place.replayed,
            at: system::now_ms(),
            values: Vec::new(),
            failed: Vec::new(),
            cause: None,
            told: false,
            hopeless: false,
        }
    }
}

impl Word {
    pub(super) fn of(part: Part) -> Self {
        Self {
            parts: vec![part],
            ..Self::default()
        }
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, String> {
        encode(self).map_err(|error| error.to_string())
    }

    pub(super) fn read(
        properties: &BasicProperties,
        data: &[u8],
        limit: usize,
    ) -> Result<Self, String> {
        if !wire::is_kind(properties, wire::TASK_JOIN) {
            return Err("it has another type".to_owned());
        }
        if data.len() > limit {
            return Err(format!("it takes more than {limit} bytes"));
        }
        let content_type = properties.content_type().as_ref().map(ShortString::as_str);
        let word = Format::of(content_type).and_then(|format| {
            let payload = Payload::check(data, format)?;
            payload.decode::<Self>()
        });
        let word = word.map_err(|error| error.to_string())?;
        word.parts.iter().try_for_each(Part::check)?;
        Ok(word)
    }
}

impl Part {
    pub(super) fn key(&self) -> Key {
        (self.id, self.lot)
    }

    fn check(&self) -> Result<(), String> {
        let member = |index| {
            let (to, id, lot, of) = (self.to.clone(), self.id, self.lot, self.of);
            let member = Member {
                to,
                id,
                lot,
                index,
                of,
            };
            member.check()
        };
        let values = self.values.iter().map(|(index, _)| *index);
        let indices = values.chain(self.failed.iter().copied());
        member(indices.max().unwrap_or_default())?;
        next::check_all(&self.then)
    }

    pub(super) fn age(&self) -> Duration {
        let ms = system::now_ms().saturating_sub(self.at);
        Duration::from_millis(u64::try_from(ms).unwrap_or_default())
    }
}
