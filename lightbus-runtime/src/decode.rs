//! MessagePack for serde: a value is read as a whole first, and then handed to the type that wants it.
//!
//! rmp-serde does the same, but has its whole parser compiled again for each type, which would make up a third of an API crate.

use serde::de::{self, DeserializeSeed, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::codec::DecodeError;
use crate::msgpack::{Cursor, Head, MAX_DEPTH, Malformed};

/// Decodes one value, whose nesting has been checked.
pub(crate) struct Decoder<'de> {
    cursor: Cursor<'de>,
}

impl de::Error for DecodeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl From<Malformed> for DecodeError {
    fn from(malformed: Malformed) -> Self {
        Self(malformed.to_string())
    }
}

impl<'de> Decoder<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
        }
    }

    fn peek(&self) -> Result<Head<'de>, DecodeError> {
        let mut ahead = self.cursor;
        Ok(ahead.head()?)
    }

    fn visit<V: Visitor<'de>>(
        &mut self,
        head: Head<'de>,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match head {
            Head::Nil => visitor.visit_unit(),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Unsigned(number) => visitor.visit_u64(number),
            Head::Signed(number) => visitor.visit_i64(number),
            Head::F32(number) => visitor.visit_f32(number),
            Head::F64(number) => visitor.visit_f64(number),
            Head::Text(text) => visitor.visit_borrowed_str(utf8(text)?),
            Head::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Head::Array(len) => self.inside(len, |inside| visitor.visit_seq(inside)),
            Head::Map(len) => self.inside(len, |inside| visitor.visit_map(inside)),
            Head::Extension => Err(DecodeError(
                "it holds a MessagePack extension, which no type here can be".to_owned(),
            )),
        }
    }

    fn inside<T>(
        &mut self,
        len: usize,
        visit: impl FnOnce(&mut Inside<'_, 'de>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut inside = Inside {
            decoder: self,
            left: len,
        };
        let value = visit(&mut inside)?;
        match inside.left {
            0 => Ok(value),
            left => Err(too_long(len, left)),
        }
    }
}

fn utf8(text: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(text).map_err(|_| DecodeError("it holds text that is not UTF-8".to_owned()))
}

