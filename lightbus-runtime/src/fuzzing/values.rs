//! Payloads and arguments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::Args;
use crate::codec::{Format, Payload, encode};

/// A type with something of everything.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct Everything {
    flag: bool,
    small: i8,
    large: u64,
    float: f32,
    letter: char,
    text: Option<String>,
    pair: (u8, String),
    list: Vec<Everything>,
    map: BTreeMap<String, i64>,
    choice: Choice,
    address: Option<std::net::IpAddr>,
    unit: (),
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
enum Choice {
    #[default]
    Nothing,
    New(u16),
    Tuple(u8, i16),
    Named {
        inner: Option<Box<Everything>>,
    },
}

pub(super) fn payload(bytes: &[u8], format: Format) {
    let Ok(payload) = Payload::check(bytes, format) else {
        return;
    };
    let _ = payload.clone().decode::<Vec<u8>>();
    let _ = payload.clone().decode::<BTreeMap<u64, String>>();
    if let Ok(value) = payload.clone().decode::<Everything>() {
        // NaN is unlike itself.
        let again = decode::<Everything>(&encode(&value).expect("it was read"));
        assert_eq!(format!("{value:?}"), format!("{again:?}"));
    }
    if let Ok(value) = payload.decode::<Value>() {
        let again = decode::<Value>(&encode(&value).expect("it was read"));
        assert_eq!(value, again);
        if format == Format::Msgpack {
            let theirs = rmp_serde::from_slice::<Value>(bytes);
            assert_eq!(Some(value), theirs.ok(), "rmp-serde reads the same");
        }
    }
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    let checked = Payload::check(bytes, Format::Msgpack).expect("we wrote it");
    checked.decode().expect("we wrote it")
}

pub(super) fn args(bytes: &[u8], format: Format) {
    let Ok(args) = Args::parse(bytes.to_vec(), format) else {
        return;
    };
    assert!(Payload::check(bytes, format).is_ok(), "a map is one value");
    let _ = args.get::<Everything>("all");
    let _ = args.get::<Option<u8>>("n");
    let _ = args.get::<String>("text");
    let _ = args.get::<Value>("");
    if let Ok(blob) = args.bytes("blob") {
        assert!(blob.len() <= bytes.len());
    }
    assert_eq!(args.get::<Option<u8>>("an argument nobody sends"), Ok(None));
}
