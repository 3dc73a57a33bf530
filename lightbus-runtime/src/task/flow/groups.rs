//! The groups that are being put together, and in which messages what is known of them lies.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::failed::{Cause, FailedStep};
use super::next::Bytes;
use super::output::list;
use super::word::{Part, Word};
use crate::wire;

/// A group that nobody has told anything of for so long is given up.
pub(super) const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// For so long it is remembered that a group is over: a member that comes twice reports twice.
const REMEMBERED: Duration = Duration::from_secs(600);
const MOST_REMEMBERED: usize = 100_000;
/// What the values of all groups may take together.
const MOST_BYTES: usize = 256 << 20;

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) part: Part,
    values: BTreeMap<u32, Bytes>,
    bytes: usize,
    /// The messages that it is known from.
    tags: Vec<u64>,
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

#[derive(Debug, Default)]
pub(super) struct Groups {
    open: HashMap<u128, Group>,
    over: HashMap<u128, i64>,
    /// The same, oldest first.
    over_order: VecDeque<u128>,
    /// The messages in hand, each with how many open groups are known from it, and since when.
    held: BTreeMap<u64, Held>,
    bytes: usize,
    payload_limit: usize,
}

#[derive(Debug)]
struct Held {
    groups: usize,
    /// It says which groups are over: kept for as long as that matters.
    remembers: bool,
    since: Instant,
}

impl Groups {
    pub(super) fn new(payload_limit: usize) -> Self {
        Self {
            payload_limit,
            ..Self::default()
        }
    }

    /// Takes in what a message says. Gives the groups that it says something of, and the messages that nobody needs any more.
    pub(super) fn hear(&mut self, tag: u64, word: Word) -> (Vec<u128>, Vec<u64>) {
        let mut held = Held {
            groups: 0,
            remembers: false,
            since: Instant::now(),
        };
        let (mut touched, mut spent) = (Vec::new(), Vec::new());
        for (id, at) in word.over {
            held.remembers |= self.remember(id, at);
            spent.extend(self.end(id));
        }
        for part in word.parts {
            let id = part.id;
            if !self.over.contains_key(&id) {
                self.merge(part, tag);
                held.groups += 1;
                touched.push(id);
            }
        }
        match held.is_spent() {
            true => spent.push(tag),
            false => drop(self.held.insert(tag, held)),
        }
        (touched, spent)
    }

    fn merge(&mut self, part: Part, tag: u64) {
        let group = self.open.entry(part.id).or_insert_with(|| Group {
            part: Part {
                values: Vec::new(),
                failed: Vec::new(),
                ..part.clone()
            },
            values: BTreeMap::new(),
            bytes: 0,
            tags: Vec::new(),
            is_busy: false,
        });
        let before = group.bytes;
        group.add(part);
        group.tags.push(tag);
        let others = self.bytes - before;
        let limit = self.payload_limit;
        if group.bytes > limit {
            group.lose_hope(format!(
                "the values of its members take more than {limit} bytes together. Return references, or raise `payload_limit` everywhere"
            ));
        } else if others + group.bytes > MOST_BYTES {
            group.lose_hope(format!(
                "the groups that are being put together take more than {MOST_BYTES} bytes"
            ));
        }
        self.bytes = others + group.bytes;
    }

    /// What there is to do about a group, once; it is busy until then.
    pub(super) fn todo(&mut self, id: u128) -> Option<(Part, Todo)> {
        let group = self.open.get_mut(&id).filter(|group| !group.is_busy)?;
        let todo = group.todo()?;
        group.is_busy = true;
        Some((group.part.clone(), todo))
    }

    pub(super) fn ids(&self) -> Vec<u128> {
        self.open.keys().copied().collect()
    }

    pub(super) fn get_mut(&mut self, id: u128) -> Option<&mut Group> {
        self.open.get_mut(&id)
    }

    /// A group is over. Gives the messages that nobody needs any more.
    pub(super) fn end(&mut self, id: u128) -> Vec<u64> {
        let Some(group) = self.open.remove(&id) else {
            return Vec::new();
        };
        self.bytes -= group.bytes;
        self.remember(id, wire::now_ms());
        let mut spent = Vec::new();
        for tag in group.tags {
            let Entry::Occupied(mut held) = self.held.entry(tag) else {
                continue;
            };
            held.get_mut().groups = held.get().groups.saturating_sub(1);
            if held.get().is_spent() {
                held.remove();
                spent.push(tag);
            }
        }
        spent
    }

    /// False if that is so long ago that it does not matter.
    fn remember(&mut self, id: u128, at: i64) -> bool {
        if age(at) > REMEMBERED {
            return false;
        }
        if self.over.insert(id, at).is_none() {
            self.over_order.push_back(id);
        }
        if self.over_order.len() > MOST_REMEMBERED
            && let Some(oldest) = self.over_order.pop_front()
        {
            self.over.remove(&oldest);
        }
        true
    }

