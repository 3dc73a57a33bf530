//! Walks over a MessagePack value without decoding it: where does it end, and is it nested no deeper than allowed?
//!
//! A loop, not a recursion: a hostile message costs no stack.

use rmp::Marker;

/// Deepest nesting that is accepted in a payload.
pub(crate) const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    Truncated,
    TooDeep,
    NotAMap,
    KeyNotText,
    TrailingBytes,
    Reserved,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("the payload is truncated"),
            Self::TooDeep => write!(f, "the payload is nested deeper than {MAX_DEPTH} levels"),
            Self::NotAMap => f.write_str("the payload is not a map of names to values"),
            Self::KeyNotText => f.write_str("a name in the payload is not text"),
            Self::TrailingBytes => f.write_str("the payload goes on after its end"),
            Self::Reserved => f.write_str("the payload holds a reserved MessagePack marker"),
        }
    }
}

/// A reader over the bytes of one payload.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Upper bound of how many values can follow: each takes a byte.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let end = self
            .at
            .checked_add(len)
            .filter(|end| *end <= self.bytes.len())
            .ok_or(Malformed::Truncated)?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn marker(&mut self) -> Result<Marker, Malformed> {
        Ok(Marker::from_u8(self.take(1)?[0]))
    }

    /// A big-endian length of `width` bytes.
    fn length(&mut self, width: usize) -> Result<usize, Malformed> {
        Ok(self
            .take(width)?
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    /// The number of entries of a map that starts here.
    pub(crate) fn map(&mut self) -> Result<usize, Malformed> {
        match self.head()? {
            Head::Map(len) => Ok(len),
            _ => Err(Malformed::NotAMap),
        }
    }

    /// The bytes of a text that starts here.
    pub(crate) fn text(&mut self) -> Result<&'a [u8], Malformed> {
        match self.head()? {
            Head::Text(text) => Ok(text),
            _ => Err(Malformed::KeyNotText),
        }
    }

    /// Steps over one value, however nested, up to `depth` levels.
    pub(crate) fn skip(&mut self, depth: usize) -> Result<(), Malformed> {
        // How many values are left to skip on each open level.
        let mut open = [0_usize; MAX_DEPTH];
        let mut level = 0;
        loop {
            let inside = self.head()?.inside();
            if inside > 0 {
                if level >= depth.min(MAX_DEPTH) {
                    return Err(Malformed::TooDeep);
                }
                open[level] = inside;
                level += 1;
                continue;
            }
            while level > 0 && open[level - 1] == 1 {
                level -= 1;
            }
            if level == 0 {
                return Ok(());
            }
            open[level - 1] -= 1;
        }
    }

    /// Reads the head of a value, with its bytes. What is inside an array or a map follows.
    pub(crate) fn head(&mut self) -> Result<Head<'a>, Malformed> {
        let marker = self.marker()?;
        Ok(match marker {
            Marker::Null => Head::Nil,
            Marker::True => Head::Bool(true),
            Marker::False => Head::Bool(false),
            Marker::FixPos(number) => Head::Unsigned(number.into()),
            Marker::FixNeg(number) => Head::Signed(number.into()),
            Marker::U8 => Head::Unsigned(self.unsigned(1)?),
            Marker::U16 => Head::Unsigned(self.unsigned(2)?),
            Marker::U32 => Head::Unsigned(self.unsigned(4)?),
            Marker::U64 => Head::Unsigned(self.unsigned(8)?),
            Marker::I8 => Head::Signed(self.signed(1)?),
            Marker::I16 => Head::Signed(self.signed(2)?),
            Marker::I32 => Head::Signed(self.signed(4)?),
            Marker::I64 => Head::Signed(self.signed(8)?),
            Marker::F32 => Head::F32(f32::from_bits(self.unsigned(4)? as u32)),
            Marker::F64 => Head::F64(f64::from_bits(self.unsigned(8)?)),
            Marker::FixArray(len) => Head::Array(len.into()),
            Marker::Array16 => Head::Array(self.length(2)?),
            Marker::Array32 => Head::Array(self.length(4)?),
            Marker::FixMap(len) => Head::Map(len.into()),
            Marker::Map16 => Head::Map(self.length(2)?),
            Marker::Map32 => Head::Map(self.length(4)?),
            Marker::Reserved => return Err(Malformed::Reserved),
            _ => return self.block(marker),
        })
    }

    /// A value that is a block of bytes: text, binary, or an extension.
    fn block(&mut self, marker: Marker) -> Result<Head<'a>, Malformed> {
        let (len, extension) = match marker {
            Marker::FixStr(len) => return Ok(Head::Text(self.take(len.into())?)),
            Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let width = 1 << (marker.to_u8() - Marker::Str8.to_u8());
                let len = self.length(width)?;
                return Ok(Head::Text(self.take(len)?));
            }
            Marker::Bin8 => (self.length(1)?, false),
            Marker::Bin16 => (self.length(2)?, false),
            Marker::Bin32 => (self.length(4)?, false),
            Marker::FixExt1 => (2, true),
            Marker::FixExt2 => (3, true),
            Marker::FixExt4 => (5, true),
            Marker::FixExt8 => (9, true),
            Marker::FixExt16 => (17, true),
            Marker::Ext8 => (self.length(1)? + 1, true),
            Marker::Ext16 => (self.length(2)? + 1, true),
            Marker::Ext32 => (self.length(4)? + 1, true),
            _ => return Err(Malformed::Reserved),
        };
        let bytes = self.take(len)?;
        Ok(if extension {
            Head::Extension
        } else {
            Head::Bytes(bytes)
        })
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, Malformed> {
        Ok(self
            .take(width)?
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, width: usize) -> Result<i64, Malformed> {
        let unused = 64 - 8 * width as u32;
        // Moved up and down again, the sign fills what was unused.
        Ok((self.unsigned(width)? << unused) as i64 >> unused)
    }
}

