//! `#[lightbus(secret)]`: on an argument, or on a call, whose answer is meant. Nowhere else.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Attribute, Meta};

use super::split;
use crate::diagnostics::Diagnostics;

const FORM: &str = "write `#[lightbus(secret)]` before an argument, as in `#[lightbus(secret)] password: String`, or before a call whose answer is secret";

/// Where it is said, if it is; and the other attributes.
pub(super) fn of(
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
            format_args!(
                "an argument is secret, or the answer of a call, and nothing else: {FORM}"
            ),
        );
    }
    others
}

/// Reports it on what has no answer.
pub(super) fn no_answer(secret: Option<Span>, diagnostics: &mut Diagnostics) {
    if let Some(span) = secret {
        diagnostics.at(
            span,
            format_args!("only a call has an answer that can be secret: {FORM}"),
        );
    }
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
