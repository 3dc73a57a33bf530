//! Rules of types, as far as words tell: what a type really is, rustc alone knows, and says through the checks of
//! [`crate::generate`].

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Type, TypeReference};

use crate::diagnostics::Diagnostics;
use crate::generate::source;
use crate::lower::peel;

/// A type that can travel: it borrows nothing, and means the same in every program.
pub(super) fn owned(ty: &Type, what: &str, diagnostics: &mut Diagnostics) {
    match peel(ty) {
        Type::Reference(reference) => borrowed(reference, what, diagnostics),
        other => match stray(other.to_token_stream()) {
            Some((Some(token), reason)) => diagnostics.on(token, reason),
            Some((None, reason)) => diagnostics.on(other, reason),
            None => {}
        },
    }
}

fn borrowed(reference: &TypeReference, what: &str, diagnostics: &mut Diagnostics) {
    let owned = match peel(&reference.elem) {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", source(&slice.elem)),
        other => source(other),
    };
    let hint = match (what, owned.as_str()) {
        ("an argument", "String") => " (callers may pass `\"ada\"` all the same)",
        ("an argument", "Vec<u8>") => " (callers may pass `b\"ada\"` all the same)",
        _ => "",
    };
    diagnostics.on(
        reference,
        format_args!(
            "{what} travels to another program, and cannot be borrowed: write `{owned}`{hint}"
        ),
    );
}

/// The first word in a type that has no meaning on the bus, if it is not the whole type, and why.
fn stray(tokens: TokenStream) -> Option<(Option<TokenTree>, &'static str)> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_static =
            matches!(tokens.peek(), Some(TokenTree::Ident(lifetime)) if lifetime == "static");
        let reason = match &token {
            TokenTree::Ident(ident) if ident == "impl" => return Some((None, IMPL_TRAIT)),
            TokenTree::Ident(ident) if ident == "Self" => SELF_TYPE,
            TokenTree::Punct(punct) if punct.as_char() == '&' => REFERENCE,
            TokenTree::Punct(punct) if punct.as_char() == '\'' && !is_static => LIFETIME,
            TokenTree::Group(group) => match stray(group.stream()) {
                Some(found) => return Some(found),
                None => continue,
            },
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => continue,
        };
        return Some((Some(token), reason));
    }
    None
}

const IMPL_TRAIT: &str = "`impl Trait` is no type that both sides know: write the type out";
const SELF_TYPE: &str = "`Self` is the provider, which callers do not know: write the type out";
const REFERENCE: &str = "what travels to another program cannot be borrowed: use types that own what they hold, like `String` and `Vec`";
const LIFETIME: &str = "what travels to another program cannot be borrowed: use a type without lifetimes, like `String` and `Vec`";

/// A key is one word of a routing key: whatever has no single, stable spelling cannot be one.
pub(super) fn key(ty: &Type, diagnostics: &mut Diagnostics) {
    let Some(what) = keyless(peel(ty)) else {
        return;
    };
    diagnostics.on(
        ty,
        format_args!("{what} cannot be a key: the broker compares keys as words, so a key is a `String`, a `char`, a `bool`, an integer, or a type that implements `EventKey`"),
    );
}

fn keyless(ty: &Type) -> Option<&'static str> {
    let path = match ty {
        Type::Path(path) => &path.path,
        Type::Tuple(_) => return Some("a tuple"),
        Type::Array(_) | Type::Slice(_) => return Some("an array"),
        _ => return None,
    };
    match path.segments.last()?.ident.to_string().as_str() {
        "Option" => Some("an `Option`"),
        "Vec" | "VecDeque" | "HashSet" | "BTreeSet" | "HashMap" | "BTreeMap" => {
            Some("a collection")
        }
        "f32" | "f64" => Some("a float"),
        _ => None,
    }
}
