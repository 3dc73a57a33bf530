//! The macro on quoted input, without a compiler: its words, its code, its paths.
//!
//! That the code compiles, and that a mistake causes no second error, is shown by the suite in `tests/ui` of the workspace.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod messages;
mod names;
mod paths;
mod rules;
mod snapshots;
mod tasks;

use proc_macro2::TokenStream;
use quote::quote;

use crate::diagnostics::Expansion;
use crate::expand;

fn expand(attr: TokenStream, item: TokenStream) -> Expansion {
    expand::api(attr, item)
}

/// The messages for a trait of these items, whose API is in order.
fn of_items(items: TokenStream) -> Vec<String> {
    expand(
        quote! { name = "auth" },
        quote! { pub trait AuthApi { #items } },
    )
    .messages()
}

/// The messages for an attribute, on a trait that is in order.
fn of_attribute(attr: TokenStream) -> Vec<String> {
    expand(attr, quote! { pub trait AuthApi { async fn f(&self); } }).messages()
}

/// Asserts that there are just these messages, of which the beginnings are given.
#[track_caller]
fn begin(messages: &[String], beginnings: &[&str]) {
    let fit = messages.len() == beginnings.len()
        && messages
            .iter()
            .zip(beginnings)
            .all(|(message, beginning)| message.starts_with(beginning));
    assert!(fit, "expected\n{beginnings:#?}\ngot\n{messages:#?}");
}
