//! Field tables as bytes: checked without recursion before anything decodes them, and changed only where the broker must.

use amq_protocol::{
    frame::WriteContext,
    types::{AMQPValue, FieldTable, generation::gen_field_table, parsing::parse_field_table},
};

/// How deep tables and arrays may nest. Deeper ones crash clients whose decoders recurse.
pub(crate) const MAX_DEPTH: usize = 64;

/// A table that is not well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableError {
    Malformed,
    TooDeep,
}

/// The container being walked: where it ends, and whether its entries have names.
#[derive(Clone, Copy)]
struct Level {
    end: usize,
    named: bool,
}

/// Walks the table that starts at `at` (its length first), calls `top` with each of its own keys, and returns where it ends.
pub(crate) fn walk(
    bytes: &[u8],
    at: usize,
    mut top: impl FnMut(&[u8]),
) -> Result<usize, TableError> {
    let (mut at, end) = extent(bytes, at, bytes.len())?;
    let mut levels = vec![Level { end, named: true }];
    while let Some(&level) = levels.last() {
        if at == level.end {
            levels.pop();
            continue;
        }
        if level.named {
            let key = slice(bytes, at + 1, usize::from(byte(bytes, at)?), level.end)?;
            at += 1 + key.len();
            if levels.len() == 1 {
                top(key);
            }
        }
        let kind = byte(bytes, at)?;
        at += 1;
        match size_of(kind).ok_or(TableError::Malformed)? {
            Size::Fixed(size) => at += size,
            Size::Counted => at = extent(bytes, at, level.end)?.1,
            Size::Nested => {
                let (start, end) = extent(bytes, at, level.end)?;
                if levels.len() >= MAX_DEPTH {
                    return Err(TableError::TooDeep);
                }
                let named = kind == b'F';
                levels.push(Level { end, named });
                at = start;
            }
        }
        if at > level.end {
            return Err(TableError::Malformed);
        }
    }
    Ok(at)
}

enum Size {
    Fixed(usize),
    Counted,
    Nested,
}

fn size_of(kind: u8) -> Option<Size> {
    Some(match kind {
        b'V' => Size::Fixed(0),
        b't' | b'b' | b'B' => Size::Fixed(1),
        b's' | b'u' | b'U' => Size::Fixed(2),
        b'I' | b'i' | b'f' => Size::Fixed(4),
        b'D' => Size::Fixed(5),
        b'l' | b'L' | b'd' | b'T' => Size::Fixed(8),
        b'S' | b'x' => Size::Counted,
        b'F' | b'A' => Size::Nested,
        _ => return None,
    })
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, TableError> {
    bytes.get(at).copied().ok_or(TableError::Malformed)
}

fn slice(bytes: &[u8], at: usize, len: usize, limit: usize) -> Result<&[u8], TableError> {
    let end = at
        .checked_add(len)
        .filter(|end| *end <= limit)
        .ok_or(TableError::Malformed)?;
    bytes.get(at..end).ok_or(TableError::Malformed)
}

/// The extent of what follows a four byte length at `at`.
fn extent(bytes: &[u8], at: usize, limit: usize) -> Result<(usize, usize), TableError> {
    let head = slice(bytes, at, 4, limit)?;
    let len = head
        .iter()
        .fold(0_usize, |len, byte| (len << 8) | usize::from(*byte));
    slice(bytes, at + 4, len, limit)?;
    Ok((at + 4, at + 4 + len))
}

/// Decodes a table that [`walk`] has accepted.
pub(crate) fn decode(bytes: &[u8]) -> Option<FieldTable> {
    parse_field_table(bytes).ok().map(|(_, table)| table)
}

/// Encodes a table, its length first.
pub(crate) fn encode(table: &FieldTable) -> Vec<u8> {
    let context = WriteContext::from(Vec::new());
    match gen_field_table(table)(context) {
        Ok(context) => context.into_inner().0,
        // A table that cannot be written is one with a key that is too long; none such was ever accepted.
        Err(_) => vec![0; 4],
    }
}

/// Appends one entry of a table.
pub(crate) fn entry(wire: &mut Vec<u8>, name: &str, value: AMQPValue) {
    let mut one = FieldTable::default();
    one.insert(name.into(), value);
    wire.extend_from_slice(encode(&one).get(4..).unwrap_or_default());
}

/// Appends what `write` appends, its length first.
pub(crate) fn sized(wire: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = wire.len();
    wire.extend_from_slice(&[0; 4]);
    write(wire);
    let len = (wire.len() - at - 4) as u32;
    if let Some(head) = wire.get_mut(at..at + 4) {
        head.copy_from_slice(&len.to_be_bytes());
    }
}

/// The offset of the one table in a client's method, if the method has one; `None` also where the fields before it are cut short.
pub(crate) fn offset_in_method(class: u16, method: u16, arguments: &[u8]) -> Option<usize> {
    let (reserved, strings, flags) = match (class, method) {
        (10, 11) => (0, 0, 0),
        (40, 10) => (2, 2, 1),
        (40, 30 | 40) | (50, 20) => (2, 3, 1),
        (50, 10) => (2, 1, 1),
        (50, 50) => (2, 3, 0),
        (60, 20) => (2, 2, 1),
        _ => return None,
    };
    let mut at = reserved;
    for _ in 0..strings {
        at += 1 + usize::from(*arguments.get(at)?);
    }
    Some(at + flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::types::{AMQPValue, FieldArray};

    fn nested(levels: usize) -> Vec<u8> {
        let mut table = FieldTable::default();
        for _ in 1..levels {
            let mut outer = FieldTable::default();
            outer.insert("t".into(), AMQPValue::FieldTable(table));
            table = outer;
        }
        encode(&table)
    }

    #[test]
    fn accepts_every_type_and_names_top_keys() {
        let mut table = FieldTable::default();
        table.insert(
            "CC".into(),
            AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongString("a".into())])),
        );
        table.insert("n".into(), AMQPValue::LongLongInt(7));
        table.insert("v".into(), AMQPValue::Void);
        let bytes = encode(&table);
        let mut keys = Vec::new();
        let end = walk(&bytes, 0, |key| keys.push(key.to_vec()));
        assert_eq!(end, Ok(bytes.len()));
        assert_eq!(keys, [b"CC".to_vec(), b"n".to_vec(), b"v".to_vec()]);
        assert_eq!(decode(&bytes), Some(table));
    }

    #[test]
    fn refuses_depth_without_recursing() {
        assert!(walk(&nested(MAX_DEPTH), 0, |_| ()).is_ok());
        assert_eq!(
            walk(&nested(MAX_DEPTH + 1), 0, |_| ()),
            Err(TableError::TooDeep)
        );
    }

    #[test]
    fn refuses_every_truncation() {
        let mut table = FieldTable::default();
        table.insert("key".into(), AMQPValue::LongString("value".into()));
        table.insert("t".into(), AMQPValue::FieldTable(table.clone()));
        let bytes = encode(&table);
        for cut in 0..bytes.len() {
            assert_eq!(
                walk(&bytes[..cut], 0, |_| ()),
                Err(TableError::Malformed),
                "cut at {cut}"
            );
        }
    }
}
