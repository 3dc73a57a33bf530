//! What a task is found again by, in any process: a text for a database, or a URL.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::error::Error;
use crate::grammar::is_task;
use crate::wire::{short, truncate};

/// What the text of a task's id ends in when nobody asked for its result to be kept.
const UNKEPT: &str = "~unkept";

/// A task's id: `auth.resize_avatar/0192e5a0-…`, as a text for a database or a URL. With it any process of the bus can ask what became of the task:
/// [`Bus::task`](crate::Bus::task).
///
/// Behind the API, the task and the message's id the text says what a reader has to know: `@1767225600` for a task that is due only then, in seconds since 1970, and
/// `~unkept` for one whose result nobody asked to keep. Logs and dead letters show the message's id alone; `auth.resize_avatar/` before it makes it a task's.
///
/// ```
/// # use lightbus_runtime::TaskId;
/// # fn main() -> Result<(), lightbus_runtime::Error> {
/// let id: TaskId = "auth.resize_avatar/019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90".parse()?;
/// assert_eq!((id.api(), id.task()), ("auth", "resize_avatar"));
/// assert_eq!(id.message_id(), "019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90");
/// # Ok(()) }
/// ```
///
/// Two ids are equal if they name the same task.
#[derive(Clone)]
pub struct TaskId {
    api: String,
    task: String,
    message: String,
    /// In seconds since 1970.
    due: Option<u64>,
    unkept: bool,
}

impl TaskId {
    pub(crate) fn new(api: &str, task: &str, message: &str) -> Self {
        Self {
            api: api.to_owned(),
            task: task.to_owned(),
            message: message.to_owned(),
            due: None,
            unkept: false,
        }
    }

    /// Of a task that begins only then.
    pub(crate) fn due_at(self, due: SystemTime) -> Self {
        let due = due.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            due: Some(due),
            ..self
        }
    }

    /// Of a task of which nothing is kept.
    pub(crate) fn unkept(self) -> Self {
        Self {
            unkept: true,
            ..self
        }
    }

    /// The API's name, `auth`.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// The task's wire name, `resize_avatar`.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The id of the task's message, in all attempts: what [`Context::message_id`](crate::Context::message_id), logs and dead letters show.
    pub fn message_id(&self) -> &str {
        &self.message
    }

    pub(crate) fn is_unkept(&self) -> bool {
        self.unkept
    }

    pub(crate) fn key(&self) -> TaskKey {
        TaskKey::of(&self.message)
    }

    /// Before this, nothing has become of the task that matters `now`. By the clock of who enqueued it.
    pub(crate) fn earliest(&self, now: SystemTime) -> SystemTime {
        let due = self.due.map(Duration::from_secs);
        let due = due.and_then(|due| UNIX_EPOCH.checked_add(due));
        // Until it is due it can be cancelled; and who takes it then writes that down.
        let due = due.filter(|due| *due <= now);
        due.or_else(|| made_at(&self.message)).unwrap_or(UNIX_EPOCH)
    }

    /// Not before this it begins.
    pub(crate) fn due(&self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_secs(self.due?))
    }
}

/// When a message was made, if its id says so.
pub(crate) fn made_at(message: &str) -> Option<SystemTime> {
    let made = Uuid::try_parse(message).ok()?.get_timestamp()?;
    let (seconds, nanos) = made.to_unix();
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// A message's id, in 128 bits: mostly it is a number of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TaskKey(u128);

impl TaskKey {
    pub(crate) fn of(message: &str) -> Self {
        match Uuid::try_parse(message) {
            Ok(id) => Self(id.as_u128()),
            Err(_) => Self(fingerprint(message.as_bytes())),
        }
    }
}

/// FNV-1a, of 128 bits: for ids that are texts.
fn fingerprint(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

impl TaskId {
    fn names(&self) -> (&str, &str, &str) {
        (&self.api, &self.task, &self.message)
    }
}

impl PartialEq for TaskId {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for TaskId {}

impl Hash for TaskId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}

impl PartialOrd for TaskId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TaskId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.names().cmp(&other.names())
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}/{}", self.api, self.task, self.message)?;
        if let Some(due) = self.due {
            write!(f, "@{due}")?;
        }
        f.write_str(if self.unkept { UNKEPT } else { "" })
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

impl FromStr for TaskId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| {
            Error::Config(format!(
                "`{}` is no task's id: that is an API and a task, a slash, and a message's id, like `auth.resize_avatar/019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90`",
                truncate(text, 200)
            ))
        })
    }
}

fn parse(text: &str) -> Option<TaskId> {
    let (name, rest) = text.split_once('/')?;
    let (api, task) = name.rsplit_once('.')?;
    let (rest, unkept) = match rest.strip_suffix(UNKEPT) {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let (message, due) = match rest.split_once('@') {
        Some((message, due)) => (message, Some(due.parse().ok()?)),
        None => (rest, None),
    };
    let is_legal = is_task(api, task)
        && !message.is_empty()
        && message.bytes().all(|byte| byte.is_ascii_graphic())
        && short(message).as_str() == message;
    is_legal.then(|| TaskId {
        due,
        unkept,
        ..TaskId::new(api, task, message)
    })
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::codec::{decode_checked, encode};

    const MESSAGE: &str = "019aa9f4-3c00-7a3b-8f5e-2f1d5c3b7a90";

    #[test]
    fn an_id_is_a_text_and_back() {
        let id = TaskId::new("my.auth", "resize", MESSAGE);
        let due = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        for id in [
            id.clone(),
            id.clone().unkept(),
            id.clone().due_at(due),
            id.due_at(due).unkept(),
            TaskId::new("auth", "report", "cron:sales:nightly:1767225600"),
        ] {
            let text = id.to_string();
            assert_eq!(text.parse::<TaskId>().unwrap().to_string(), text);
            let encoded = encode(&id).unwrap();
            let decoded: TaskId = decode_checked(&encoded).unwrap();
            assert_eq!((decoded.to_string(), decoded), (text, id));
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let long = format!("auth.resize/{}", "a".repeat(256));
        for text in [
            "",
            MESSAGE,
            "auth/1",
            "auth.resize/",
            "auth.resize",
            "Auth.resize/1",
            "auth.resize/a b",
            "auth.resize/1@never",
            &long,
        ] {
            let refused = text.parse::<TaskId>().map_err(|error| error.to_string());
            assert!(refused.is_err_and(|text| text.contains("like `auth")));
        }
    }

    #[test]
    fn an_id_tells_since_when_something_may_have_become_of_it() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let id = TaskId::new("auth", "resize", MESSAGE);
        let made = UNIX_EPOCH + Duration::from_millis(0x019a_a9f4_3c00);
        let due = at(1_800_000_000);
        assert_eq!(id.earliest(due), made);
        let id = id.due_at(due);
        assert_eq!((id.earliest(at(0)), id.earliest(due)), (made, due));
        assert_eq!(TaskId::new("auth", "resize", "7").earliest(due), at(0));
    }

    #[test]
    fn other_ids_have_other_keys() {
        assert_eq!(TaskKey::of(MESSAGE), TaskKey::of(&MESSAGE.to_uppercase()));
        assert_ne!(TaskKey::of("cron:a:b:1"), TaskKey::of("cron:a:b:2"));
    }
}
