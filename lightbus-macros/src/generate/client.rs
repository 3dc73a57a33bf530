//! The peer's side: a struct with one function for each call and each event.
//!
//! Each is a shim of one expression. What differs between calls is data, a `static` and a slice of arguments
//! behind `dyn`; the work is done by code of the runtime that is compiled once.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::{Context, at, attrs, docs, fallback, vis_at};
use crate::model::{Arg, ArgKind, Event, Method, Output, Verdict};
use crate::names;

pub(super) fn generate(cx: &Context<'_>) -> TokenStream {
    let (krate, vis, client) = (&cx.krate, &cx.api.vis, &cx.names.client);
    let about = docs::lines(&about(cx));
    let calls = cx
        .api
        .trait_methods()
        .filter(|method| method.in_client)
        .map(|method| match method.verdict {
            Verdict::Sound => call(cx, method),
            Verdict::Broken | Verdict::Repeated => fallback::call(cx, method),
        });
    let subscriptions = cx
        .api
        .events
        .iter()
        .filter(|event| event.has_accessor)
        .map(|event| subscription(cx, event));
    let all_events = all_events(cx);
    let allowances = attrs::allowances(&cx.api.attrs);
    quote! {
        #about
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #allowances
        #[allow(dead_code)]
        #vis struct #client {
            inner: #krate::__private::Client,
        }

        #allowances
        #[allow(dead_code, clippy::needless_pass_by_value, clippy::too_many_arguments)]
        impl #client {
            /// A client that calls and listens over `bus`.
            #[must_use]
            #vis fn new(bus: &#krate::Bus) -> Self {
                Self { inner: #krate::__private::Client::new(bus) }
            }
            #(#calls)*
            #(#subscriptions)*
            #all_events
        }
    }
}

fn about(cx: &Context<'_>) -> String {
    let mut text = format!(
        "Calls the API `{}`, and listens to its events, over the bus.\n",
        cx.api.wire_name()
    );
    if let Some(method) = cx.api.trait_methods().next() {
        let arguments: Vec<String> = method
            .args
            .iter()
            .map(|arg| arg.ident.to_string())
            .collect();
        text += &format!(
            "\n```text\nlet client = {}::new(&bus);\nlet answer = client.{}({}).await?;\n```\n",
            cx.names.client,
            method.sig.ident,
            arguments.join(", ")
        );
    }
    text
}

fn call(cx: &Context<'_>, method: &Method) -> TokenStream {
    let (krate, ident) = (&cx.krate, &method.sig.ident);
    let vis = vis_at(&cx.api.vis, at(ident));
    let docs = docs::of_call(cx, method);
    let carried = attrs::for_function(&method.attrs);
    let params = method.args.iter().map(param);
    let pairs = method.args.iter().map(|arg| pair(krate, arg));
    let returned = returned(krate, &method.output);
    let spec = spec(cx, method);
    let send = match method.output {
        Output::Fallible(..) => Ident::new("call", at(ident)),
        Output::Unit | Output::Plain(_) | Output::Alias { .. } => {
            Ident::new("call_plain", at(ident))
        }
    };
    quote_spanned! { at(ident)=>
        #docs
        #carried
        #vis fn #ident(&self #(, #params)*) -> #returned {
            static __SPEC: #krate::__private::CallSpec = #spec;
            self.inner.#send(&__SPEC, &[#(#pairs),*])
        }
    }
}

fn spec(cx: &Context<'_>, method: &Method) -> TokenStream {
    let (krate, api, name) = (&cx.krate, cx.api.wire_name(), names::method(method));
    let (idempotent, cancel) = (method.options.idempotent, method.options.cancel);
    let timeout = match method.options.timeout_ms {
        Some(ms) => {
            quote! { ::core::option::Option::Some(::core::time::Duration::from_millis(#ms)) }
        }
        None => quote! { ::core::option::Option::None },
    };
    quote! {
        #krate::__private::CallSpec {
            api: #api, method: #name, timeout: #timeout, idempotent: #idempotent, cancel: #cancel
        }
    }
}

/// An argument as the caller gives it.
pub(super) fn param(arg: &Arg) -> TokenStream {
    let (ident, ty) = (&arg.ident, &arg.ty);
    match arg.kind {
        ArgKind::Text => quote! { #ident: impl ::core::convert::AsRef<str> },
        ArgKind::Bytes => quote! { #ident: impl ::core::convert::AsRef<[u8]> },
        ArgKind::Value => quote! { #ident: #ty },
    }
}

/// An argument as it is handed to the runtime: its name on the wire, and a reference to it.
fn pair(krate: &TokenStream, arg: &Arg) -> TokenStream {
    let (ident, name) = (&arg.ident, names::arg(arg));
    match arg.kind {
        ArgKind::Text => quote! { (#name, &::core::convert::AsRef::<str>::as_ref(&#ident)) },
        ArgKind::Bytes => {
            quote! { (#name, &#krate::__private::BytesArg(::core::convert::AsRef::<[u8]>::as_ref(&#ident))) }
        }
        ArgKind::Value => quote_spanned! { arg.ty.span()=> (#name, &#ident) },
    }
}

/// What a call gives the caller: a builder of the call, typed by what it returns.
pub(super) fn returned(krate: &TokenStream, output: &Output) -> TokenStream {
    match output {
        Output::Unit | Output::Alias { ok: None, .. } => {
            quote! { #krate::Call<(), ::core::convert::Infallible> }
        }
        Output::Plain(ty) => quote! { #krate::Call<#ty, ::core::convert::Infallible> },
        Output::Fallible(ok, err) => quote! { #krate::Call<#ok, #err> },
        Output::Alias { ok: Some(ok), .. } => {
            quote! { #krate::Call<#ok, ::core::convert::Infallible> }
        }
    }
}

fn subscription(cx: &Context<'_>, event: &Event) -> TokenStream {
    let (krate, ident) = (&cx.krate, &event.sig.ident);
    let vis = vis_at(&cx.api.vis, at(ident));
    let payload: Ident = names::payload(event);
    let docs = docs::of_accessor(
        event,
        "Listen to it with `.listen(…)`, `.broadcast(…)` or `.stream(…)`.",
    );
    let carried = attrs::for_function(&event.attrs);
    quote_spanned! { at(ident)=>
        #docs
        #carried
        #vis fn #ident(&self) -> #krate::Subscription<#payload> {
            self.inner.subscribe()
        }
    }
}

/// One subscription to all events, if there are any.
fn all_events(cx: &Context<'_>) -> Option<TokenStream> {
    cx.api.payloads().next()?;
    let (krate, vis, event) = (&cx.krate, &cx.api.vis, &cx.names.event);
    Some(quote! {
        /// All events of the API, as one enum.
        #vis fn events(&self) -> #krate::Subscription<#event> {
            self.inner.subscribe()
        }
    })
}
