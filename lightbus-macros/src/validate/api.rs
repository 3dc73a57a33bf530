//! Rules of the trait itself.

use syn::spanned::Spanned;
use syn::{Ident, TraitItem};

use super::signature;
use crate::diagnostics::Diagnostics;
use crate::lower::last_segment;
use crate::model::Api;
use crate::names::{self, API_NAME_MAX};

pub(super) fn check(api: &Api, diagnostics: &mut Diagnostics) {
    name(api, diagnostics);
    keywords(api, diagnostics);
    generics(api, diagnostics);
    attributes(api, diagnostics);
    for item in &api.others {
        foreign_item(item, diagnostics);
    }
}

fn name(api: &Api, diagnostics: &mut Diagnostics) {
    let Some(name) = &api.options.name else {
        return;
    };
    if names::is_api_name(&name.value) {
        if name.value.ends_with(".dead") {
            diagnostics.at(name.span, format_args!("`{}` cannot be the name of an API: what ends in `.dead` is the name of another API's dead letters", name.value));
        }
        return;
    }
    let wrong = if name.value.is_empty() {
        "the name is empty".to_owned()
    } else {
        format!("`{}` cannot be the name of an API", name.value)
    };
    diagnostics.at(
        name.span,
        format_args!(
            "{wrong}: a name is made of small letters, digits and `_`, begins with a letter, may have parts with dots between them, and \
             has at most {API_NAME_MAX} bytes, like `auth` or `my_company.auth`"
        ),
    );
}

fn keywords(api: &Api, diagnostics: &mut Diagnostics) {
    if let Some(unsafety) = &api.unsafety {
        diagnostics.on(unsafety, "an API cannot be `unsafe`: its callers are in other programs, and can keep no promise of that kind; remove this");
    }
    if let Some(auto) = &api.auto {
        diagnostics.on(
            auto,
            "an API cannot be an auto trait: somebody has to provide it; remove this",
        );
    }
}

fn generics(api: &Api, diagnostics: &mut Diagnostics) {
    signature::no_generics(
        &api.generics,
        "an API cannot be generic: its name on the bus stands for one set of calls; write the types out, in a trait for each",
        diagnostics,
    );
}

fn attributes(api: &Api, diagnostics: &mut Diagnostics) {
    for attr in api
        .attrs
        .iter()
        .filter(|attr| last_segment(attr) == "async_trait")
    {
        diagnostics.on(
            attr,
            "remove this: an API has `async fn` as it is, and so has each `impl` of it",
        );
    }
}

/// An API has nothing but calls, tasks and events.
fn foreign_item(item: &TraitItem, diagnostics: &mut Diagnostics) {
    let (tokens, what): (&dyn quote::ToTokens, _) = match item {
        TraitItem::Const(item) => (&item.ident as &Ident, "an associated constant"),
        TraitItem::Type(item) => (&item.ident, "an associated type"),
        TraitItem::Macro(item) => (&item.mac.path, "a macro"),
        _ => (item, "this"),
    };
    diagnostics.at(
        tokens.span(),
        format_args!("an API has calls, `async fn check_password(&self, …) -> …;`, tasks, `#[task]` above such a function, and events, `#[event] fn user_registered(…);`: {what} has no place on the bus"),
    );
}
