//! Basic properties as bytes. They pass through the broker untouched; this finds the few fields it reads and splices the few it writes.

use super::tables::{self, TableError};

/// The number of fields in the class.
const FIELDS: usize = 14;

/// A field of the basic class, by its place in the property flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    ContentType = 0,
    Headers = 2,
    DeliveryMode = 3,
    Priority = 4,
    CorrelationId = 5,
    ReplyTo = 6,
    Expiration = 7,
    MessageId = 8,
    Type = 10,
    UserId = 11,
    AppId = 12,
}

/// Where each field of one property list lies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Index {
    flags: u16,
    spans: [(u32, u32); FIELDS],
    /// The headers hold `CC` or `BCC`.
    pub(crate) copies: bool,
}

impl Index {
    /// Checks a property list and notes where its fields are.
    pub(crate) fn scan(raw: &[u8]) -> Result<Self, TableError> {
        let flags = match raw {
            [high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => return Err(TableError::Malformed),
        };
        if flags & 1 != 0 {
            return Err(TableError::Malformed);
        }
        let mut index = Self {
            flags,
            ..Self::default()
        };
        let mut at = 2;
        for field in (0..FIELDS).filter(|field| present(flags, *field)) {
            let end = match field {
                2 => tables::walk(raw, at, |key| index.copies |= key == b"CC" || key == b"BCC")?,
                3 | 4 => at + 1,
                9 => at + 8,
                _ => at + 1 + usize::from(*raw.get(at).ok_or(TableError::Malformed)?),
            };
            if end > raw.len() {
                return Err(TableError::Malformed);
            }
            index.spans[field] = (at as u32, end as u32);
            at = end;
        }
        if at == raw.len() {
            Ok(index)
        } else {
            Err(TableError::Malformed)
        }
    }

    /// A field's bytes as they are on the wire, length and all.
    pub(crate) fn wire<'a>(&self, raw: &'a [u8], field: Field) -> Option<&'a [u8]> {
        if !present(self.flags, field as usize) {
            return None;
        }
        let (start, end) = self.spans[field as usize];
        raw.get(start as usize..end as usize)
    }

    /// The value of a short string field.
    pub(crate) fn short<'a>(&self, raw: &'a [u8], field: Field) -> Option<&'a [u8]> {
        self.wire(raw, field).and_then(|wire| wire.get(1..))
    }

    /// The value of a one byte field.
    pub(crate) fn octet(&self, raw: &[u8], field: Field) -> Option<u8> {
        self.wire(raw, field).and_then(|wire| wire.first().copied())
    }

    /// The property list with some fields replaced (`Some`, in wire form) or removed (`None`).
    pub(crate) fn splice(&self, raw: &[u8], changes: &[(Field, Option<Vec<u8>>)]) -> Vec<u8> {
        let mut flags = self.flags;
        let mut out = vec![0, 0];
        for field in 0..FIELDS {
            let bit = 1 << (15 - field);
            match changes
                .iter()
                .find(|(changed, _)| *changed as usize == field)
            {
                Some((_, Some(wire))) => {
                    flags |= bit;
                    out.extend_from_slice(wire);
                }
                Some((_, None)) => flags &= !bit,
                None if present(self.flags, field) => {
                    let (start, end) = self.spans[field];
                    out.extend_from_slice(&raw[start as usize..end as usize]);
                }
                None => {}
            }
        }
        out[..2].copy_from_slice(&flags.to_be_bytes());
        out
    }
}

fn present(flags: u16, field: usize) -> bool {
    flags & (1 << (15 - field)) != 0
}

/// A short string in wire form, cut to its largest length.
pub(crate) fn short_wire(text: &[u8]) -> Vec<u8> {
    let text = &text[..text.len().min(255)];
    let mut wire = Vec::with_capacity(1 + text.len());
    wire.push(text.len() as u8);
    wire.extend_from_slice(text);
    wire
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use amq_protocol::{
        frame::WriteContext,
        protocol::basic::{AMQPProperties, gen_properties, parse_properties},
        types::{AMQPValue, FieldTable},
    };

    fn raw(properties: &AMQPProperties) -> Vec<u8> {
        let context = WriteContext::from(Vec::new());
        gen_properties(properties)(context)
            .map(|context| context.into_inner().0)
            .unwrap_or_default()
    }

    fn full() -> AMQPProperties {
        let mut headers = FieldTable::default();
        headers.insert("BCC".into(), AMQPValue::Void);
        AMQPProperties::default()
            .with_content_type("text/plain".into())
            .with_headers(headers)
            .with_delivery_mode(2)
            .with_priority(7)
            .with_expiration("500".into())
            .with_timestamp(9)
            .with_user_id("guest".into())
            .with_cluster_id("c".into())
    }

    #[test]
    fn finds_fields() {
        let bytes = raw(&full());
        let index = Index::scan(&bytes).unwrap();
        assert_eq!(index.short(&bytes, Field::Expiration), Some(&b"500"[..]));
        assert_eq!(index.short(&bytes, Field::UserId), Some(&b"guest"[..]));
        assert_eq!(index.octet(&bytes, Field::Priority), Some(7));
        assert_eq!(index.octet(&bytes, Field::DeliveryMode), Some(2));
        assert!(index.copies);
    }

    #[test]
    fn splices_fields() {
        let bytes = raw(&full());
        let index = Index::scan(&bytes).unwrap();
        let headers = tables::encode(&FieldTable::default());
        let out = index.splice(
            &bytes,
            &[
                (Field::Expiration, None),
                (Field::Headers, Some(headers)),
                (Field::ReplyTo, Some(short_wire(b"me"))),
            ],
        );
        let (rest, parsed) = parse_properties(&out[..]).unwrap();
        assert!(rest.is_empty());
        let wanted = full()
            .with_headers(FieldTable::default())
            .with_reply_to("me".into());
        assert_eq!(*parsed.expiration(), None);
        assert_eq!(parsed.with_expiration("500".into()), wanted);
    }

    #[test]
    fn refuses_every_truncation_and_excess() {
        let mut bytes = raw(&full());
        for cut in 0..bytes.len() {
            assert!(Index::scan(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        bytes.push(0);
        assert!(Index::scan(&bytes).is_err());
    }
}