    /// Messages that nobody needs any more, as time has passed.
    pub(super) fn spent(&mut self) -> Vec<u64> {
        while let Some(oldest) = self.over_order.front()
            && self.over.get(oldest).is_none_or(|at| age(*at) > REMEMBERED)
        {
            self.over.remove(oldest);
            self.over_order.pop_front();
        }
        let mut spent = Vec::new();
        self.held.retain(|tag, held| {
            held.remembers &= held.since.elapsed() <= REMEMBERED;
            if held.is_spent() {
                spent.push(*tag);
            }
            !held.is_spent()
        });
        spent
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// For how long the oldest message has been in hand.
    pub(super) fn oldest(&self) -> Duration {
        let oldest = self.held.first_key_value();
        oldest.map_or(Duration::ZERO, |(_, held)| held.since.elapsed())
    }

    /// All that is known, in words of about so many bytes.
    pub(super) fn words(&self, bytes: usize) -> Vec<Word> {
        let mut words = vec![Word {
            over: self.over.iter().map(|(id, at)| (*id, *at)).collect(),
            ..Word::default()
        }];
        let mut size = 0;
        for group in self.open.values() {
            if size > bytes {
                words.push(Word::default());
                size = 0;
            }
            size += 200 + group.bytes;
            if let Some(word) = words.last_mut() {
                word.parts.push(group.whole());
            }
        }
        words
    }

    /// All is written down anew: gives the messages in hand up to now, which nobody needs any more.
    pub(super) fn written(&mut self) -> Vec<u64> {
        for group in self.open.values_mut() {
            group.tags.clear();
        }
        std::mem::take(&mut self.held).into_keys().collect()
    }
}

impl Held {
    fn is_spent(&self) -> bool {
        self.groups == 0 && !self.remembers
    }
}

fn age(at: i64) -> Duration {
    let ms = wire::now_ms().saturating_sub(at);
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

impl Group {
    fn add(&mut self, new: Part) {
        let known = &mut self.part;
        known.replayed = known.replayed.max(new.replayed);
        known.at = known.at.max(new.at);
        known.told |= new.told;
        known.hopeless |= new.hopeless;
        if known.cause.is_none() {
            known.cause = new.cause;
        }
        for index in new.failed {
            if !known.failed.contains(&index) {
                known.failed.push(index);
            }
        }
        if known.hopeless {
            return self.drop_values();
        }
        for (index, value) in new.values {
            let size = value.0.len();
            if self.values.insert(index, value).is_none() {
                self.bytes += size;
            }
        }
    }

    fn drop_values(&mut self) {
        self.values.clear();
        self.bytes = 0;
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

    fn todo(&self) -> Option<Todo> {
        let of = self.part.of as usize;
        if !self.part.hopeless && self.values.len() == of {
            let values = self.values.values().map(|value| &value.0[..]);
            return Some(Todo::GoOn(list(values)));
        }
        match &self.part.cause {
            Some(cause) if !self.part.told => Some(Todo::Tell(cause.clone())),
            Some(_) if self.part.hopeless => Some(Todo::Forget),
            Some(cause) if cause.is_cancelled() && self.heard() >= of => Some(Todo::Forget),
            _ if self.part.age() > LONGEST => Some(Todo::Forget),
            _ => None,
        }
    }

    /// How many members have said how they ended.
    fn heard(&self) -> usize {
        self.values.len() + self.part.failed.len()
    }

    fn whole(&self) -> Part {
        let values = self.values.iter();
        Part {
            values: values
                .map(|(index, value)| (*index, value.clone()))
                .collect(),
            ..self.part.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::failed::CANCELLED;
    use super::super::next::Gather;
    use super::*;

    fn part(id: u128, of: u32) -> Part {
        Part {
            id,
            of,
            to: Gather::default(),
            then: Vec::new(),
            flow: "auth/1".to_owned(),
            replayed: 0,
            at: wire::now_ms(),
            values: Vec::new(),
            failed: Vec::new(),
            cause: None,
            told: false,
            hopeless: false,
        }
    }

    fn value(id: u128, index: u32, of: u32, value: &[u8]) -> Word {
        Word::of(Part {
            values: vec![(index, Bytes(value.to_vec()))],
            ..part(id, of)
        })
    }

    fn failed(id: u128, index: u32, of: u32, reason: &str) -> Word {
        let failed = FailedStep {
            reason: reason.to_owned(),
            ..FailedStep::default()
        };
        Word::of(Part {
            failed: vec![index],
            cause: Some(Cause {
                failed,
                domain: None,
            }),
            ..part(id, of)
        })
    }

    fn over(id: u128, at: i64) -> Word {
        Word {
            over: vec![(id, at)],
            ..Word::default()
        }
    }

    fn groups() -> Groups {
        Groups::new(1000)
    }

    fn todo(groups: &mut Groups, id: u128) -> Option<Todo> {
        let todo = groups.todo(id).map(|(_, todo)| todo);
        if let Some(group) = groups.get_mut(id) {
            group.is_busy = false;
        }
        todo
    }

    #[test]
    fn a_group_goes_on_when_each_member_has_a_value_however_often_it_is_told() {
        let mut groups = groups();
        for (tag, index) in [(1, 2), (2, 0), (3, 2), (4, 0)] {
            let spent = groups.hear(tag, value(7, index, 3, &[index as u8]));
            assert_eq!(spent, (vec![7], vec![]));
            assert_eq!(todo(&mut groups, 7), None);
        }
        groups.hear(5, value(7, 1, 3, &[1]));
        let list = vec![0x93, 0, 1, 2];
        assert_eq!(todo(&mut groups, 7), Some(Todo::GoOn(list)));
        assert_eq!(groups.end(7), [1, 2, 3, 4, 5]);
        assert_eq!(groups.bytes, 0);
    }

    #[test]
    fn what_is_told_of_a_group_that_is_over_is_not_needed() {
        let mut groups = groups();
        groups.hear(1, value(7, 0, 2, &[0]));
        // By the one before, which went on with it.
        assert_eq!(groups.hear(2, over(7, wire::now_ms())), (vec![], vec![1]));
        assert_eq!(groups.hear(3, value(7, 1, 2, &[0])), (vec![], vec![3]));
        assert!(groups.spent().is_empty() && groups.held() == 1);
        // Long ago: nobody can come with it any more.
        assert_eq!(groups.hear(4, over(8, 0)), (vec![], vec![4]));
    }

    #[test]
    fn a_failure_is_told_once_and_all_values_heal_it() {
        let mut groups = groups();
        groups.hear(1, failed(7, 0, 2, "failed"));
        groups.hear(2, value(7, 1, 2, &[1]));
        assert!(matches!(todo(&mut groups, 7), Some(Todo::Tell(_))));
        // The next one hears from the queue that it is told.
        let told = Part {
            told: true,
            ..part(7, 2)
        };
        groups.hear(3, Word::of(told));
        assert_eq!(todo(&mut groups, 7), None);
        groups.hear(4, value(7, 0, 2, &[0]));
        assert_eq!(todo(&mut groups, 7), Some(Todo::GoOn(vec![0x92, 0, 1])));
    }

    #[test]
    fn a_cancelled_group_is_forgotten_when_all_have_been_heard() {
        let mut groups = groups();
        groups.hear(1, failed(7, 0, 2, CANCELLED));
        let told = |groups: &mut Groups| {
            if let Some(group) = groups.get_mut(7) {
                group.part.told = true;
            }
        };
        told(&mut groups);
        assert_eq!(todo(&mut groups, 7), None);
        groups.hear(2, failed(7, 1, 2, CANCELLED));
        assert_eq!(todo(&mut groups, 7), Some(Todo::Forget));
    }

    #[test]
    fn what_is_too_large_together_has_no_hope() {
        let mut groups = groups();
        groups.hear(1, value(7, 0, 3, &[0; 600]));
        groups.hear(2, value(7, 1, 3, &[0; 600]));
        let Some(Todo::Tell(cause)) = todo(&mut groups, 7) else {
            unreachable!("its values are lost");
        };
        assert!(cause.failed.error.contains("1000 bytes"));
        assert_eq!(groups.bytes, 0);
        groups.hear(3, value(7, 2, 3, &[0; 600]));
        assert_eq!(groups.bytes, 0);
        if let Some(group) = groups.get_mut(7) {
            group.part.told = true;
        }
        assert_eq!(todo(&mut groups, 7), Some(Todo::Forget));
    }

    #[test]
    fn what_is_written_down_says_the_same_as_what_it_replaces() {
        let mut groups = groups();
        groups.hear(1, value(7, 0, 2, &[0]));
        groups.hear(2, value(8, 1, 2, &[1]));
        groups.hear(3, over(9, wire::now_ms()));
        let words = groups.words(1000);
        assert_eq!(groups.written(), [1, 2, 3]);
        let mut next = super::tests::groups();
        for (tag, word) in (11..).zip(words.clone()) {
            assert!(next.hear(tag, word.clone()).1.is_empty());
            assert!(groups.hear(tag, word).1.is_empty());
        }
        for groups in [&mut groups, &mut next] {
            groups.hear(20, value(7, 1, 2, &[1]));
            assert_eq!(todo(groups, 7), Some(Todo::GoOn(vec![0x92, 0, 1])));
            // The first message says something of the other group, too.
            assert_eq!(groups.end(7), [20]);
            assert_eq!(groups.hear(21, value(9, 0, 2, &[0])).1, [21]);
        }
    }
}
