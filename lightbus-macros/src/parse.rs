//! The words inside `#[lightbus::api(…)]`, `#[rpc(…)]`, `#[task(…)]` and `#[event(…)]`.
//!
//! One grammar for all: keys with a string or a whole number behind `=`, or alone. A list is cut at its commas before it is
//! read, so that a slip in one entry hides no other.

mod duration;
mod task;

pub(crate) use task::task_options;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Lit, LitInt, LitStr, Meta, Path, parse_quote};

use crate::diagnostics::Diagnostics;
use crate::model::{ApiOptions, EventOptions, RpcOptions, Spanned};

/// One key that an attribute knows.
struct Key {
    name: &'static str,
    /// How it is written, for messages.
    usage: &'static str,
    takes: Takes,
}

/// What stands behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Text,
    Number,
}

const API_KEYS: &[Key] = &[
    Key {
        name: "name",
        usage: "`name = \"auth\"`",
        takes: Takes::Text,
    },
    Key {
        name: "crate",
        usage: "`crate = \"path::of::lightbus\"`",
        takes: Takes::Text,
    },
];

const RPC_KEYS: &[Key] = &[
    Key {
        name: "timeout",
        usage: "`timeout = \"2s\"`",
        takes: Takes::Text,
    },
    Key {
        name: "idempotent",
        usage: "`idempotent`",
        takes: Takes::Nothing,
    },
    Key {
        name: "cancel",
        usage: "`cancel`",
        takes: Takes::Nothing,
    },
    Key {
        name: "name",
        usage: "`name = \"name_on_the_bus\"`",
        takes: Takes::Text,
    },
];

const EVENT_KEYS: &[Key] = &[
    Key {
        name: "name",
        usage: "`name = \"name_on_the_bus\"`",
        takes: Takes::Text,
    },
    Key {
        name: "payload",
        usage: "`payload = \"StructName\"`",
        takes: Takes::Text,
    },
];

/// `key`, `key = "value"` or `key = 5`, as written; without a value where that is wrong.
struct Entry {
    key: Ident,
    value: Option<Lit>,
}

impl Entry {
    fn literal(&self) -> Option<&LitStr> {
        match &self.value {
            Some(Lit::Str(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<&LitInt> {
        match &self.value {
            Some(Lit::Int(number)) => Some(number),
            _ => None,
        }
    }

    fn text(&self) -> Option<Spanned<String>> {
        self.literal().map(|value| Spanned {
            value: value.value(),
            span: value.span(),
        })
    }

    fn duration(&self, range: &duration::Range, diagnostics: &mut Diagnostics) -> Option<u64> {
        duration::read(self.literal()?, range, diagnostics)
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
            .literal()
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
            options.timeout_ms = entry.duration(&duration::OF_CALLS, diagnostics);
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
    let value = if key.takes == Takes::Nothing {
        None
    } else {
        value(&ident, key, &mut tokens, diagnostics)
    };
    let rest: TokenStream = tokens.collect();
    if !rest.is_empty() {
        let expected = if key.takes == Takes::Nothing {
            "this key takes no value"
        } else {
            "expected a comma"
        };
        diagnostics.on(
            rest,
            format_args!("{expected}: the key is written {}", key.usage),
        );
    }
    Some(Entry { key: ident, value })
}

/// The literal behind a key. Of a wrong one everything up to the comma is taken, so that it is one mistake.
fn value(
    ident: &Ident,
    key: &Key,
    tokens: &mut impl Iterator<Item = TokenTree>,
    diagnostics: &mut Diagnostics,
) -> Option<Lit> {
    let equals = tokens.next();
    let value = tokens.next();
    let literal = value
        .as_ref()
        .and_then(|value| syn::parse2(value.to_token_stream()).ok());
    let expected = match (key.takes, literal) {
        (Takes::Text, Some(text @ Lit::Str(_))) => return Some(text),
        (Takes::Number, Some(Lit::Int(number))) if number.suffix().is_empty() => {
            return Some(Lit::Int(number));
        }
        (Takes::Number, _) => "a whole number, without quotes",
        _ => "a string",
    };
    let rest = value.into_iter().chain(tokens).collect::<TokenStream>();
    let wrong = match equals {
        Some(_) if !rest.is_empty() => rest,
        _ => ident.to_token_stream(),
    };
    diagnostics.on(
        wrong,
        format_args!("expected {expected}: the key is written {}", key.usage),
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
