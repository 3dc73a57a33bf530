//! The groups that are being put together, and in which messages what is known of them lies.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use tokio::time::Instant;

use super::group::{Group, Key, Todo};
use super::over::{Over, REMEMBERED};
use super::word::{Part, Word};
use crate::clock::system;

/// What all groups may take together.
const MOST_BYTES: usize = 256 << 20;
/// So many groups that are over are named in one message.
const OVER_AT_ONCE: usize = 5000;

#[derive(Debug, Default)]
pub(super) struct Groups {
    open: BTreeMap<Key, Group>,
    over: Over,
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
    pub(super) fn hear(&mut self, tag: u64, word: Word) -> (Vec<Key>, Vec<u64>) {
        let mut held = Held {
            groups: 0,
            remembers: false,
            since: Instant::now(),
        };
        let (mut touched, mut spent) = (Vec::new(), Vec::new());
        for (id, at) in word.over {
            held.remembers |= self.over.add(id, at);
            spent.extend(self.end(id));
        }
        for part in word.parts {
            let key = part.key();
            if !self.over.contains(part.id) && self.merge(part, tag) {
                held.groups += 1;
                touched.push(key);
            }
        }
        match held.is_spent() {
            true => spent.push(tag),
            false => drop(self.held.insert(tag, held)),
        }
        (touched, spent)
    }

    fn merge(&mut self, part: Part, tag: u64) -> bool {
        let (key, limit, others) = (part.key(), self.payload_limit, self.bytes);
        let is_new = !self.open.contains_key(&key);
        let group = self.open.entry(key).or_insert_with(|| Group::new(&part));
        let before = if is_new { 0 } else { group.weight() };
        let is_its = group.add(part, limit);
        if is_its {
            group.tags.push(tag);
        }
        if others - before + group.weight() > MOST_BYTES {
            group.lose_hope(format!(
                "the groups that are being put together take more than {MOST_BYTES} bytes"
            ));
        }
        self.bytes = others - before + group.weight();
        is_its
    }

    /// Is so much known that some of it has to go on, even if not everything is known yet?
    pub(super) fn is_full(&self) -> bool {
        self.bytes > MOST_BYTES / 2
    }

    /// What there is to do about a group, once; it is busy until then.
    pub(super) fn todo(&mut self, key: Key) -> Option<(Part, Todo)> {
        self.change(key, Group::begin)?
    }

    /// Changes what is known of a group; `None` if it is not open.
    pub(super) fn change<R>(
        &mut self,
        key: Key,
        change: impl FnOnce(&mut Group) -> R,
    ) -> Option<R> {
        let group = self.open.get_mut(&key)?;
        let others = self.bytes - group.weight();
        let changed = change(group);
        self.bytes = others + group.weight();
        Some(changed)
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.open.keys().copied().collect()
    }

    /// A group is over, whatever was fanned out. Gives the messages that nobody needs any more.
    pub(super) fn end(&mut self, id: u128) -> Vec<u64> {
        let lots = self.open.range((id, 0)..=(id, u64::MAX));
        let lots: Vec<Key> = lots.map(|(key, _)| *key).collect();
        let mut spent = Vec::new();
        for group in lots.iter().filter_map(|key| self.open.remove(key)) {
            self.bytes -= group.weight();
            for tag in group.tags {
                spent.extend(release(&mut self.held, tag));
            }
        }
        self.over.add(id, system::now_ms());
        spent
    }

    /// Messages that nobody needs any more, as time has passed.
    pub(super) fn spent(&mut self) -> Vec<u64> {
        self.over.forget_old();
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

    /// All that is known, in words of about so many bytes; one holds a whole group at least.
    pub(super) fn words(&self, bytes: usize) -> impl Iterator<Item = Word> {
        let over: Vec<_> = self.over.all().collect();
        let over: Vec<Word> = over
            .chunks(OVER_AT_ONCE)
            .map(|over| Word {
                over: over.to_vec(),
                ..Word::default()
            })
            .collect();
        let mut open = self.open.values().peekable();
        let parts = std::iter::from_fn(move || {
            let mut word = Word::default();
            let mut size = 0;
            while let Some(group) =
                open.next_if(|group| size == 0 || size + group.weight() <= bytes)
            {
                size += group.weight();
                word.parts.push(group.whole());
            }
            (size > 0).then_some(word)
        });
        over.into_iter().chain(parts)
    }

    /// What must hold after everything.
    #[cfg(any(test, fuzzing))]
    pub(super) fn check(&self) {
        let weights: usize = self.open.values().map(Group::weight).sum();
        assert_eq!(self.bytes, weights, "what they take is counted");
        let tags = self.open.values().flat_map(|group| &group.tags);
        assert!(tags.into_iter().all(|tag| self.held.contains_key(tag)));
    }

    /// All is written down anew: gives the messages in hand up to now, which nobody needs any more.
    pub(super) fn written(&mut self) -> Vec<u64> {
        for group in self.open.values_mut() {
            group.tags.clear();
        }
        std::mem::take(&mut self.held).into_keys().collect()
    }
}

/// One group less is known from this message. Gives it if nobody needs it any more.
fn release(held: &mut BTreeMap<u64, Held>, tag: u64) -> Option<u64> {
    let Entry::Occupied(mut held) = held.entry(tag) else {
        return None;
    };
    held.get_mut().groups = held.get().groups.saturating_sub(1);
    if !held.get().is_spent() {
        return None;
    }
    held.remove();
    Some(tag)
}

impl Held {
    fn is_spent(&self) -> bool {
        self.groups == 0 && !self.remembers
    }
}

#[cfg(test)]
mod tests {
    use super::super::failed::CANCELLED;
    use super::super::failed::{Cause, FailedStep};
    use super::super::next::{Bytes, Gather};
    use super::*;

