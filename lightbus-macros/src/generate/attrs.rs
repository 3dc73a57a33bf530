//! Which of the user's attributes go where.
//!
//! | on a call | in the trait | in the client |
//! |---|---|---|
//! | docs, `deprecated` | as written | as written |
//! | `allow`, `expect` | as written | as `allow`: what was expected in one place need not happen in the other |
//! | `must_use = "…"` | as written | no: a call says so by itself |
//! | `must_use` | no: a future says so by itself | no |
//! | others | as written | no |
//!
//! What is allowed in the whole trait is allowed in all that is generated from it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Meta};

/// For a call's function in the trait.
pub(super) fn for_trait(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs
        .iter()
        .filter(|attr| !matches!(&attr.meta, Meta::Path(path) if path.is_ident("must_use")))
}

/// For a generated function, but for docs.
pub(super) fn for_function(attrs: &[Attribute]) -> TokenStream {
    attrs.iter().filter_map(one_for_function).collect()
}

fn one_for_function(attr: &Attribute) -> Option<TokenStream> {
    if attr.path().is_ident("deprecated") {
        return Some(attr.to_token_stream());
    }
    allowance(attr)
}

/// What the user allowed in the whole trait is allowed in what is generated from it.
pub(super) fn allowances(attrs: &[Attribute]) -> TokenStream {
    attrs.iter().filter_map(allowance).collect()
}

fn allowance(attr: &Attribute) -> Option<TokenStream> {
    match &attr.meta {
        Meta::List(list) if attr.path().is_ident("allow") || attr.path().is_ident("expect") => {
            let lints = &list.tokens;
            Some(quote! { #[allow(#lints)] })
        }
        _ => None,
    }
}

/// For an event's struct, but for docs: what its functions have no use for. A `#[derive(Eq)]` on an event arrives here.
pub(super) fn for_payload(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    let elsewhere = ["doc", "deprecated", "must_use", "expect"];
    attrs
        .iter()
        .filter(move |attr| !elsewhere.iter().any(|name| attr.path().is_ident(name)))
}

/// The docs alone.
pub(super) fn docs(attrs: &[Attribute]) -> Vec<&Attribute> {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident("doc"))
        .collect()
}

/// Is there any text in the docs? `#[doc(hidden)]` and its like are none.
pub(super) fn have_text(attrs: &[Attribute]) -> bool {
    docs(attrs)
        .iter()
        .any(|attr| matches!(attr.meta, Meta::NameValue(_)))
}

/// All but the docs.
pub(super) fn without_docs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| !attr.path().is_ident("doc"))
}
