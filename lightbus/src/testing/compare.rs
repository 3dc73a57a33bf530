//! What is wanted beside what was: field by field.

use std::fmt::Write as _;

use lightbus_runtime::__testing::{SECRET, redact, secrets};
use serde_json::Value;

/// One place in which two values differ.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    /// As `address.street[0]`; empty for the whole value.
    pub(super) path: String,
    pub(super) wanted: Option<Value>,
    pub(super) found: Option<Value>,
}

/// All places in which they differ.
pub(super) fn differences(wanted: &Value, found: &Value) -> Vec<Difference> {
    let mut all = Differences {
        all: Vec::new(),
        of_fields: false,
    };
    all.compare(String::new(), Some(wanted), Some(found));
    all.all
}

/// The same, where objects may have more fields than those that are wanted. A list is a list of so many.
pub(super) fn differences_of_fields(wanted: &Value, found: &Value) -> Vec<Difference> {
    let mut all = Differences {
        all: Vec::new(),
        of_fields: true,
    };
    all.compare(String::new(), Some(wanted), Some(found));
    all.all
}

struct Differences {
    all: Vec<Difference>,
    /// Only of those that are wanted.
    of_fields: bool,
}

impl Differences {
    fn compare(&mut self, path: String, wanted: Option<&Value>, found: Option<&Value>) {
        match (wanted, found) {
            (Some(Value::Object(wanted)), Some(Value::Object(found))) => {
                for (name, value) in wanted {
                    self.compare(join(&path, name), Some(value), found.get(name));
                }
                let is_new = |(name, _): &(&String, &Value)| !wanted.contains_key(*name);
                let others = (!self.of_fields).then(|| found.iter().filter(is_new));
                for (name, value) in others.into_iter().flatten() {
                    self.compare(join(&path, name), None, Some(value));
                }
            }
            (Some(Value::Array(wanted)), Some(Value::Array(found))) => {
                for at in 0..wanted.len().max(found.len()) {
                    self.compare(format!("{path}[{at}]"), wanted.get(at), found.get(at));
                }
            }
            (wanted, found) if wanted == found => {}
            (wanted, found) => self.all.push(Difference {
                path,
                wanted: wanted.cloned(),
                found: found.cloned(),
            }),
        }
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// For people: a line for each side of each difference.
pub(super) fn describe(differences: &[Difference]) -> String {
    let shown = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), short);
    let mut text = String::new();
    for Difference {
        path,
        wanted,
        found,
    } in differences
    {
        let path = if path.is_empty() { "it" } else { path };
        // A String as writer cannot fail.
        let _ = writeln!(
            text,
            "      {path}: wanted {}, was {}",
            shown(wanted),
            shown(found)
        );
    }
    text
}

/// Leaves out what is secret of this message.
pub(super) fn conceal(differences: &mut [Difference], api: &str, name: &str) {
    let secrets = secrets(api, name);
    let is_secret = |path: &str| {
        secrets
            .iter()
            .any(|secret| path.split(['.', '[']).next() == Some(*secret))
    };
    for one in differences.iter_mut().filter(|one| is_secret(&one.path)) {
        for side in [&mut one.wanted, &mut one.found].into_iter().flatten() {
            *side = SECRET.into();
        }
    }
}

/// The content of a message, without what is secret of it.
pub(super) fn shown(content: &Value, api: &str, name: &str) -> String {
    let mut content = content.clone();
    redact(&mut content, api, name);
    short(&content)
}

/// As JSON on one line, cut where it is long.
pub(super) fn short(value: &Value) -> String {
    const MOST: usize = 160;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        None => text,
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_place_in_which_two_values_differ_is_named() {
        let wanted = json!({"user": {"name": "ada", "age": 36}, "tags": [1, 2], "gone": true});
        let found = json!({"user": {"name": "eda", "age": 36}, "tags": [1, 3, 4], "new": null});
        let text = describe(&differences(&wanted, &found));
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "gone: wanted true, was nothing",
                "tags[1]: wanted 2, was 3",
                "tags[2]: wanted nothing, was 4",
                "user.name: wanted \"ada\", was \"eda\"",
                "new: wanted nothing, was null",
            ]
        );
        assert!(differences(&wanted, &wanted).is_empty());
    }

    #[test]
    fn of_fields_only_those_of_objects_may_be_left_out() {
        let found = json!({"user": {"name": "ada", "age": 36}, "tags": [1, {"a": 1, "b": 2}]});
        let is_such = |wanted| differences_of_fields(&wanted, &found).is_empty();
        assert!(is_such(json!({"user": {"name": "ada"}})));
        assert!(is_such(json!({"tags": [1, {"b": 2}]})));
        assert!(!is_such(json!({"tags": []})));
        assert!(!is_such(json!({"tags": [1]})));
        assert!(!is_such(json!({"user": {"name": "ada", "town": "x"}})));
    }

    #[test]
    fn what_is_long_is_cut() {
        let long = short(&json!("é".repeat(1000)));
        assert!(long.ends_with("… (2002 bytes)") && long.chars().count() < 200);
    }
}