/// The beginning of a value; a scalar is all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Head<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    /// Not known to be UTF-8.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    /// So many values follow.
    Array(usize),
    /// So many pairs follow.
    Map(usize),
    Extension,
}

impl Head<'_> {
    /// How many values are inside.
    fn inside(self) -> usize {
        match self {
            Self::Array(len) => len,
            Self::Map(len) => len.saturating_mul(2),
            _ => 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde::Serialize;

    fn end_of(bytes: &[u8]) -> Result<usize, Malformed> {
        let mut cursor = Cursor::new(bytes);
        cursor.skip(MAX_DEPTH).map(|()| cursor.position())
    }

    #[test]
    fn a_value_ends_where_it_ends() {
        #[derive(Serialize)]
        struct Order {
            id: u64,
            lines: Vec<(String, Option<f64>, i32)>,
            note: Option<String>,
            blob: Vec<u8>,
        }
        let order = Order {
            id: u64::MAX,
            lines: (0..40)
                .map(|n| ("x".repeat(n), (n % 2 == 0).then_some(0.5), -70_000))
                .collect(),
            note: None,
            blob: vec![0, 200],
        };
        let mut bytes = rmp_serde::to_vec_named(&order).unwrap();
        let len = bytes.len();
        bytes.extend([1, 2, 3]);
        assert_eq!(end_of(&bytes), Ok(len));
        for cut in 0..len {
            assert_eq!(
                end_of(&bytes[..cut]),
                Err(Malformed::Truncated),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn nesting_is_limited_without_using_the_stack() {
        let nested = |levels: usize| [vec![0x91; levels], vec![0xc0]].concat();
        assert_eq!(end_of(&nested(MAX_DEPTH)), Ok(MAX_DEPTH + 1));
        assert_eq!(end_of(&nested(MAX_DEPTH + 1)), Err(Malformed::TooDeep));
        assert_eq!(end_of(&nested(1_000_000)), Err(Malformed::TooDeep));
    }

    #[test]
    fn a_length_beyond_the_end_is_truncation_not_an_allocation() {
        assert_eq!(
            end_of(&[0xdd, 0xff, 0xff, 0xff, 0xff]),
            Err(Malformed::Truncated)
        );
        assert_eq!(
            end_of(&[0xdb, 0xff, 0xff, 0xff, 0xff]),
            Err(Malformed::Truncated)
        );
        assert_eq!(end_of(&[0xc1]), Err(Malformed::Reserved));
        assert_eq!(end_of(&[]), Err(Malformed::Truncated));
    }

    #[test]
    fn numbers_keep_their_sign_and_width() {
        fn head(bytes: &[u8]) -> Result<Head<'_>, Malformed> {
            Cursor::new(bytes).head()
        }
        for number in [
            0_i64,
            1,
            -1,
            127,
            128,
            -32,
            -33,
            -128,
            -129,
            70_000,
            -70_000,
            i64::MAX,
            i64::MIN,
        ] {
            let bytes = rmp_serde::to_vec(&number).unwrap();
            match head(&bytes) {
                Ok(Head::Unsigned(read)) => assert_eq!(i64::try_from(read), Ok(number)),
                read => assert_eq!(read, Ok(Head::Signed(number))),
            }
        }
        assert_eq!(
            head(&rmp_serde::to_vec(&u64::MAX).unwrap()),
            Ok(Head::Unsigned(u64::MAX))
        );
        assert_eq!(
            head(&rmp_serde::to_vec(&-0.5_f32).unwrap()),
            Ok(Head::F32(-0.5))
        );
        assert_eq!(
            head(&rmp_serde::to_vec(&1e300_f64).unwrap()),
            Ok(Head::F64(1e300))
        );
    }

    #[test]
    fn text_is_read_in_all_its_widths() {
        for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
            let text = "x".repeat(len);
            let bytes = rmp_serde::to_vec(&text).unwrap();
            assert_eq!(
                Cursor::new(&bytes).head(),
                Ok(Head::Text(text.as_bytes())),
                "{len}"
            );
        }
    }

    #[test]
    fn empty_containers_are_values() {
        assert_eq!(end_of(&[0x90]), Ok(1));
        assert_eq!(end_of(&[0x92, 0x80, 0x90, 7]), Ok(3));
    }
}
