//! What follows a task, as its message carries it: whoever has done the task publishes what comes next.
//!
//! It comes off the wire, so every name in it is checked before it becomes an exchange's or a queue's.

use std::time::Duration;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::codec::{Format, Payload, encode};
use crate::grammar::is_task;
use crate::task::address::Address;
use crate::task::message::Due;
use crate::topology::{LONGEST_DELAY, Lane, Priority};

/// It travels in a header, among others.
pub(super) const LIMIT: usize = 16 * 1024;
/// How many members a group may have.
pub(super) const MOST_MEMBERS: u32 = 100_000;

/// One thing that follows. In a row of them, each gets what became of the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Next {
    Task(Step),
    /// All of these at once; what follows gets the list of their values.
    Group {
        to: Gather,
        members: Vec<Vec<Next>>,
    },
    /// These for each element of the list that was returned.
    Each {
        to: Gather,
        each: Vec<Next>,
    },
    /// The end of a member's own row: its value goes to the others'.
    Join(Member),
    /// Runs only if something before it fails.
    Rescue(Step),
}

/// A task, but for its holes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) api: String,
    pub(super) task: String,
    pub(super) args: Bytes,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) lane: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) urgency: i8,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) expires_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) ttl_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) headers: Vec<(String, String)>,
}

/// Where the members of a group report, and as what their values are known together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gather {
    pub(super) api: String,
    pub(super) task: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) ttl_ms: Option<u64>,
}

/// One of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) to: Gather,
    /// The group's.
    pub(super) id: u128,
    /// What was fanned out, in brief: done twice, it may be another list the second time.
    pub(super) lot: u64,
    pub(super) index: u32,
    /// How many there are.
    pub(super) of: u32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(super) fn write(then: &[Next]) -> Result<Vec<u8>, String> {
    encode(then).map_err(|error| error.to_string())
}

/// Reads what follows a task, checked as far as anything is done with it.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Next>, String> {
    let decoded = Payload::check(bytes, Format::Msgpack).and_then(Payload::decode);
    let then: Vec<Next> = decoded.map_err(|error| error.to_string())?;
    check_all(&then)?;
    Ok(then)
}

/// How deep groups may be within one another: each level multiplies.
const DEEPEST: usize = 8;

pub(super) fn check_all(row: &[Next]) -> Result<(), String> {
    row.iter().try_for_each(|next| check(next, DEEPEST))
}

fn check(next: &Next, deepest: usize) -> Result<(), String> {
    match next {
        Next::Task(step) | Next::Rescue(step) => step.check(),
        Next::Join(member) => member.check(),
        Next::Each { to, each } => {
            to.check()?;
            check_row(each, deepest)
        }
        Next::Group { to, members } => {
            to.check()?;
            members.iter().try_for_each(|row| check_row(row, deepest))
        }
    }
}

/// A member's own row: something has to be done in it.
fn check_row(row: &[Next], deepest: usize) -> Result<(), String> {
    let deepest = deepest.checked_sub(1);
    let deepest = deepest.ok_or_else(|| format!("groups are nested more than {DEEPEST} deep"))?;
    match row.first() {
        None | Some(Next::Join(_) | Next::Rescue(_)) => {
            Err("a member of a group has nothing to do".to_owned())
        }
        Some(_) => row.iter().try_for_each(|next| check(next, deepest)),
    }
}

impl Step {
    fn check(&self) -> Result<(), String> {
        check_name(&self.api, &self.task)?;
        match Lane::parse(&self.lane) {
            Some(_) => Ok(()),
            None => Err(format!("`{}` ends no task queue's name", self.lane)),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.api, self.task)
    }

    pub(super) fn address(&self) -> Address<'_> {
        Address {
            api: &self.api,
            lane: Lane::parse(&self.lane).unwrap_or(Lane::Api),
            priority: priority(self.urgency),
        }
    }

    pub(super) fn due(&self) -> Due {
        let at = self.at_ms.map(Duration::from_millis);
        let at = at.and_then(|at| std::time::UNIX_EPOCH.checked_add(at));
        match (self.after_ms, at) {
            (Some(ms), _) => Due::After(Duration::from_millis(ms).min(LONGEST_DELAY)),
            (None, Some(at)) => Due::At(at),
            (None, None) => Due::Now,
        }
    }
}

impl Gather {
    fn check(&self) -> Result<(), String> {
        check_name(&self.api, &self.task)
    }
}

impl Member {
    pub(super) fn check(&self) -> Result<(), String> {
        self.to.check()?;
        match self.index < self.of && self.of <= MOST_MEMBERS {
            true => Ok(()),
            false => Err(format!(
                "no group has a member {} of {}",
                self.index, self.of
            )),
        }
    }
}