fn too_long(len: usize, left: usize) -> DecodeError {
    DecodeError(format!(
        "it holds {len} values where {} are expected",
        len - left
    ))
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let head = self.cursor.head()?;
        self.visit(head, visitor)
    }

    /// Bytes are a list of numbers for types that ask for one.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.cursor.head()? {
            Head::Bytes(bytes) => {
                visitor.visit_seq(de::value::SeqDeserializer::new(bytes.iter().copied()))
            }
            head => self.visit(head, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.peek()? {
            Head::Nil => self.deserialize_any(visitor),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.cursor.head()? {
            Head::Array(0) | Head::Map(0) => visitor.visit_unit(),
            head => self.visit(head, visitor),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.cursor.head()? {
            Head::Bytes(bytes) => visitor.visit_i128(i128::from_be_bytes(sixteen(bytes)?)),
            head => self.visit(head, visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.cursor.head()? {
            Head::Bytes(bytes) => visitor.visit_u128(u128::from_be_bytes(sixteen(bytes)?)),
            head => self.visit(head, visitor),
        }
    }

    /// A unit variant is its name, any other a map of its name to what it holds.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.peek()? {
            Head::Map(1) => {
                self.cursor.head()?;
                visitor.visit_enum(Variant {
                    decoder: self,
                    has_content: true,
                })
            }
            _ => visitor.visit_enum(Variant {
                decoder: self,
                has_content: false,
            }),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.cursor.skip(MAX_DEPTH)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit tuple tuple_struct map struct identifier
    }
}

fn sixteen(bytes: &[u8]) -> Result<[u8; 16], DecodeError> {
    bytes.try_into().map_err(|_| {
        DecodeError(format!(
            "it holds {} bytes where a number takes 16",
            bytes.len()
        ))
    })
}

/// What is inside an array or a map.
struct Inside<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl Inside<'_, '_> {
    fn next(&mut self) -> bool {
        let more = self.left > 0;
        self.left -= usize::from(more);
        more
    }

    /// The sender's claim, but no more than can be there.
    fn hint(&self) -> Option<usize> {
        Some(self.left.min(self.decoder.cursor.left()))
    }
}

impl<'de> de::SeqAccess<'de> for &mut Inside<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        match self.next() {
            true => seed.deserialize(&mut *self.decoder).map(Some),
            false => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> de::MapAccess<'de> for &mut Inside<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        match self.next() {
            true => seed.deserialize(&mut *self.decoder).map(Some),
            false => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

struct Variant<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    has_content: bool,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let variant = seed.deserialize(&mut *self.decoder)?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.has_content {
            // `{"name": nil}` is how some languages write it.
            true => de::Deserialize::deserialize(self.decoder),
            false => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.content()?.deserialize_any(visitor)
    }
}

impl<'a, 'de> Variant<'a, 'de> {
    fn content(self) -> Result<&'a mut Decoder<'de>, DecodeError> {
        match self.has_content {
            true => Ok(self.decoder),
            false => Err(DecodeError(
                "a variant comes without what it holds".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::net::IpAddr;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use crate::codec::{decode_checked, encode};

    #[allow(clippy::needless_pass_by_value)] // Written in place.
    fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
        let bytes = encode(&value).unwrap();
        assert_eq!(
            decode_checked::<T>(&bytes).as_ref(),
            Ok(&value),
            "{bytes:02x?}"
        );
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Point,
        Circle(f64),
        Box(u8, u8),
        Named { name: String, sides: Vec<u16> },
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Unit;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Meters(f32);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        shapes: Vec<Shape>,
        maybe: Option<Option<u8>>,
        by_name: BTreeMap<String, (i8, char)>,
        by_number: HashMap<u32, Meters>,
        unit: Unit,
        nothing: (),
        address: IpAddr,
        big: u128,
        small: i128,
        #[serde(default)]
        new: u8,
    }

    #[test]
    fn what_serde_can_write_is_read_back() {
        survives(Everything {
            shapes: vec![
                Shape::Point,
                Shape::Circle(0.5),
                Shape::Box(1, 2),
                Shape::Named {
                    name: "é".into(),
                    sides: vec![300; 20],
                },
            ],
            maybe: Some(Some(3)),
            by_name: [("a".to_owned(), (-1, 'é'))].into(),
            by_number: [(7, Meters(1.5))].into(),
            unit: Unit,
            nothing: (),
            address: [127, 0, 0, 1].into(),
            big: u128::MAX,
            small: i128::MIN,
            new: 1,
        });
        survives(vec![0_u8, 255]);
        survives([i64::MIN, -1, 0, i64::MAX]);
        survives(u64::MAX);
        survives(Ok::<bool, String>(true));
        survives((String::new(), None::<u8>));
    }

    #[test]
    fn unknown_fields_are_skipped_and_missing_ones_defaulted() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Now {
            kept: u8,
            gone: Option<u8>,
        }
        let bytes = encode(&BTreeMap::from([("kept", 1), ("unknown", 2)])).unwrap();
        assert_eq!(
            decode_checked::<Now>(&bytes),
            Ok(Now {
                kept: 1,
                gone: None
            })
        );
    }

    #[test]
    fn a_mistake_is_an_error_that_names_it() {
        let error = |bytes: &[u8]| decode_checked::<(u8, String)>(bytes).unwrap_err().0;
        assert_eq!(
            error(&[0x93, 1, 0xa0, 2]),
            "it holds 3 values where 2 are expected"
        );
        assert_eq!(
            error(&[0x92, 1, 0xa1, 0xff]),
            "it holds text that is not UTF-8"
        );
        assert_eq!(error(&[0x92, 1]), "the payload is truncated");
        assert!(error(&[0x92, 1, 2]).starts_with("invalid type: integer `2`, expected a string"));
        assert!(error(&[0x92, 1, 0xd4, 0, 0]).contains("extension"));
        assert!(
            decode_checked::<Shape>(&encode("Circle").unwrap())
                .unwrap_err()
                .0
                .contains("without what it holds")
        );
        assert!(
            decode_checked::<Shape>(&encode("Blob").unwrap())
                .unwrap_err()
                .0
                .contains("unknown variant `Blob`")
        );
    }

    #[test]
    fn a_block_of_bytes_is_a_list_for_who_asks_for_one() {
        assert_eq!(
            decode_checked::<Vec<u8>>(&[0xc4, 2, 1, 255]),
            Ok(vec![1, 255])
        );
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        assert!(decode_checked::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
