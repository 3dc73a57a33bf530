//! A task on its way to its queue: what it carries, and where it is published.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use uuid::Uuid;

use super::address::Address;
use super::id::TaskId;
use super::results::LONGEST_KEPT;
use super::spec::TaskSpec;
use super::unique;
use crate::topology::{self, Lane, Plan, Priority};
use crate::wire::{self, Sender, TaskHeaders};

/// It becomes part of a queue's name, beside the names of API and task.
const KEY_LIMIT: usize = 100;

/// A task whose arguments are encoded and whose options have been checked.
#[derive(Clone, Debug)]
pub(crate) struct TaskMessage {
    pub(crate) spec: &'static TaskSpec,
    pub(crate) payload: Vec<u8>,
    pub(crate) options: Options,
}

/// What was said about one task where it was enqueued.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) due: Due,
    pub(crate) priority: Priority,
    pub(crate) expires: Option<Duration>,
    /// Its key, and whether to join the one who has it.
    pub(crate) unique: Option<(String, bool)>,
    pub(crate) result_ttl: Option<Duration>,
    pub(crate) headers: Vec<(String, String)>,
}

/// When a task is to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Due {
    #[default]
    Now,
    After(Duration),
    At(SystemTime),
}

impl Due {
    /// Counted from `now` on.
    pub(crate) fn delay(self, now: SystemTime) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::After(delay) => delay,
            Self::At(at) => at.duration_since(now).unwrap_or_default(),
        }
    }

    /// Until when what expires so long after it is due may begin, in milliseconds since 1970.
    pub(super) fn begins_until(self, expires: Duration, now: SystemTime) -> i64 {
        let expires = i64::try_from(expires.as_millis()).unwrap_or(i64::MAX);
        ms(now + self.delay(now)).saturating_add(expires)
    }
}

impl TaskMessage {
    pub(crate) fn lane(&self) -> Lane<'static> {
        lane(self.spec)
    }

    pub(super) fn address(&self) -> Address<'static> {
        Address {
            api: self.spec.api,
            lane: self.lane(),
            priority: self.options.priority,
        }
    }

    pub(crate) fn queue(&self) -> String {
        self.address().queue()
    }

    /// What the queue needs to exist.
    pub(crate) fn plan(&self) -> Plan {
        self.address().plan()
    }

    /// The message's properties. It is enqueued `now`, for the first time.
    pub(crate) fn properties(&self, sender: &Sender, id: &str, now: SystemTime) -> BasicProperties {
        let options = &self.options;
        let expires = options.expires.or(self.spec.expires);
        let unique = self.unique_header(now);
        let says = TaskHeaders {
            name: self.spec.task,
            begins_until: expires.map(|expires| options.due.begins_until(expires, now)),
            unique: unique.as_deref(),
            result_ttl: self.result_ttl(),
            own: &options.headers,
            flow: None,
        };
        sender.task(id, &says)
    }

    /// With `#[task(unique)]`, the arguments are the key.
    pub(crate) fn make_unique(&mut self) {
        if !self.spec.unique {
            return;
        }
        let (key, _) = self.options.unique.get_or_insert_default();
        if key.is_empty() {
            let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &self.payload);
            *key = hash.simple().to_string();
        }
    }

    /// What it says of its key.
    pub(crate) fn unique_header(&self, now: SystemTime) -> Option<String> {
        let (key, _) = self.options.unique.as_ref()?;
        let is_kept = self.result_ttl().is_some();
        Some(unique::header(key, self.options.due.delay(now), is_kept))
    }

    fn result_ttl(&self) -> Option<Duration> {
        self.options.result_ttl.or(self.spec.result_ttl)
    }

    /// By what it is found again, enqueued `now` under this message's id.
    pub(crate) fn id(&self, message: &str, now: SystemTime) -> TaskId {
        let id = TaskId::new(self.spec.api, self.spec.task, message);
        let delay = self.options.due.delay(now);
        let id = match delay.is_zero() {
            true => id,
            false => id.due_at(now + delay),
        };
        match self.result_ttl() {
            Some(_) => id,
            None => id.unkept(),
        }
    }

    /// May it be sent? Else the reason.
    pub(crate) fn check(&self, payload_limit: usize, now: SystemTime) -> Result<(), String> {
        if self.payload.len() > payload_limit {
            return Err(format!(
                "its arguments take {} bytes, the limit is {payload_limit}. Send a reference instead, or raise `payload_limit` on both sides",
                self.payload.len()
            ));
        }
        if self.spec.is_limited() && self.options.priority != Priority::Normal {
            return Err(
                "a task with `rate` or `concurrency` has one queue of its own, and no priorities"
                    .to_owned(),
            );
        }
        let key = self.options.unique.as_ref().map(|(key, _)| key);
        if key.is_some_and(String::is_empty) {
            return Err("it has no key: say `.unique(key)`, or write `#[task(unique)]` for one that is made of the arguments".to_owned());
        }
        if let Some(length) = key.map(String::len).filter(|length| *length > KEY_LIMIT) {
            return Err(format!(
                "its unique key takes {length} bytes, and may take {KEY_LIMIT}: use a hash of it"
            ));
        }
        if self.result_ttl() > Some(LONGEST_KEPT) {
            return Err(format!(
                "its result is to be kept for {:?}, the limit is {} days. Have the task store it elsewhere",
                self.result_ttl().unwrap_or_default(),
                LONGEST_KEPT.as_secs() / 86_400
            ));
        }
        let delay = self.options.due.delay(now);
        if delay > topology::LONGEST_DELAY {
            return Err(format!(
                "it is due in {} days, the limit is {}",
                delay.as_secs() / 86_400,
                topology::LONGEST_DELAY.as_secs() / 86_400
            ));
        }
        wire::check_headers(&self.options.headers)
    }
}

/// Which of an API's queues a task goes to.
pub(crate) fn lane(spec: &TaskSpec) -> Lane<'static> {
    match spec.queue {
        _ if spec.is_limited() => Lane::Limited(spec.task),
        Some(queue) => Lane::Named(queue),
        None => Lane::Api,
    }
}

fn ms(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    static RESIZE: TaskSpec = TaskSpec {
        api: "auth",
        task: "resize",
        queue: Some("slow"),
        retries: None,
        backoff: None,
        timeout: None,
        expires: None,
        result_ttl: None,
        unique: false,
        rate: None,
        concurrency: None,
    };

    fn message(due: Due) -> TaskMessage {
        TaskMessage {
            spec: &RESIZE,
            payload: Vec::new(),
            options: Options {
                due,
                ..Options::default()
            },
        }
    }

    #[test]
    fn what_expires_does_so_counted_from_when_it_is_due() {
        let sender = Sender::new(
            &crate::clock::Clock::default(),
            "shop",
            "0123456789abcdef0123456789abcdef",
        );
        let mut message = message(Due::After(Duration::from_secs(60)));
        message.options.expires = Some(Duration::from_secs(5));
        let now = SystemTime::now();
        let properties = message.properties(&sender, "id", now);
        let until = wire::header_number(&properties, wire::DEADLINE);
        assert_eq!(until, Some(ms(now) + 65_000));
    }
}
