//! Rules that hold for calls and events alike.

use quote::ToTokens;
use syn::{Attribute, Generics, Safety, Signature};

use super::types;
use crate::diagnostics::Diagnostics;
use crate::model::{Arg, Spanned};
use crate::names::{self, NAME_MAX};

/// Neither generics nor a where-clause, with the reason.
pub(super) fn no_generics(generics: &Generics, reason: &str, diagnostics: &mut Diagnostics) {
    if !generics.params.is_empty() {
        diagnostics.on(generics, reason);
    }
    if let Some(clause) = &generics.where_clause {
        diagnostics.on(clause, "a where-clause has no place in an API: what holds for a type is said where the type is defined; remove this");
    }
}

/// No word before `fn` but `async`, and no `...` at the end.
pub(super) fn no_qualifiers(sig: &Signature, diagnostics: &mut Diagnostics) {
    if let Some(constness) = &sig.constness {
        diagnostics.on(constness, "nothing on the bus can be `const`: remove this");
    }
    if let Safety::Unsafe(unsafety) = &sig.safety {
        diagnostics.on(unsafety, "nothing on the bus can be `unsafe`: it is used from other programs, which can keep no promise of that kind; remove this");
    }
    if let Some(abi) = &sig.abi {
        diagnostics.on(abi, "what comes over the bus has no ABI: remove this");
    }
    if let Some(variadic) = &sig.variadic {
        diagnostics.on(
            variadic.dots,
            "arguments have names on the bus: take a `Vec` for any number of them",
        );
    }
}

/// An API is one thing to all who share it.
pub(super) fn no_cfg(attrs: &[Attribute], diagnostics: &mut Diagnostics) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("cfg")) {
        diagnostics.on(attr, "an API is the same for everybody who shares it: `#[cfg]` cannot take a part of it away; put that part in a trait of its own");
    }
}

/// Arguments are plain names, each there once, of types that own what they hold.
pub(super) fn arguments(sig: &Signature, args: &mut [Arg], diagnostics: &mut Diagnostics) {
    let patterns = sig.inputs.iter().filter_map(|input| match input {
        syn::FnArg::Typed(typed) => Some(&typed.pat),
        syn::FnArg::Receiver(_) => None,
    });
    let mut seen: Vec<String> = Vec::new();
    for (arg, pattern) in args.iter_mut().zip(patterns) {
        if arg.is_pattern {
            diagnostics.on(
                pattern,
                "an argument is a plain name, as that is its name on the bus: `username: String`",
            );
        } else {
            argument_name(arg, pattern, &mut seen, diagnostics);
        }
        no_cfg(&arg.attrs, diagnostics);
        types::owned(&arg.ty, "an argument", diagnostics);
    }
}

fn argument_name(
    arg: &mut Arg,
    pattern: &dyn ToTokens,
    seen: &mut Vec<String>,
    diagnostics: &mut Diagnostics,
) {
    let name = names::arg(arg);
    if seen.contains(&name) {
        arg.repeated = true;
        diagnostics.on(
            pattern,
            format_args!("there is an argument `{name}` already: each has a name of its own"),
        );
    } else if !names::is_name(&name) {
        diagnostics.on(
            pattern,
            format_args!(
                "`{name}` cannot be the name of an argument, which is its name on the bus: {}",
                rule_of_names()
            ),
        );
    }
    seen.push(name);
}

/// The name on the wire of a call or event: what the attribute says, or the function's own.
pub(super) fn wire_name(
    option: Option<&Spanned<String>>,
    sig: &Signature,
    key: &str,
    diagnostics: &mut Diagnostics,
) {
    if let Some(name) = option {
        if !names::is_name(&name.value) {
            let wrong = if name.value.is_empty() {
                "the name is empty".to_owned()
            } else {
                format!("`{}` cannot be a name on the bus", name.value)
            };
            diagnostics.at(name.span, format_args!("{wrong}: {}", rule_of_names()));
        }
        return;
    }
    let name = syn::ext::IdentExt::unraw(&sig.ident).to_string();
    if !names::is_name(&name) {
        diagnostics.on(
            &sig.ident,
            format_args!("`{name}` cannot be a name on the bus: {}; rename it, or write `#[{key}(name = \"…\")]`", rule_of_names()),
        );
    }
}

fn rule_of_names() -> String {
    format!(
        "a name is made of small letters, digits and `_`, begins with a letter, and has at most {NAME_MAX} bytes"
    )
}