fn check_name(api: &str, task: &str) -> Result<(), String> {
    match is_task(api, task) {
        true => Ok(()),
        false => Err(format!("`{api}.{task}` is no legal name of a task")),
    }
}

pub(super) fn urgency(priority: Priority) -> i8 {
    match priority {
        Priority::Low => -1,
        Priority::Normal => 0,
        Priority::High => 1,
    }
}

fn priority(urgency: i8) -> Priority {
    match urgency.signum() {
        -1 => Priority::Low,
        1 => Priority::High,
        _ => Priority::Normal,
    }
}

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The id of what follows the message with the id `base`: the same whenever, and by whomever, it is made. It tells the same time.
pub(super) fn following(base: Uuid, what: &str) -> Uuid {
    let hash = Uuid::new_v5(&base, what.as_bytes());
    let mut bytes = hash.into_bytes();
    let (time, _) = base.as_bytes().split_at(6);
    bytes[..6].copy_from_slice(time);
    let mut id = uuid::Builder::from_bytes(bytes);
    id.set_version(uuid::Version::SortRand);
    id.into_uuid()
}

/// A value in brief, to tell it from others.
pub(super) fn brief(base: Uuid, value: &[u8]) -> u64 {
    Uuid::new_v5(&base, value).as_u64_pair().0
}

/// A block of bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Block;
        impl<'de> Visitor<'de> for Block {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a block of bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_bytes(Block)
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::task::id::made_at;

    fn step(api: &str, lane: &str) -> Step {
        Step {
            api: api.to_owned(),
            task: "resize".to_owned(),
            args: Bytes(vec![0x80]),
            lane: lane.to_owned(),
            ..Step::default()
        }
    }

    fn gather(api: &str) -> Gather {
        Gather {
            api: api.to_owned(),
            task: "resize".to_owned(),
            ttl_ms: Some(1000),
        }
    }

    fn member(index: u32, of: u32) -> Next {
        Next::Join(Member {
            to: gather("auth"),
            id: 7,
            lot: 9,
            index,
            of,
        })
    }

    fn nested(deep: usize) -> Next {
        let inner = Next::Task(step("auth", ""));
        (0..deep).fold(inner, |inner, _| Next::Each {
            to: gather("auth"),
            each: vec![inner],
        })
    }

    #[test]
    fn what_follows_is_read_as_it_was_written() {
        let loud = Step {
            urgency: 1,
            after_ms: Some(2000),
            expires_ms: Some(60_000),
            headers: vec![("a".to_owned(), "b".to_owned())],
            ..step("my.auth", ":slow")
        };
        let then = vec![
            Next::Task(loud),
            Next::Each {
                to: gather("auth"),
                each: vec![Next::Task(step("auth", "~resize"))],
            },
            Next::Group {
                to: gather("auth"),
                members: vec![vec![Next::Task(step("auth", ""))]],
            },
            Next::Rescue(step("auth", "")),
            nested(DEEPEST),
            member(1, 2),
        ];
        assert_eq!(read(&write(&then).unwrap()), Ok(then));
    }

    #[test]
    fn what_names_no_task_is_refused_however_deep() {
        let inside = |next: Next| {
            [
                vec![next.clone()],
                vec![Next::Each {
                    to: gather("auth"),
                    each: vec![Next::Task(step("auth", "")), next.clone()],
                }],
                vec![Next::Group {
                    to: gather("auth"),
                    members: vec![vec![Next::Task(step("auth", "")), next]],
                }],
            ]
        };
        for bad in [
            Next::Task(step("auth#", "")),
            Next::Rescue(step("auth", ":slow+high")),
            Next::Each {
                to: gather("a b"),
                each: vec![],
            },
            member(2, 2),
            member(0, 0),
            member(0, MOST_MEMBERS + 1),
            nested(DEEPEST + 1),
        ] {
            for then in inside(bad) {
                assert!(read(&write(&then).unwrap()).is_err(), "{then:?}");
            }
        }
        assert!(read(&[0xc1]).is_err() && read(&[0x91, 0x07]).is_err());
        assert!(read(&vec![0x91; 10_000]).is_err());
    }

    #[test]
    fn an_id_follows_from_the_one_before_and_keeps_its_time() {
        let base = crate::clock::system::new_id();
        let next = following(base, "task");
        assert_eq!(next, following(base, "task"));
        assert_ne!(next, following(base, "other"));
        assert_ne!(next, following(next, "task"));
        assert_eq!(made_at(&next.to_string()), made_at(&base.to_string()));
        assert_eq!(next.get_version_num(), 7);
    }
}
