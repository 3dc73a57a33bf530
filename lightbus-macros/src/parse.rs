//! The words inside `#[lightbus::api(…)]`, `#[rpc(…)]` and `#[event(…)]`.
//!
//! One grammar for all: keys with a string behind `=`, or alone. A list is cut at its commas before it is
//! read, so that a slip in one entry hides no other.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Lit, LitStr, Meta, Path, parse_quote};

use crate::diagnostics::Diagnostics;
use crate::model::{ApiOptions, EventOptions, RpcOptions, Spanned};

/// One key that an attribute knows.
struct Key {
    name: &'static str,
    /// How it is written, for messages.
    usage: &'static str,
    takes_value: bool,
}

const API_KEYS: &[Key] = &[
    Key {
        name: "name",
        usage: "`name = \"auth\"`",
        takes_value: true,
    },
    Key {
        name: "crate",
        usage: "`crate = \"path::of::lightbus\"`",
        takes_value: true,
    },
];

const RPC_KEYS: &[Key] = &[
    Key {
        name: "timeout",
        usage: "`timeout = \"2s\"`",
        takes_value: true,
    },
    Key {
        name: "idempotent",
        usage: "`idempotent`",
        takes_value: false,
    },
    Key {
        name: "cancel",
        usage: "`cancel`",
        takes_value: false,
    },
    Key {
        name: "name",
        usage: "`name = \"name_on_the_bus\"`",
        takes_value: true,
    },
];

const EVENT_KEYS: &[Key] = &[
    Key {
        name: "name",
        usage: "`name = \"name_on_the_bus\"`",
        takes_value: true,
    },
    Key {
        name: "payload",
        usage: "`payload = \"StructName\"`",
        takes_value: true,
    },
];

/// `key`, or `key = "value"`, as written.
struct Entry {
    key: Ident,
    value: Option<LitStr>,
}

impl Entry {
    fn text(&self) -> Option<Spanned<String>> {
        self.value.as_ref().map(|value| Spanned {
            value: value.value(),
            span: value.span(),
        })
    }
}

/// Reads what stands in `#[lightbus::api(…)]`.
pub(crate) fn api_options(tokens: TokenStream, diagnostics: &mut Diagnostics) -> ApiOptions {
    let mut options = ApiOptions {
        name: None,
        krate: parse_quote!(::lightbus),
    };
    let mut named = false;
    for entry in entries("lightbus::api", tokens, API_KEYS, diagnostics) {
        if entry.key == "name" {
            named = true;
            options.name = entry.text();
        } else if let Some(path) = entry
            .value
            .as_ref()
            .and_then(|value| crate_path(value, diagnostics))
        {
            options.krate = path;
        }
    }
    if !named {
        diagnostics.at(Span::call_site(), "the API has no name: write `#[lightbus::api(name = \"auth\")]`; it is what callers and listeners find it by");
    }
    options
}

fn crate_path(value: &LitStr, diagnostics: &mut Diagnostics) -> Option<Path> {
    let path = value.parse_with(Path::parse_mod_style).ok();
    if path.is_none() {
        diagnostics.on(
            value,
            "`crate` takes the path of the lightbus crate, like `crate = \"my_crate::lightbus\"`",
        );
    }
    path
}

/// Reads `#[rpc]` and `#[rpc(…)]`.
pub(crate) fn rpc_options(attr: &Attribute, diagnostics: &mut Diagnostics) -> RpcOptions {
    let mut options = RpcOptions::default();
    for entry in attribute_entries("rpc", attr, RPC_KEYS, diagnostics) {
        if entry.key == "timeout" {
            options.timeout_ms = entry
                .value
                .as_ref()
                .and_then(|value| timeout(value, diagnostics));
        } else if entry.key == "idempotent" {
            options.idempotent = true;
        } else if entry.key == "cancel" {
            options.cancel = true;
        } else {
            options.name = entry.text();
        }
    }
    options
}

/// Reads `#[event]` and `#[event(…)]`.
pub(crate) fn event_options(attr: &Attribute, diagnostics: &mut Diagnostics) -> EventOptions {
    let mut options = EventOptions::default();
    for entry in attribute_entries("event", attr, EVENT_KEYS, diagnostics) {
        if entry.key == "name" {
            options.name = entry.text();
        } else {
            options.payload = entry.text();
        }
    }
    options
}

fn attribute_entries(
    owner: &str,
    attr: &Attribute,
    keys: &[Key],
    diagnostics: &mut Diagnostics,
) -> Vec<Entry> {
    match &attr.meta {
        Meta::Path(_) => Vec::new(),
        Meta::List(list) => entries(owner, list.tokens.clone(), keys, diagnostics),
        Meta::NameValue(pair) => {
            diagnostics.on(
                pair,
                format_args!("write `#[{owner}(…)]`, with {} inside", usage(keys)),
            );
            Vec::new()
        }
    }
}

