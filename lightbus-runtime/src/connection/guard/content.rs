//! The properties of one message, as they stand in its content header.

use super::table::{self, Fault, is_text, long, short};
use crate::wire::UNREADABLE;

/// Class, weight and size of the body: what lies before the flags.
const BEFORE_FLAGS: usize = 12;
const BEFORE_PROPERTIES: usize = BEFORE_FLAGS + 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Property {
    Text,
    Table,
    Octet,
    Time,
}
use Property::{Octet, Table, Text, Time};

/// By the flag's bit, from the highest: content type, content encoding, headers, delivery mode, priority, correlation id, reply-to,
/// expiration, message id, timestamp, type, user id, app id, cluster id.
const PROPERTIES: [Property; 14] = [
    Text, Text, Table, Octet, Octet, Text, Text, Text, Text, Time, Text, Text, Text, Text,
];
const CONTENT_TYPE: u16 = 1 << 15;

impl Property {
    /// Where the property that begins at `at` ends, by its own word.
    fn end(self, payload: &[u8], at: usize) -> Option<usize> {
        let end = match self {
            Text => short(payload, at)?.end,
            Table => at.checked_add(4)?.checked_add(long(payload, at)?)?,
            Octet => at + 1,
            Time => at + 8,
        };
        (end <= payload.len()).then_some(end)
    }

    fn check(self, property: &[u8]) -> Result<(), Fault> {
        match self {
            Text => match is_text(&property[1..]) {
                true => Ok(()),
                false => Err(Fault::NotText),
            },
            Table => table::check(&property[4..]),
            Octet | Time => Ok(()),
        }
    }
}

/// The properties that are there, by their bits, in order.
fn present(payload: &[u8]) -> impl Iterator<Item = (u16, Property)> {
    let flags = payload.get(BEFORE_FLAGS..BEFORE_PROPERTIES);
    let mut flags = flags.map_or(0, |flags| u16::from_be_bytes([flags[0], flags[1]]));
    std::iter::from_fn(move || {
        // The lowest two bits are no property's.
        let property = PROPERTIES.get(flags.leading_zeros() as usize)?;
        let bit = CONTENT_TYPE >> flags.leading_zeros();
        flags &= !bit;
        Some((bit, *property))
    })
}

/// Can everything in this content header be read, with little stack?
pub(super) fn check(payload: &[u8]) -> Result<(), Fault> {
    let mut at = BEFORE_PROPERTIES;
    for (_, property) in present(payload) {
        let end = property.end(payload, at).ok_or(Fault::Malformed)?;
        property.check(&payload[at..end])?;
        at = end;
    }
    match at == payload.len() {
        true => Ok(()),
        false => Err(Fault::Malformed),
    }
}

/// The same header with what can be read of it, and a content type that says what was wrong: nobody decodes the body of such a message.
/// `None` if the header is too short for any properties.
pub(super) fn readable(payload: &[u8], fault: Fault) -> Option<Vec<u8>> {
    let before = payload.get(..BEFORE_FLAGS)?;
    let mark = format!("{UNREADABLE}{fault}");
    let (mut flags, mut kept) = (CONTENT_TYPE, Vec::new());
    kept.push(u8::try_from(mark.len()).ok()?);
    kept.extend_from_slice(mark.as_bytes());
    let mut at = BEFORE_PROPERTIES;
    for (bit, property) in present(payload) {
        let Some(end) = property.end(payload, at) else {
            break;
        };
        let bytes = &payload[at..end];
        if bit != CONTENT_TYPE && property != Table && property.check(bytes).is_ok() {
            flags |= bit;
            kept.extend_from_slice(bytes);
        }
        at = end;
    }
    Some([before, &flags.to_be_bytes(), &kept].concat())
}
