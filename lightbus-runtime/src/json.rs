//! A payload as JSON, for people and for tests: whatever MessagePack can say, as far as JSON can.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::codec::{DecodeError, Payload};

/// Bytes are a list of numbers, which is taken for bytes when it comes back.
pub(crate) fn of(payload: Payload<'_>) -> Result<Value, DecodeError> {
    payload.decode::<Json>().map(|Json(value)| value)
}

struct Json(Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Json)
    }
}

/// `Value` itself has no place for bytes.
struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::from(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Json(value)) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Json(value))) = entries.next_entry::<Json, Json>()? {
            let name = match name {
                Json(Value::String(text)) => text,
                Json(other) => other.to_string(),
            };
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::codec::{BytesArg, Format, encode, encode_args};

    fn json_of(bytes: &[u8]) -> Value {
        of(Payload::check(bytes, Format::Msgpack).unwrap()).unwrap()
    }

    #[test]
    fn bytes_and_keys_that_are_no_text_are_as_near_as_json_comes() {
        let bytes = encode_args(&[("blob", &BytesArg(&[1, 255])), ("nan", &f64::NAN)]).unwrap();
        assert_eq!(json_of(&bytes), json!({"blob": [1, 255], "nan": null}));
        let by_number = BTreeMap::from([(7, "ada")]);
        assert_eq!(json_of(&encode(&by_number).unwrap()), json!({"7": "ada"}));
    }

    #[test]
    fn what_is_json_stays_as_it_is() {
        let value = json!({"a": [1, -2, 1.5, "é", true, null], "b": {"c": u64::MAX}});
        assert_eq!(json_of(&encode(&value).unwrap()), value);
    }
}
