//! Every generated identifier and every name on the wire, in one place.
//!
//! An identifier carries the span of the user's own one it was made from: that is what makes
//! go-to-definition, hover and rename work on generated items.

use proc_macro2::Ident;
use quote::format_ident;
use syn::ext::IdentExt;

use crate::model::{Arg, Event, Method, Spanned};

/// The longest name of an API, in bytes.
pub(crate) const API_NAME_MAX: usize = 60;
/// The longest name of a method, an event or an argument, in bytes.
pub(crate) const NAME_MAX: usize = 60;

/// The types generated beside a trait.
pub(crate) struct Names {
    /// `AuthApiClient`
    pub(crate) client: Ident,
    /// `AuthApiServer`
    pub(crate) server: Ident,
    /// `AuthApiEvents`
    pub(crate) events: Ident,
    /// `AuthApiEvent`
    pub(crate) event: Ident,
    /// What both halves say of the API; not for people.
    pub(crate) outline: Ident,
}

impl Names {
    /// The names for a trait.
    pub(crate) fn of(trait_ident: &Ident) -> Self {
        Self {
            client: format_ident!("{trait_ident}Client"),
            server: format_ident!("{trait_ident}Server"),
            events: format_ident!("{trait_ident}Events"),
            event: format_ident!("{trait_ident}Event"),
            outline: format_ident!("__OUTLINE_OF_{trait_ident}"),
        }
    }

    /// Those that people use.
    pub(crate) fn all(&self) -> [&Ident; 4] {
        [&self.client, &self.server, &self.events, &self.event]
    }
}

/// The name on the wire of a call or task.
pub(crate) fn method(method: &Method) -> String {
    on_wire(method.kind.name(), &method.sig.ident)
}

/// An event's name on the wire.
pub(crate) fn event(event: &Event) -> String {
    on_wire(event.options.name.as_ref(), &event.sig.ident)
}

/// An argument's name on the wire.
pub(crate) fn arg(arg: &Arg) -> String {
    arg.ident.unraw().to_string()
}

fn on_wire(option: Option<&Spanned<String>>, ident: &Ident) -> String {
    option.map_or_else(|| ident.unraw().to_string(), |name| name.value.clone())
}

/// The struct of an event: `user_registered` → `UserRegistered`, or what `payload = "…"` says.
///
/// Always an identifier: of a name that gives none, which is reported, something close to it is made.
pub(crate) fn payload(event: &Event) -> Ident {
    if let Some(name) = &event.options.payload
        && is_type_name(&name.value)
    {
        return Ident::new(&name.value, name.span);
    }
    let camel = camel_case(&event.sig.ident);
    if is_type_name(&camel) {
        Ident::new(&camel, event.sig.ident.span())
    } else {
        format_ident!("Event{camel}", span = event.sig.ident.span())
    }
}

/// `user_registered` → `UserRegistered`.
pub(crate) fn camel_case(ident: &Ident) -> String {
    let snake = ident.unraw().to_string();
    snake.split('_').map(capitalise).collect()
}

fn capitalise(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// The function that makes a filter of a key: `part` → `part_is`.
pub(crate) fn filter(key: &Arg) -> Ident {
    format_ident!("{}_is", key.ident)
}

/// A constant that two events with one payload struct would both define: rustc's message then names the cure.
pub(crate) fn clash_marker(payload: &Ident) -> Ident {
    format_ident!(
        "__two_events_are_named_{payload}__rename_one_by_payload_in_its_event_attribute",
        span = payload.span()
    )
}

/// May an API be called so? `[a-z][a-z0-9_]*`, more of them behind dots.
pub(crate) fn is_api_name(name: &str) -> bool {
    name.len() <= API_NAME_MAX && name.split('.').all(is_word)
}

/// May a method, an event or an argument be called so? `[a-z][a-z0-9_]*`.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX && is_word(name)
}

fn is_word(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
        && word
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// May a struct be called so? `Self` is the one keyword that looks like it.
pub(crate) fn is_type_name(name: &str) -> bool {
    name != "Self"
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