/// The entries of a list: known keys, each once, and without a value where theirs is wrong. All else is reported.
fn entries(
    owner: &str,
    tokens: TokenStream,
    keys: &[Key],
    diagnostics: &mut Diagnostics,
) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for piece in pieces(tokens) {
        let Some(entry) = entry(owner, piece, keys, diagnostics) else {
            continue;
        };
        if found.iter().any(|earlier| earlier.key == entry.key) {
            diagnostics.at(
                entry.key.span(),
                format_args!("`{}` is specified more than once", entry.key),
            );
        } else {
            found.push(entry);
        }
    }
    found
}

fn entry(
    owner: &str,
    piece: TokenStream,
    keys: &[Key],
    diagnostics: &mut Diagnostics,
) -> Option<Entry> {
    let mut tokens = piece.into_iter();
    let mut refuse = |token: TokenTree, wrong: &str| {
        diagnostics.on(
            token,
            format_args!("{wrong}: `#[{owner}]` takes {}", usage(keys)),
        );
    };
    let ident = match tokens.next()? {
        TokenTree::Ident(ident) => ident,
        other => {
            refuse(other, "expected a key");
            return None;
        }
    };
    let Some(key) = keys.iter().find(|key| ident == key.name) else {
        refuse(ident.clone().into(), &format!("unknown key `{ident}`"));
        return None;
    };
    let value = if key.takes_value {
        text(&ident, key, &mut tokens, diagnostics)
    } else {
        None
    };
    let rest: TokenStream = tokens.collect();
    if !rest.is_empty() {
        let expected = if key.takes_value {
            "expected a comma"
        } else {
            "this key takes no value"
        };
        diagnostics.on(
            rest,
            format_args!("{expected}: the key is written {}", key.usage),
        );
    }
    Some(Entry { key: ident, value })
}

/// The string behind a key. Of a wrong one everything up to the comma is taken, so that it is one mistake.
fn text(
    ident: &Ident,
    key: &Key,
    tokens: &mut impl Iterator<Item = TokenTree>,
    diagnostics: &mut Diagnostics,
) -> Option<LitStr> {
    let equals = tokens.next();
    let value = tokens.next();
    if let Some(Lit::Str(text)) = value
        .as_ref()
        .and_then(|value| syn::parse2(value.to_token_stream()).ok())
    {
        return Some(text);
    }
    let rest = value.into_iter().chain(tokens).collect::<TokenStream>();
    let wrong = match equals {
        Some(_) if !rest.is_empty() => rest,
        _ => ident.to_token_stream(),
    };
    diagnostics.on(
        wrong,
        format_args!("expected a string: the key is written {}", key.usage),
    );
    None
}

/// A list, cut at its commas.
fn pieces(tokens: TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_comma =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    tokens
        .split(is_comma)
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.iter().cloned().collect())
        .collect()
}

fn usage(keys: &[Key]) -> String {
    keys.iter()
        .map(|key| key.usage)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The longest time a caller may be made to wait by default.
const TIMEOUT_MAX_MS: u64 = 24 * 60 * 60 * 1000;

fn timeout(value: &LitStr, diagnostics: &mut Diagnostics) -> Option<u64> {
    match milliseconds(&value.value()) {
        Ok(ms) => Some(ms),
        Err(reason) => {
            diagnostics.on(value, format_args!("{reason}: a timeout is a whole number and a unit, `ms`, `s`, `m` or `h`, like `\"2s\"`, up to `\"24h\"`"));
            None
        }
    }
}

/// `"2s"` → 2000.
fn milliseconds(text: &str) -> Result<u64, &'static str> {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "" => return Err("the unit is missing"),
        _ => return Err("not a duration"),
    };
    if number.is_empty() {
        return Err("the number is missing");
    }
    match number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
    {
        Some(0) => Err("with no time at all no call can succeed"),
        Some(ms) if ms <= TIMEOUT_MAX_MS => Ok(ms),
        _ => Err("longer than a day"),
    }
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations() {
        assert_eq!(milliseconds("2s"), Ok(2000));
        assert_eq!(milliseconds("150ms"), Ok(150));
        assert_eq!(milliseconds("5m"), Ok(300_000));
        assert_eq!(milliseconds("24h"), Ok(86_400_000));
        for wrong in [
            "",
            "s",
            "2",
            "0s",
            "2 s",
            "-1s",
            "1.5s",
            "2d",
            "25h",
            "99999999999999999999s",
            "2sec",
        ] {
            assert!(milliseconds(wrong).is_err(), "{wrong} was taken");
        }
    }
}
