//! One group that is being put together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::failed::{Cause, FailedStep};
use super::next::{self, Bytes};
use super::output::list;
use super::word::Part;

/// A group that nobody has told anything of for so long is given up.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Which group. What was fanned out is part of it: a worker that is killed in between may fan out another list the second time.
pub(super) type Key = (u128, u64);

#[derive(Debug)]
pub(super) struct Group {
    /// But for what its members said.
    part: Part,
    values: BTreeMap<u32, Bytes>,
    /// Members without a value.
    failed: BTreeSet<u32>,
    /// Of the values.
    size: usize,
    then_size: usize,
    /// The messages that it is known from.
    pub(super) tags: Vec<u64>,
    /// Something is being done about it.
    pub(super) is_busy: bool,
}

/// What is to be done about a group.
#[derive(Debug, PartialEq)]
pub(super) enum Todo {
    /// All values are there: what follows gets them.
    GoOn(Vec<u8>),
    /// What follows hears that a member failed.
    Tell(Cause),
    /// Nothing comes of it any more.
    Forget,
}

impl Group {
    pub(super) fn new(part: &Part) -> Self {
        let then = next::write(&part.then);
        Self {
            part: Part {
                values: Vec::new(),
                failed: Vec::new(),
                ..part.clone()
            },
            values: BTreeMap::new(),
            failed: BTreeSet::new(),
            size: 0,
            then_size: then.map_or(0, |then| then.len()),
            tags: Vec::new(),
            is_busy: false,
        }
    }

    /// Takes in what else is known. False if it is of another group.
    pub(super) fn add(&mut self, new: Part, values_limit: usize) -> bool {
        let known = &mut self.part;
        if new.of != known.of {
            return false;
        }
        known.replayed = known.replayed.max(new.replayed);
        known.at = known.at.max(new.at);
        known.told |= new.told;
        known.hopeless |= new.hopeless;
        if known.cause.is_none() {
            known.cause = new.cause;
        }
        for index in new.failed {
            if !self.values.contains_key(&index) {
                self.failed.insert(index);
            }
        }
        for (index, value) in new.values {
            self.size += value.0.len();
            self.failed.remove(&index);
            if let Some(before) = self.values.insert(index, value) {
                self.size -= before.0.len();
            }
        }
        if self.part.hopeless {
            self.drop_values();
        } else if self.size > values_limit {
            self.lose_hope(format!(
                "the values of its members take more than {values_limit} bytes together. Return references, or raise `payload_limit` everywhere"
            ));
        }
        true
    }

    /// About how much it takes, here and in a message.
    pub(super) fn weight(&self) -> usize {
        const ITSELF: usize = 2048;
        let domain = self.part.cause.as_ref().and_then(|it| it.domain.as_ref());
        let each = 16 * (self.values.len() + self.failed.len());
        ITSELF + self.then_size + domain.map_or(0, |it| it.0.len()) + each + self.size
    }

    /// They are not needed, but it is known who has said something.
    fn drop_values(&mut self) {
        let heard = std::mem::take(&mut self.values);
        self.failed.extend(heard.into_keys());
        self.size = 0;
    }

    /// It cannot come to a good end any more.
    pub(super) fn lose_hope(&mut self, why: String) {
        self.drop_values();
        self.part.hopeless = true;
        self.part.told = false;
        self.part.cause = Some(Cause {
            failed: FailedStep {
                task: format!("{}.{}", self.part.to.api, self.part.to.task),
                id: uuid::Uuid::from_u128(self.part.id).to_string(),
                attempts: 1,
                reason: "group".to_owned(),
                error: why,
            },
            domain: None,
        });
    }

    /// What follows knows that it failed.
    pub(super) fn told(&mut self) {
        self.part.told = true;
    }

    /// What there is to do about it. It is busy with that until somebody says that it is not.
    pub(super) fn begin(&mut self) -> Option<(Part, Todo)> {
        if self.is_busy {
            return None;
        }
        let is_old = self.part.age() > LONGEST;
        if is_old && self.part.cause.is_none() && !self.is_complete() {
            self.lose_hope("not all of its members were heard of within a week".to_owned());
        }
        let todo = self.todo(is_old)?;
        self.is_busy = true;
        Some((self.part.clone(), todo))
    }

    fn is_complete(&self) -> bool {
        !self.part.hopeless && self.values.len() == self.part.of as usize
    }

    fn todo(&self, is_old: bool) -> Option<Todo> {
        if self.is_complete() {
            let values = self.values.values().map(|value| &value.0[..]);
            return Some(Todo::GoOn(list(values)));
        }
        let cause = self.part.cause.as_ref()?;
        if !self.part.told {
            return Some(Todo::Tell(cause.clone()));
        }
        // Else a member may come out of the dead letters, and heal it.
        let is_lost = self.part.hopeless || cause.is_cancelled();
        let all_heard = self.values.len() + self.failed.len() >= self.part.of as usize;
        (is_old || is_lost && all_heard).then_some(Todo::Forget)
    }

    /// All that is known of it.
    pub(super) fn whole(&self) -> Part {
        let values = self.values.iter();
        Part {
            values: values
                .map(|(index, value)| (*index, value.clone()))
                .collect(),
            failed: self.failed.iter().copied().collect(),
            ..self.part.clone()
        }
    }
}
