//! Values to bytes and back. MessagePack with named fields is what we write; JSON is read as well, so that a person or another
//! language can take part.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use crate::decode::Decoder;
use crate::msgpack::{Cursor, MAX_DEPTH, Malformed};
use crate::wire::UNREADABLE;

pub(crate) const MSGPACK: &str = "application/msgpack";
pub(crate) const JSON: &str = "application/json";

/// How a payload is written; from the message's content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Msgpack,
    Json,
}

impl Format {
    /// No content type means MessagePack, the bus's own.
    pub(crate) fn of(content_type: Option<&str>) -> Result<Self, DecodeError> {
        match content_type {
            None | Some(MSGPACK | "") => Ok(Self::Msgpack),
            Some(JSON) => Ok(Self::Json),
            Some(marked) if marked.starts_with(UNREADABLE) => Err(DecodeError(marked.to_owned())),
            Some(other) => Err(DecodeError(format!(
                "the content type `{other}` is neither `{MSGPACK}` nor `{JSON}`"
            ))),
        }
    }
}

/// Why a payload could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub(crate) String);

impl DecodeError {
    /// A listener got an event that its version of the API does not have.
    pub fn unknown_event(event: &str) -> Self {
        Self(format!("this version of the API has no event `{event}`"))
    }
}

/// The body of a received message, not yet decoded.
///
/// It is MessagePack by now, whatever it came as: each type needs but one decoder.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    bytes: Cow<'a, [u8]>,
}

impl<'a> Payload<'a> {
    /// Checks that the body is one value, nested no deeper than allowed.
    pub(crate) fn check(bytes: &'a [u8], format: Format) -> Result<Self, DecodeError> {
        let bytes = match format {
            Format::Msgpack => Cow::Borrowed(bytes),
            Format::Json => Cow::Owned(from_json(bytes)?),
        };
        let mut cursor = Cursor::new(&bytes);
        let skipped = cursor.skip(MAX_DEPTH);
        let ended = skipped.and_then(|()| match cursor.is_at_end() {
            true => Ok(()),
            false => Err(Malformed::TrailingBytes),
        });
        ended.map_err(|malformed| DecodeError(malformed.to_string()))?;
        Ok(Self { bytes })
    }

    /// The whole body, as MessagePack.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_owned()
    }

    /// Decodes the whole body as one value.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        decode_checked(&self.bytes)
    }
}

/// The same value in MessagePack. serde_json has a depth limit of its own.
pub(crate) fn from_json(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| DecodeError(error.to_string()))?;
    encode(&value).map_err(|error| DecodeError(error.to_string()))
}

/// Decodes a value whose extent and nesting have been checked.
pub(crate) fn decode_checked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::deserialize(&mut Decoder::new(bytes))
}

/// A value could not be written, as when its `Serialize` refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(String);

impl EncodeError {
    pub(crate) fn new(why: String) -> Self {
        Self(why)
    }
}

/// Anything that can travel as an argument: every `Serialize` type. Object-safe, so that a call's arguments need no type of their own.
pub trait Arg {
    #[doc(hidden)]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

impl<T: Serialize + ?Sized> Arg for T {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        // Human-readable, as JSON is: a UUID or an address is text for every language.
        let mut serializer = rmp_serde::Serializer::new(out)
            .with_struct_map()
            .with_human_readable();
        self.serialize(&mut serializer)
            .map_err(|error| EncodeError(error.to_string()))
    }
}

/// Bytes that travel as one block instead of as a list of numbers.
#[derive(Clone, Copy, Debug)]
pub struct BytesArg<'a>(pub &'a [u8]);

impl Serialize for BytesArg<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Writes arguments as a map of names to values.
pub(crate) fn encode_args(args: &[(&'static str, &dyn Arg)]) -> Result<Vec<u8>, EncodeError> {
    encode_args_with(args, &mut |_| {})
}

/// The same; each value as it was written is shown to `look`.
pub(crate) fn encode_args_with(
    args: &[(&'static str, &dyn Arg)],
    look: &mut dyn FnMut(&[u8]),
) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(128);
    write_map_len(&mut out, args.len());
    for (name, value) in args {
        name.encode(&mut out)?;
        let begin = out.len();
        value
            .encode(&mut out)
            .map_err(|error| EncodeError(format!("argument `{name}`: {error}")))?;
        look(&out[begin..]);
    }
    Ok(out)
}

// A Vec as writer cannot fail; rmp's signature says it could.
fn write_map_len(out: &mut Vec<u8>, len: usize) {
    let _ = rmp::encode::write_map_len(out, u32::try_from(len).unwrap_or(u32::MAX));
}

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(128);
    value.encode(&mut out)?;
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn decode<T: DeserializeOwned>(bytes: &[u8], format: Format) -> Result<T, String> {
        let payload = Payload::check(bytes, format).map_err(|error| error.0)?;
        payload.decode().map_err(|error| error.0)
    }

    #[test]
    fn a_payload_is_one_value_and_nothing_after_it() {
        let mut bytes = encode(&("a", 1)).unwrap();
        assert_eq!(
            decode::<(String, u8)>(&bytes, Format::Msgpack),
            Ok(("a".into(), 1))
        );
        bytes.push(0);
        let error = decode::<(String, u8)>(&bytes, Format::Msgpack);
        assert_eq!(error, Err("the payload goes on after its end".into()));
    }

    #[test]
    fn an_address_is_text_in_both_formats() {
        let address: std::net::IpAddr = [127, 0, 0, 1].into();
        assert_eq!(encode(&address).unwrap(), b"\xa9127.0.0.1");
        assert_eq!(decode(b"\xa9127.0.0.1", Format::Msgpack), Ok(address));
        assert_eq!(decode(b"\"127.0.0.1\"", Format::Json), Ok(address));
    }

    #[test]
    fn structs_travel_with_their_names() {
        #[derive(Serialize)]
        struct User {
            name: &'static str,
        }
        assert_eq!(
            encode(&User { name: "ada" }).unwrap(),
            b"\x81\xa4name\xa3ada"
        );
    }

    #[test]
    fn nesting_has_one_limit_in_both_formats() {
        let nested = |depth: usize| [vec![b'['; depth], b"1".to_vec(), vec![b']'; depth]].concat();
        let check = |bytes: &[u8], format| Payload::check(bytes, format).map(drop);
        assert_eq!(check(&nested(MAX_DEPTH), Format::Json), Ok(()));
        let mut msgpack = vec![0x91; MAX_DEPTH];
        msgpack.push(1);
        assert_eq!(check(&msgpack, Format::Msgpack), Ok(()));
        let too_deep = Err(DecodeError(Malformed::TooDeep.to_string()));
        assert_eq!(check(&nested(MAX_DEPTH + 1), Format::Json), too_deep);
        msgpack.insert(0, 0x91);
        assert_eq!(check(&msgpack, Format::Msgpack), too_deep);
    }

    #[test]
    fn json_is_read_too_and_other_types_are_named() {
        assert_eq!(
            decode::<(String, u8)>(b"[\"a\", 1]", Format::of(Some(JSON)).unwrap()),
            Ok(("a".into(), 1))
        );
        let refused = Format::of(Some("text/xml")).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the content type `text/xml` is neither `application/msgpack` nor `application/json`"
        );
    }
}
