//! A call's arguments as they arrive: a map by name. Unknown ones are ignored, a missing one is `None` for an `Option` and an error else.

use std::ops::Range;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::codec::{DecodeError, Format, decode_checked, from_json};
use crate::manifest::is_secret;
use crate::msgpack::{Cursor, Head, MAX_DEPTH, Malformed};

/// The arguments of one call, found but not yet decoded.
#[derive(Debug)]
pub struct Args {
    /// MessagePack, whatever they came as.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
}

const MISSING: &str = "it is missing";

/// Why an argument could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgError {
    /// None where it is not one of them alone.
    argument: Option<&'static str>,
    /// It may quote what was sent.
    detail: String,
}

impl ArgError {
    /// Of all arguments together.
    pub(crate) fn of_all(detail: String) -> Self {
        Self {
            argument: None,
            detail,
        }
    }

    /// For people, of this call's or task's arguments: nothing of one that is secret.
    pub(crate) fn told(&self, api: &str, name: &str) -> String {
        let Self { argument, detail } = self;
        match argument {
            None => detail.clone(),
            Some(argument) if detail != MISSING && is_secret(api, name, argument) => {
                format!("argument `{argument}`: it cannot be decoded, and is secret")
            }
            Some(argument) => format!("argument `{argument}`: {detail}"),
        }
    }
}

impl Args {
    pub(crate) fn parse(bytes: Vec<u8>, format: Format) -> Result<Self, ArgError> {
        let bytes = match format {
            Format::Msgpack => bytes,
            Format::Json => from_json(&bytes).map_err(|error| ArgError::of_all(error.0))?,
        };
        let entries = find_entries(&bytes);
        let entries = entries.map_err(|malformed| ArgError::of_all(malformed.to_string()))?;
        Ok(Self { bytes, entries })
    }

    /// All of them, as MessagePack.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Decodes the argument `name`.
    pub fn get<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, ArgError> {
        let decoded = match self.find(name) {
            Some(value) => decode_checked(value),
            None => T::deserialize(Missing),
        };
        decoded.map_err(|error| ArgError {
            argument: Some(name),
            detail: error.0,
        })
    }

    /// Decodes the argument `name` as bytes: one block, or a list of numbers.
    pub fn bytes(&self, name: &'static str) -> Result<Vec<u8>, ArgError> {
        let block = self
            .find(name)
            .and_then(|value| match Cursor::new(value).head() {
                Ok(Head::Bytes(bytes)) => Some(bytes.to_vec()),
                _ => None,
            });
        block.map_or_else(|| self.get(name), Ok)
    }

    fn find(&self, name: &str) -> Option<&[u8]> {
        let entry = self
            .entries
            .iter()
            .find(|entry| &self.bytes[entry.name.clone()] == name.as_bytes())?;
        Some(&self.bytes[entry.value.clone()])
    }
}

fn find_entries(bytes: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let len = cursor.map()?;
    // The length is the sender's claim: let the vector grow with what is there.
    let mut entries = Vec::with_capacity(len.min(16));
    for _ in 0..len {
        let text = cursor.text()?.len();
        let name = cursor.position() - text..cursor.position();
        let start = cursor.position();
        cursor.skip(MAX_DEPTH - 1)?;
        entries.push(Entry {
            name,
            value: start..cursor.position(),
        });
    }
    match cursor.is_at_end() {
        true => Ok(entries),
        false => Err(Malformed::TrailingBytes),
    }
}

/// Stands in for an argument that was not sent. The type decides: an `Option`, under whatever alias, is `None`.
struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DecodeError> {
        Err(DecodeError(MISSING.to_owned()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::codec::{BytesArg, encode_args};

    fn args() -> Args {
        let bytes = encode_args(&[
            ("name", &"ada"),
            ("age", &36_u8),
            ("blob", &BytesArg(&[1, 2, 255])),
        ])
        .unwrap();
        Args::parse(bytes, Format::Msgpack).unwrap()
    }

    #[test]
    fn arguments_are_found_by_name_and_unknown_ones_ignored() {
        assert_eq!(args().get::<u32>("age"), Ok(36));
        assert_eq!(args().get::<String>("name"), Ok("ada".into()));
        assert_eq!(args().bytes("blob"), Ok(vec![1, 2, 255]));
        assert_eq!(args().get::<Vec<u8>>("blob"), Ok(vec![1, 2, 255]));
    }

    fn missing(argument: &'static str) -> ArgError {
        ArgError {
            argument: Some(argument),
            detail: MISSING.to_owned(),
        }
    }

    #[test]
    fn a_missing_argument_is_none_or_an_error() {
        assert_eq!(args().get::<Option<u8>>("height"), Ok(None));
        assert_eq!(args().get::<u8>("height"), Err(missing("height")));
        assert_eq!(args().bytes("height"), Err(missing("height")));
    }

    #[test]
    fn a_wrong_type_is_named() {
        let error = args().get::<u8>("name").unwrap_err();
        assert_eq!(error.argument, Some("name"));
        assert!(error.told("shop", "sell").starts_with("argument `name`: "));
    }

    #[test]
    fn json_arguments_are_the_same() {
        let args =
            Args::parse(br#"{"name": "ada", "blob": [1, 2]}"#.to_vec(), Format::Json).unwrap();
        assert_eq!(args.get::<String>("name"), Ok("ada".into()));
        assert_eq!(args.bytes("blob"), Ok(vec![1, 2]));
        assert_eq!(args.get::<Option<u8>>("age"), Ok(None));
    }

    #[test]
    fn what_is_no_map_of_names_is_refused() {
        let parse = |bytes: &[u8]| {
            Args::parse(bytes.to_vec(), Format::Msgpack)
                .unwrap_err()
                .detail
        };
        assert_eq!(
            parse(&[0x92, 1, 2]),
            "the payload is not a map of names to values"
        );
        assert_eq!(parse(&[0x81, 1, 2]), "a name in the payload is not text");
        assert_eq!(parse(&[0x81, 0xa1, b'x']), "the payload is truncated");
        assert_eq!(parse(&[0x80, 0]), "the payload goes on after its end");
        assert_eq!(
            parse(&[0xdf, 0xff, 0xff, 0xff, 0xff]),
            "the payload is truncated"
        );
    }
}
