//! Rules of a call, and of a task, which is written like one.

use syn::{FnArg, Receiver, ReceiverKind, ReturnType, Signature, Type};

use super::{signature, types};
use crate::diagnostics::Diagnostics;
use crate::generate::source;
use crate::model::{Kind, Method, Output};

/// Whatever makes a signature one that no code can be generated for.
pub(super) fn check_signature(method: &mut Method, diagnostics: &mut Diagnostics) {
    let noun = method.kind.noun();
    if is_unmarked_event(method) {
        unmarked_event(method, diagnostics);
    } else {
        asyncness(method, diagnostics);
        receiver(noun, &method.sig, diagnostics);
    }
    signature::no_qualifiers(&method.sig, diagnostics);
    signature::no_generics(
        &method.sig.generics,
        &format!("a {noun} cannot be generic: both sides must know its types; write them out"),
        diagnostics,
    );
    signature::no_cfg(&method.attrs, diagnostics);
    signature::arguments(&method.sig, &mut method.args, diagnostics);
    keys(method, diagnostics);
    output(method, diagnostics);
}

/// Rules of its name, which no signature depends on.
pub(super) fn check_names(method: &Method, diagnostics: &mut Diagnostics) {
    signature::wire_name(
        method.kind.name(),
        &method.sig,
        method.kind.attribute(),
        diagnostics,
    );
}

/// `fn user_registered(username: String);` looks like an event that misses its attribute.
fn is_unmarked_event(method: &Method) -> bool {
    let sig = &method.sig;
    matches!(method.kind, Kind::Call(_))
        && sig.asyncness.is_none()
        && sig.receiver().is_none()
        && matches!(sig.output, ReturnType::Default)
}

fn unmarked_event(method: &Method, diagnostics: &mut Diagnostics) {
    let ident = &method.sig.ident;
    diagnostics.on(
        ident,
        format_args!("neither a call nor an event: a call is written `async fn {ident}(&self, …) -> …;`, an event `#[event] fn {ident}(…);`"),
    );
}

fn asyncness(method: &Method, diagnostics: &mut Diagnostics) {
    let sig = &method.sig;
    let why = match method.kind {
        Kind::Call(_) => "a call goes to another program, which takes time",
        Kind::Task(_) => "a task is done in the background, beside others",
    };
    if sig.asyncness.is_none() {
        diagnostics.on(
            sig.fn_token,
            format_args!("{why}: write `async fn {}`", sig.ident),
        );
    }
}

fn receiver(noun: &str, sig: &Signature, diagnostics: &mut Diagnostics) {
    let Some(receiver) = sig.receiver() else {
        diagnostics.on(&sig.ident, format_args!("a {noun} takes `&self`, the provider: write `async fn {}(&self, …)`; an event has neither `&self` nor `async`, but `#[event]`", sig.ident));
        return;
    };
    let reason = match &receiver.kind {
        ReceiverKind::Reference(_, None, None) => return,
        ReceiverKind::Reference(_, _, Some(_)) => format!(
            "many {noun}s run at the same time, so none can have the provider for itself: take `&self`, and keep what changes in a `Mutex`"
        ),
        // Where the lifetime is a parameter, that is the mistake.
        ReceiverKind::Reference(_, Some(_), None) if !sig.generics.params.is_empty() => return,
        ReceiverKind::Reference(_, Some(_), None) => {
            format!("a {noun} takes plain `&self`: remove the lifetime")
        }
        ReceiverKind::Typed(..) => format!(
            "a {noun} takes plain `&self`; to share the provider, hand an `Arc` of it to the `from_arc` of the generated server"
        ),
        _ => format!("the first {noun} would use the provider up: take `&self`"),
    };
    diagnostics.on(receiver_tokens(receiver), reason);
}

/// A receiver without its attributes.
fn receiver_tokens(receiver: &Receiver) -> FnArg {
    FnArg::Receiver(Receiver {
        attrs: Vec::new(),
        ..receiver.clone()
    })
}

fn keys(method: &Method, diagnostics: &mut Diagnostics) {
    for span in method.args.iter().filter_map(|arg| arg.key) {
        diagnostics.at(span, format_args!("`#[key]` goes on an argument of an event, by which listeners filter; a {} has one receiver, whoever provides it: remove this", method.kind.noun()));
    }
}

fn output(method: &Method, diagnostics: &mut Diagnostics) {
    let noun = method.kind.noun();
    let (value, error) = (
        format!("what a {noun} returns"),
        format!("the error of a {noun}"),
    );
    match &method.output {
        Output::Unit => {}
        Output::Plain(ty) => types::owned(ty, &value, diagnostics),
        Output::Fallible(ok, err) => {
            types::owned(ok, &value, diagnostics);
            types::owned(err, &error, diagnostics);
        }
        Output::Alias { written, ok } => alias(written, ok.as_ref(), diagnostics),
    }
}

fn alias(written: &Type, ok: Option<&Type>, diagnostics: &mut Diagnostics) {
    let ok = ok.map_or_else(|| "T".to_owned(), source);
    diagnostics.on(
        written,
        format_args!("write the error type out, `Result<{ok}, SomeError>`: callers get it back as it is, and a macro cannot look into an alias"),
    );
}
