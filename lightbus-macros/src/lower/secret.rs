//! `#[lightbus(secret)]`: on an argument, and nowhere else.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Attribute, Meta};

use super::split;
use crate::diagnostics::Diagnostics;

const FORM: &str = "write `#[lightbus(secret)]` before an argument of a call, a task or an event, as in `#[lightbus(secret)] password: String`";

/// Where it says that an argument is secret, if it does; and the other attributes.
pub(super) fn of_argument(
    attrs: Vec<Attribute>,
    diagnostics: &mut Diagnostics,
) -> (Option<Span>, Vec<Attribute>) {
    let (own, others) = split(attrs, &["lightbus"]);
    let mut first = None;
    for attr in own {
        if !is_secret(&attr.meta) {
            let wrong = inside(&attr.meta);
            diagnostics.on(
                wrong,
                format_args!("`#[lightbus(…)]` takes `secret`, and nothing else: {FORM}"),
            );
        } else if first.is_some() {
            diagnostics.on(attr, "`#[lightbus(secret)]` is specified more than once");
        } else {
            first = Some(syn::spanned::Spanned::span(&attr.meta));
        }
    }
    (first, others)
}

/// Reports it where it has no place, and takes it away.
pub(super) fn nowhere(attrs: Vec<Attribute>, diagnostics: &mut Diagnostics) -> Vec<Attribute> {
    let (own, others) = split(attrs, &["lightbus"]);
    for attr in own {
        diagnostics.on(
            attr,
            format_args!("an argument is secret, and nothing else: {FORM}"),
        );
    }
    others
}

fn is_secret(meta: &Meta) -> bool {
    matches!(meta, Meta::List(list) if list.tokens.to_string() == "secret")
}

/// What stands in the brackets, or all of it.
fn inside(meta: &Meta) -> proc_macro2::TokenStream {
    match meta {
        Meta::List(list) if !list.tokens.is_empty() => list.tokens.clone(),
        other => other.to_token_stream(),
    }
}
