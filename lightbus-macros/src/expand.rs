//! The pipeline: parse → lower → validate → generate.
//!
//! Everything here is a plain function of token streams, so that it is tested without a compiler around it.

use proc_macro2::TokenStream;
use syn::ItemTrait;
use syn::parse::{ParseStream, Parser};

use crate::diagnostics::{Diagnostics, Expansion};
use crate::{generate, lower, parse, validate};

/// Expands `#[lightbus::api(attr)] item`.
pub(crate) fn api(attr: TokenStream, item: TokenStream) -> Expansion {
    let mut diagnostics = Diagnostics::default();
    let options = parse::api_options(attr, &mut diagnostics);
    let item = match as_trait(item, &mut diagnostics) {
        Ok(item) => item,
        // Not a trait: it stays as it was written, so that what uses it goes on compiling.
        Err(item) => return diagnostics.finish(item),
    };
    let mut api = lower::api(options, item, &mut diagnostics);
    validate::api(&mut api, &mut diagnostics);
    diagnostics.finish(generate::api(&api))
}

/// Expands `#[lightbus::event]` and its like where no `#[lightbus::api]` took them away: an error, and the item as it was.
pub(crate) fn misplaced(attribute: &str, item: TokenStream) -> Expansion {
    let mut diagnostics = Diagnostics::default();
    let place = match attribute {
        "event" => {
            "a function inside a `#[lightbus::api]` trait: `#[event] fn user_registered(username: String);`"
        }
        "key" => {
            "an argument of an event inside a `#[lightbus::api]` trait: `#[event] fn stock_changed(#[key] part: String);`"
        }
        _ => "an `async fn` inside a `#[lightbus::api]` trait",
    };
    diagnostics.at(
        proc_macro2::Span::call_site(),
        format_args!("`#[{attribute}]` goes on {place}"),
    );
    diagnostics.finish(item)
}

/// The item as a trait; or as it came, with the reason reported.
fn as_trait(item: TokenStream, diagnostics: &mut Diagnostics) -> Result<ItemTrait, TokenStream> {
    let error = match syn::parse2::<ItemTrait>(item.clone()) {
        Ok(item) => return Ok(item),
        Err(error) => error,
    };
    match keyword.parse2(item.clone()) {
        // A trait that syn cannot read: its own words say where.
        Ok(Keyword::Trait) | Err(_) => diagnostics.absorb(error),
        Ok(Keyword::Other(token)) => {
            diagnostics.on(token, "`#[lightbus::api]` goes on a trait: write the API as `pub trait AuthApi { … }`, and implement it with a plain `impl AuthApi for …`");
        }
    }
    Err(item)
}

enum Keyword {
    Trait,
    Other(proc_macro2::TokenTree),
}

/// The first token of an item behind its attributes and visibility.
fn keyword(input: ParseStream<'_>) -> syn::Result<Keyword> {
    input.call(syn::Attribute::parse_outer)?;
    input.parse::<syn::Visibility>()?;
    let is_trait = input.peek(syn::Token![trait])
        || input.peek2(syn::Token![trait])
        || input.peek3(syn::Token![trait]);
    let first = input.parse()?;
    input.parse::<TokenStream>()?;
    Ok(if is_trait {
        Keyword::Trait
    } else {
        Keyword::Other(first)
    })
}