    fn part(id: u128, of: u32) -> Part {
        Part {
            id,
            lot: 1,
            of,
            to: Gather::default(),
            then: Vec::new(),
            flow: "auth/1".to_owned(),
            length: 2,
            replayed: 0,
            at: system::now_ms(),
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
        let todo = groups.todo((id, 1)).map(|(_, todo)| todo);
        groups.change((id, 1), |group| group.is_busy = false);
        todo
    }

    #[test]
    fn a_group_goes_on_when_each_member_has_a_value_however_often_it_is_told() {
        let mut groups = groups();
        for (tag, index) in [(1, 2), (2, 0), (3, 2), (4, 0)] {
            let spent = groups.hear(tag, value(7, index, 3, &[index as u8]));
            assert_eq!(spent, (vec![(7, 1)], vec![]));
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
        assert_eq!(groups.hear(2, over(7, system::now_ms())), (vec![], vec![1]));
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
        groups.change((7, 1), Group::told);
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
        groups.change((7, 1), Group::told);
        // Its members go on, and what they say is not told again.
        assert_eq!(todo(&mut groups, 7), None);
        groups.hear(3, value(7, 2, 3, &[0; 600]));
        assert!(groups.bytes < 3000);
        assert_eq!(todo(&mut groups, 7), Some(Todo::Forget));
        groups.end(7);
        assert_eq!(groups.bytes, 0);
    }

    #[test]
    fn what_is_written_down_says_the_same_as_what_it_replaces() {
        let mut groups = groups();
        groups.hear(1, value(7, 0, 2, &[0]));
        groups.hear(2, value(8, 1, 2, &[1]));
        groups.hear(3, over(9, system::now_ms()));
        let words: Vec<_> = groups.words(1000).collect();
        assert_eq!(words.len(), 3);
        assert_eq!(groups.written(), [1, 2, 3]);
        let mut next = super::tests::groups();
        for (tag, word) in (11..).zip(words.clone()) {
            assert!(next.hear(tag, word.clone()).1.is_empty());
            assert!(groups.hear(tag, word).1.is_empty());
        }
        for groups in [&mut groups, &mut next] {
            groups.hear(20, value(7, 1, 2, &[1]));
            assert_eq!(todo(groups, 7), Some(Todo::GoOn(vec![0x92, 0, 1])));
            let mut spent = groups.end(7);
            spent.sort_unstable();
            assert!(spent.len() == 2 && spent[1] == 20, "{spent:?}");
            assert_eq!(groups.hear(21, value(9, 0, 2, &[0])).1, [21]);
        }
    }

    #[test]
    fn lists_that_were_fanned_out_one_after_the_other_are_not_mixed() {
        let mut groups = groups();
        let of_lot = |lot, index, of, value: &[u8]| {
            Word::of(Part {
                lot,
                values: vec![(index, Bytes(value.to_vec()))],
                ..part(7, of)
            })
        };
        groups.hear(1, of_lot(1, 0, 2, &[1]));
        groups.hear(2, of_lot(2, 1, 3, &[2]));
        groups.hear(3, of_lot(2, 0, 3, &[2]));
        // Of the same list, but of another size: it is somebody else's word.
        assert_eq!(groups.hear(4, of_lot(2, 2, 4, &[9])), (vec![], vec![4]));
        groups.hear(5, of_lot(2, 2, 3, &[2]));
        assert_eq!(groups.todo((7, 1)), None);
        let todo = groups.todo((7, 2)).map(|(_, todo)| todo);
        assert_eq!(todo, Some(Todo::GoOn(vec![0x93, 2, 2, 2])));
        let mut spent = groups.end(7);
        spent.sort_unstable();
        assert_eq!(spent, [1, 2, 3, 5]);
        assert_eq!((groups.bytes, groups.held()), (0, 0));
    }

    #[test]
    fn no_word_is_larger_than_what_is_read() {
        let mut groups = Groups::new(10_000);
        for id in 0..2000 {
            let tag = u64::try_from(id).unwrap_or_default();
            groups.hear(tag, value(id, 0, 2, &[0; 100]));
            groups.hear(10_000 + tag, over(100_000 + id, system::now_ms()));
        }
        let mut read = Groups::new(10_000);
        for (tag, word) in (0..).zip(groups.words(50_000)) {
            assert!(word.write().is_ok_and(|bytes| bytes.len() < 200_000));
            read.hear(tag, word);
        }
        assert_eq!(read.bytes, groups.bytes);
        assert_eq!(read.over.all().count(), groups.over.all().count());
    }
}
