//! What a task will have returned, as an argument of one that follows it: a hole in its arguments, which is filled when the value is known.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer};

use crate::msgpack::{Cursor, MAX_DEPTH, Malformed};

/// The value that a task will have returned, given to the task that follows it: see [`Task::then`](crate::Task::then). It can be an argument of its type, and nothing else:
/// nobody knows it yet.
pub struct Output<T> {
    of: u64,
    value: PhantomData<fn() -> T>,
}

/// What a task takes as an argument of the type `T`: a value, or the [`Output`] of the task before it. Of text (`str`) and bytes (`[u8]`) whatever can be
/// borrowed as such.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no argument of the type `{T}`",
    label = "neither a `{T}` nor the output of a task that returns one"
)]
pub trait Input<T: ?Sized> {
    #[doc(hidden)]
    fn give<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

impl<T: Serialize> Input<T> for T {
    fn give<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

impl<A: AsRef<str>> Input<str> for A {
    fn give<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_ref())
    }
}

impl<A: AsRef<[u8]>> Input<[u8]> for A {
    fn give<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_ref())
    }
}

impl<T> Input<T> for Output<T> {
    fn give<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.hole(serializer)
    }
}

impl Input<str> for Output<String> {
    fn give<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.hole(serializer)
    }
}

impl Input<[u8]> for Output<Vec<u8>> {
    fn give<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.hole(serializer)
    }
}

/// An argument on its way into a message; see [`given`].
pub struct Given<'a, T: ?Sized, I> {
    input: &'a I,
    argument: PhantomData<fn(&T)>,
}

/// An input, for an argument of the type `T`.
pub fn given<T: ?Sized, I: Input<T>>(input: &I) -> Given<'_, T, I> {
    Given {
        input,
        argument: PhantomData,
    }
}

impl<T: ?Sized, I: Input<T>> Serialize for Given<'_, T, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.input.give(serializer)
    }
}

impl<T: ?Sized, I> fmt::Debug for Given<'_, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}

/// A MessagePack extension of 16 bytes: a word that nobody else writes, and whose output it is.
const EXTENSION: i8 = 0x6c;
const WORD: &[u8; 8] = b"lbOutput";

impl<T> Output<T> {
    /// Of a task that was not named before.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            of: NEXT.fetch_add(1, Ordering::Relaxed),
            value: PhantomData,
        }
    }

    pub(super) fn of(&self) -> u64 {
        self.of
    }

    fn hole<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [0; 16];
        let (word, of) = bytes.split_at_mut(8);
        word.copy_from_slice(WORD);
        of.copy_from_slice(&self.of.to_be_bytes());
        let extension = (EXTENSION, crate::codec::BytesArg(&bytes));
        serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &extension)
    }
}

/// Whose output is to be filled in, if this value is a hole.
pub(crate) fn hole(value: &[u8]) -> Option<u64> {
    let (head, rest) = value.split_first_chunk::<2>()?;
    let (word, of) = rest.split_first_chunk::<8>()?;
    let is_hole = *head == [FIX_EXT_16, EXTENSION as u8] && word == WORD;
    of.try_into()
        .ok()
        .filter(|_| is_hole)
        .map(u64::from_be_bytes)
}

const FIX_EXT_16: u8 = 0xd8;

/// Arguments with all their holes filled by `value`.
pub(super) fn fill(args: &[u8], value: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut filled = Vec::with_capacity(args.len() + value.len());
    let mut cursor = Cursor::new(args);
    let mut copied = 0;
    for _ in 0..cursor.map()? {
        cursor.text()?;
        let begin = cursor.position();
        cursor.skip(MAX_DEPTH - 1)?;
        if hole(&args[begin..cursor.position()]).is_some() {
            filled.extend_from_slice(&args[copied..begin]);
            filled.extend_from_slice(value);
            copied = cursor.position();
        }
    }
    filled.extend_from_slice(&args[copied..]);
    Ok(filled)
}

/// The elements of a list, each as it was written; `None` if it is no list.
pub(super) fn elements(list: &[u8]) -> Option<Vec<&[u8]>> {
    let mut cursor = Cursor::new(list);
    let crate::msgpack::Head::Array(len) = cursor.head().ok()? else {
        return None;
    };
    let mut elements = Vec::with_capacity(len.min(cursor.left()));
    for _ in 0..len {
        let begin = cursor.position();
        cursor.skip(MAX_DEPTH - 1).ok()?;
        elements.push(&list[begin..cursor.position()]);
    }
    Some(elements)
}

/// A list of values that are written already.
pub(super) fn list<'a>(elements: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut list = Vec::with_capacity(64);
    let len = u32::try_from(elements.len()).unwrap_or(u32::MAX);
    // A Vec as writer cannot fail; rmp's signature says it could.
    let _ = rmp::encode::write_array_len(&mut list, len);
    elements.for_each(|element| list.extend_from_slice(element));
    list
}

impl<T> Clone for Output<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Output<T> {}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::codec::{Arg, decode_checked, encode, encode_args_with};

    fn args(args: &[(&'static str, &dyn Arg)]) -> (Vec<u8>, Vec<u64>) {
        let mut holes = Vec::new();
        let encoded = encode_args_with(args, &mut |value| holes.extend(hole(value)));
        (encoded.unwrap(), holes)
    }

    #[test]
    fn an_output_is_a_hole_until_its_value_is_known() {
        let output = Output::<String>::new();
        let (encoded, holes) = args(&[
            ("a", &given::<u8, _>(&7)),
            ("b", &given::<str, _>(&output)),
            ("c", &given::<str, _>(&"x")),
            ("d", &given::<String, _>(&output)),
        ]);
        assert_eq!(holes, [output.of(); 2]);
        let filled = fill(&encoded, &encode("ada").unwrap()).unwrap();
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Args {
            a: u8,
            b: String,
            c: String,
            d: String,
        }
        let wanted = Args {
            a: 7,
            b: "ada".to_owned(),
            c: "x".to_owned(),
            d: "ada".to_owned(),
        };
        assert_eq!(decode_checked::<Args>(&filled), Ok(wanted));
    }

    #[test]
    fn a_literal_has_the_type_of_its_argument() {
        let (encoded, holes) = args(&[
            ("number", &given::<u64, _>(&7)),
            ("list", &given::<Vec<u8>, _>(&vec![])),
            ("none", &given::<Option<String>, _>(&None)),
            ("bytes", &given::<[u8], _>(b"ab")),
        ]);
        assert!(holes.is_empty());
        assert_eq!(fill(&encoded, &[0xc0]).unwrap(), encoded);
    }

    #[test]
    fn a_list_is_taken_apart_and_put_together() {
        let whole = encode(&("a", vec![1, 2], ())).unwrap();
        let parts = elements(&whole).unwrap();
        assert_eq!(parts, [&b"\xa1a"[..], &b"\x92\x01\x02"[..], &b"\xc0"[..]]);
        assert_eq!(list(parts.into_iter()), whole);
        assert_eq!(elements(&encode("no list").unwrap()), None);
        assert_eq!(elements(&[0xdd, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
