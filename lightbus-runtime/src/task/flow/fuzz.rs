//! For fuzzers: what others may have written of what follows a task, and of groups.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::group::Todo;
use super::groups::Groups;
use super::next::{self, Bytes, Gather, Member, Next, Step};
use super::output::{elements, fill};
use super::word::{Part, Word};
use super::{Place, advance};
use crate::wire::Sender;

const LIMIT: usize = 1 << 16;

fn step() -> Next {
    Next::Task(Step {
        api: "auth".to_owned(),
        task: "resize".to_owned(),
        args: Bytes(b"\x81\xa4size\xcd\x01\x00".to_vec()),
        ..Step::default()
    })
}

fn member(index: u32) -> Member {
    Member {
        to: Gather {
            api: "auth".to_owned(),
            task: "resize".to_owned(),
            ttl_ms: Some(1000),
        },
        id: 7,
        lot: 9,
        index,
        of: 3,
    }
}

/// Some that are good.
pub(crate) fn rows() -> Vec<Vec<u8>> {
    let to = member(0).to;
    let each = Next::Each {
        to: to.clone(),
        each: vec![step()],
    };
    let members = vec![vec![step(), step()], vec![each.clone()]];
    let group = Next::Group { to, members };
    let rows = [
        vec![step(), Next::Join(member(1))],
        vec![each, group, step()],
    ];
    rows.iter().map(|row| next::write(row).unwrap()).collect()
}

/// Some that are good.
pub(crate) fn words() -> Vec<Vec<u8>> {
    let part = |index: u32| {
        let place = Place {
            id: uuid::Uuid::nil(),
            flow: "auth/7",
            length: 2,
            replayed: 0,
        };
        Part {
            values: vec![(index, Bytes(vec![7]))],
            ..Part::of(&member(index), &[step()], place)
        }
    };
    let mut words: Vec<_> = (0..3).map(|index| Word::of(part(index))).collect();
    words.push(Word {
        over: vec![(7, i64::MAX)],
        ..Word::default()
    });
    words.iter().map(|word| word.write().unwrap()).collect()
}

/// What follows a task: is it good?
pub(crate) fn row(bytes: &[u8]) -> bool {
    let _ = (fill(bytes, &[0xc0]), elements(bytes));
    let Ok(row) = next::read(bytes) else {
        return false;
    };
    let again = next::read(&next::write(&row).unwrap());
    assert_eq!(again.as_ref(), Ok(&row), "what is written is read");
    let _ = advance::end(uuid::Uuid::nil(), &row);
    true
}

/// One word after the other, put together. Gives how many were good.
pub(crate) fn heard<'a>(words: impl Iterator<Item = &'a [u8]>) -> usize {
    let properties =
        Sender::new(&crate::clock::Clock::default(), "fuzzing", "0").task_join(uuid::Uuid::nil());
    let mut groups = Groups::new(LIMIT);
    let mut good = 0;
    for (tag, bytes) in (1..).zip(words) {
        let Ok(word) = Word::read(&properties, bytes, LIMIT) else {
            continue;
        };
        good += 1;
        let (touched, _) = groups.hear(tag, word);
        groups.check();
        for key in touched {
            if let Some((part, Todo::GoOn(values))) = groups.todo(key) {
                assert_eq!(
                    elements(&values).map(|all| all.len()),
                    Some(part.of as usize)
                );
                groups.end(key.0);
            }
        }
        groups.check();
    }
    good
}
