//! What the runtime is told of a task, on both sides alike.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::Context;
use crate::model::{Arg, ArgKind, Backoff, Method, Rate, TaskOptions};
use crate::names;

/// An argument as who enqueues gives it: a value, or the output of the task before.
pub(super) fn param(krate: &TokenStream, arg: &Arg) -> TokenStream {
    let (ident, ty) = (&arg.ident, taken(arg));
    quote! { #ident: impl #krate::Input<#ty> }
}

/// An argument as it is handed to the runtime: its name on the wire, and a reference to it.
pub(super) fn pair(krate: &TokenStream, arg: &Arg) -> TokenStream {
    let (ident, name, ty) = (&arg.ident, names::arg(arg), taken(arg));
    quote_spanned! { arg.ty.span()=> (#name, &#krate::__private::given::<#ty, _>(&#ident)) }
}

/// As what it is taken.
fn taken(arg: &Arg) -> TokenStream {
    let ty = &arg.ty;
    match arg.kind {
        ArgKind::Text => quote! { ::core::primitive::str },
        ArgKind::Bytes => quote! { [::core::primitive::u8] },
        ArgKind::Value => quote! { #ty },
    }
}

/// The `TaskSpec`, as a constant expression.
pub(super) fn spec(cx: &Context<'_>, method: &Method, options: &TaskOptions) -> TokenStream {
    let (krate, api, task) = (&cx.krate, cx.api.wire_name(), names::method(method));
    let queue = option(options.queue.as_ref().map(|queue| {
        let name = &queue.value;
        quote! { #name }
    }));
    let retries = option(options.retries.map(|retries| quote! { #retries }));
    let backoff = option(options.backoff.as_ref().map(|it| backoff(krate, it)));
    let [timeout, expires, result_ttl] = [
        options.timeout_ms,
        options.expires_ms,
        options.result_ttl_ms,
    ]
    .map(|ms| option(ms.map(duration)));
    let rate = option(options.rate.map(|it| rate(krate, it)));
    let concurrency = option(options.concurrency.map(|number| quote! { #number }));
    let unique = options.unique;
    quote! {
        #krate::__private::TaskSpec {
            api: #api, task: #task, queue: #queue, retries: #retries, backoff: #backoff, timeout: #timeout,
            expires: #expires, result_ttl: #result_ttl, unique: #unique, rate: #rate, concurrency: #concurrency
        }
    }
}

fn backoff(krate: &TokenStream, backoff: &Backoff) -> TokenStream {
    let path = quote! { #krate::__private::Backoff };
    match backoff {
        Backoff::Exponential(ms) => {
            let first = duration(*ms);
            quote! { #path::Exponential(#first) }
        }
        Backoff::Fixed(ms) => {
            let each = duration(*ms);
            quote! { #path::Fixed(#each) }
        }
        Backoff::List(list) => {
            let list = list.iter().copied().map(duration);
            quote! { #path::List(&[#(#list),*]) }
        }
    }
}

fn rate(krate: &TokenStream, rate: Rate) -> TokenStream {
    let (count, per) = (rate.count, duration(rate.per_ms));
    quote! { #krate::__private::Rate { count: #count, per: #per } }
}

/// `Some` or `None`, by their whole paths.
pub(super) fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote! { ::core::option::Option::Some(#value) },
        None => quote! { ::core::option::Option::None },
    }
}

/// A `Duration`.
pub(super) fn duration(ms: u64) -> TokenStream {
    quote! { ::core::time::Duration::from_millis(#ms) }
}
