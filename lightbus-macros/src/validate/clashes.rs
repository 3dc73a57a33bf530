//! Names that two things cannot both have: in Rust, and on the wire.

use proc_macro2::Span;
use syn::Ident;

use crate::diagnostics::Diagnostics;
use crate::model::{Api, Event, Spanned, Verdict};
use crate::names::{self, Names};

/// What the generated types have functions of, or would hide from their users.
const RESERVED: [(&str, &str); 3] = [
    ("new", "makes a client"),
    ("events", "listens to all events"),
    ("clone", "copies a client"),
];

pub(super) fn check(api: &mut Api, diagnostics: &mut Diagnostics) {
    repeated_methods(api, diagnostics);
    repeated_events(api, diagnostics);
    shared_names(api, diagnostics);
    reserved_names(api, diagnostics);
    payloads(api, diagnostics);
    wire_names(api, diagnostics);
}

fn repeated_methods(api: &mut Api, diagnostics: &mut Diagnostics) {
    let mut seen: Vec<(Ident, &str)> = Vec::new();
    for method in &mut api.methods {
        let ident = &method.sig.ident;
        if let Some((_, noun)) = seen.iter().find(|(earlier, _)| earlier == ident) {
            diagnostics.on(
                ident,
                format_args!("there is a {noun} `{ident}` already: each has a name of its own"),
            );
            method.verdict = Verdict::Repeated;
        } else {
            seen.push((ident.clone(), method.kind.noun()));
        }
    }
}

fn repeated_events(api: &mut Api, diagnostics: &mut Diagnostics) {
    let mut seen: Vec<(Ident, Ident)> = Vec::new();
    for event in &mut api.events {
        let (ident, payload) = (event.sig.ident.clone(), names::payload(event));
        if let Some((_, first)) = seen.iter().find(|(earlier, _)| *earlier == ident) {
            diagnostics.on(
                &ident,
                format_args!("there is an event `{ident}` already: each has a name of its own"),
            );
            event.has_accessor = false;
            if *first == payload {
                event.verdict = Verdict::Repeated;
            }
        } else {
            seen.push((ident, payload));
        }
    }
}

/// Calls, tasks and events are functions of one client.
fn shared_names(api: &mut Api, diagnostics: &mut Diagnostics) {
    for event in &mut api.events {
        let ident = &event.sig.ident;
        let method = api.methods.iter().find(|method| method.sig.ident == *ident);
        if let Some(method) = method.filter(|_| event.has_accessor) {
            let noun = method.kind.noun();
            diagnostics.on(ident, format_args!("there is a {noun} `{ident}` already: the client has a function for each {noun} and each event, so rename one of them"));
            event.has_accessor = false;
        }
    }
}

fn reserved_names(api: &mut Api, diagnostics: &mut Diagnostics) {
    for method in &mut api.methods {
        if let Some(purpose) = reserved(&method.sig.ident) {
            refuse(
                &method.sig.ident,
                method.kind.attribute(),
                purpose,
                diagnostics,
            );
            method.in_client = false;
        }
    }
    for event in &mut api.events {
        if let Some(purpose) = reserved(&event.sig.ident) {
            refuse(&event.sig.ident, "event", purpose, diagnostics);
            event.has_accessor = false;
        }
    }
}

fn reserved(ident: &Ident) -> Option<&'static str> {
    RESERVED
        .iter()
        .find(|(name, _)| ident == name)
        .map(|(_, purpose)| *purpose)
}

fn refuse(ident: &Ident, key: &str, purpose: &str, diagnostics: &mut Diagnostics) {
    diagnostics.on(
        ident,
        format_args!("`{ident}` is taken: the client's own `{ident}` {purpose}; rename this, and keep its name on the bus by `#[{key}(name = \"{ident}\")]`"),
    );
}

/// Structs of events: one for each, and none with the name of another generated type.
fn payloads(api: &mut Api, diagnostics: &mut Diagnostics) {
    let own = Names::of(&api.ident);
    let mut taken: Vec<Ident> = own
        .all()
        .into_iter()
        .cloned()
        .chain([api.ident.clone()])
        .collect();
    let generated = taken.len();
    for event in api
        .events
        .iter_mut()
        .filter(|event| event.verdict != Verdict::Repeated)
    {
        let payload = names::payload(event);
        if let Some(index) = taken.iter().position(|name| *name == payload) {
            // A struct that is no event has no subscription.
            event.has_accessor &= index >= generated;
            diagnostics.at(
                payload_span(event),
                format_args!("the struct of this event would be a second `{payload}`: write `#[event(payload = \"AnotherName\")]`"),
            );
            event.verdict = Verdict::Repeated;
        } else {
            taken.push(payload);
        }
    }
}

fn payload_span(event: &Event) -> Span {
    event
        .options
        .payload
        .as_ref()
        .map_or_else(|| event.sig.ident.span(), |name| name.span)
}

/// On the wire a call or task, and likewise an event, is told from the others by its name.
fn wire_names(api: &Api, diagnostics: &mut Diagnostics) {
    let methods = api.trait_methods().map(|method| {
        (
            method.kind.noun(),
            names::method(method),
            wire_span(method.kind.name(), &method.sig.ident),
        )
    });
    unique(methods, diagnostics);
    let events = api
        .payloads()
        .filter(|event| event.has_accessor)
        .map(|event| {
            (
                "event",
                names::event(event),
                wire_span(event.options.name.as_ref(), &event.sig.ident),
            )
        });
    unique(events, diagnostics);
}

fn wire_span(option: Option<&Spanned<String>>, ident: &Ident) -> Span {
    option.map_or_else(|| ident.span(), |name| name.span)
}

fn unique(
    names: impl Iterator<Item = (&'static str, String, Span)>,
    diagnostics: &mut Diagnostics,
) {
    let mut seen: Vec<(&str, String)> = Vec::new();
    for (noun, name, span) in names {
        if let Some((earlier, _)) = seen.iter().find(|(_, taken)| *taken == name) {
            diagnostics.at(
                span,
                format_args!(
                    "another {earlier} is `{name}` on the bus: give this one a name of its own"
                ),
            );
        } else {
            seen.push((noun, name));
        }
    }
}
