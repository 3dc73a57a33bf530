//! Rules of an event.

use proc_macro2::TokenTree;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Meta, ReturnType};

use super::{signature, types};
use crate::diagnostics::Diagnostics;
use crate::model::Event;
use crate::names;

/// The most keys an event may have: each is a word in the routing key of every message.
const KEYS_MAX: usize = 8;

/// Whatever makes a signature one that no code can be generated for.
pub(super) fn check_signature(event: &mut Event, diagnostics: &mut Diagnostics) {
    shape(event, diagnostics);
    signature::no_qualifiers(&event.sig, diagnostics);
    signature::no_generics(
        &event.sig.generics,
        "an event cannot be generic: both sides must know its types; write them out",
        diagnostics,
    );
    signature::no_cfg(&event.attrs, diagnostics);
    signature::arguments(&event.sig, &mut event.args, diagnostics);
    keys(event, diagnostics);
    secrets(event, diagnostics);
}

/// Rules of its names, which no signature depends on.
pub(super) fn check_names(event: &Event, diagnostics: &mut Diagnostics) {
    signature::wire_name(
        event.options.name.as_ref(),
        &event.sig,
        "event",
        diagnostics,
    );
    payload_name(event, diagnostics);
}

/// An event is a name and arguments, and nothing else.
fn shape(event: &Event, diagnostics: &mut Diagnostics) {
    let ident = &event.sig.ident;
    if let Some(asyncness) = &event.sig.asyncness {
        diagnostics.on(asyncness, format_args!("an event is a message that nobody waits for: write `#[event] fn {ident}(…);`, without `async`"));
    }
    if let Some(receiver) = event.sig.receiver() {
        let receiver = FnArg::Receiver(receiver.clone());
        diagnostics.on(
            receiver,
            "an event has no `self`: it only says what happened; a call has, without `#[event]`",
        );
    }
    if let ReturnType::Type(_, ty) = &event.sig.output {
        diagnostics.on(ty, "an event returns nothing: nobody answers it; what is to be answered is a call, without `#[event]`");
    }
    if let Some(body) = &event.body {
        diagnostics.at(
            body.span(),
            "an event has no body: listeners decide what it leads to; end it with `;`",
        );
    }
}

fn keys(event: &Event, diagnostics: &mut Diagnostics) {
    for (index, key) in event.keys().enumerate() {
        types::key(&key.ty, diagnostics);
        if let (true, Some(span)) = (index >= KEYS_MAX, key.key) {
            diagnostics.at(
                span,
                format_args!(
                    "an event has at most {KEYS_MAX} keys: keep those that listeners filter by"
                ),
            );
        }
    }
}

/// What is secret is known by its name, and by that alone.
fn secrets(event: &Event, diagnostics: &mut Diagnostics) {
    let renames_all = serde_says(&event.attrs, &["rename_all"]);
    for arg in &event.args {
        let Some(span) = arg.secret else {
            continue;
        };
        if arg.key.is_some() {
            diagnostics.at(span, "a key is a word of the routing key, which is seen wherever the event goes: an argument is `#[key]` or secret, not both");
        }
        if renames_all || serde_says(&arg.attrs, &["rename", "flatten"]) {
            diagnostics.at(span, "what is secret is found by the argument's name, and serde gives it another one on the bus: remove that, and name the argument so");
        }
    }
}

/// Is one of these words in a `#[serde(…)]`?
fn serde_says(attrs: &[Attribute], words: &[&str]) -> bool {
    let is_such = |token: TokenTree| matches!(token, TokenTree::Ident(word) if words.iter().any(|it| word == it));
    let mut lists = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::List(list) if attr.path().is_ident("serde") => Some(list.tokens.clone()),
        _ => None,
    });
    lists.any(|tokens| tokens.into_iter().any(is_such))
}

fn payload_name(event: &Event, diagnostics: &mut Diagnostics) {
    let rule = "begins with a capital, and is made of letters, digits and `_`";
    let Some(name) = &event.options.payload else {
        let camel = names::camel_case(&event.sig.ident);
        if !names::is_type_name(&camel) {
            diagnostics.on(&event.sig.ident, format_args!("`{camel}` cannot be the name of the event's struct, which {rule}: rename the event, or write `#[event(payload = \"…\")]`"));
        }
        return;
    };
    if !names::is_type_name(&name.value) {
        diagnostics.at(
            name.span,
            format_args!(
                "`{}` cannot be the name of the event's struct: it {rule}, like `UserRegistered`",
                name.value
            ),
        );
    }
}
