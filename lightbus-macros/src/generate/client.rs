//! The peer's side: a struct with one function for each call, each task and each event.
//!
//! Each is a shim of one expression. What differs between calls is data, a `static` and a slice of arguments
//! behind `dyn`; the work is done by code of the runtime that is compiled once.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::{Context, at, attrs, docs, fallback, task, vis_at};
use crate::model::{Arg, ArgKind, Event, Kind, Method, Output, RpcOptions, Verdict};
use crate::names;

pub(super) fn generate(cx: &Context<'_>) -> TokenStream {
    let (krate, vis, client) = (&cx.krate, &cx.api.vis, &cx.names.client);
    let about = docs::lines(&about(cx));
    let methods = cx
        .api
        .trait_methods()
        .filter(|method| method.in_client)
        .map(|method| match method.verdict {
            Verdict::Sound => self::method(cx, method),
            Verdict::Broken | Verdict::Repeated => fallback::method(cx, method),
        });
    let subscriptions = cx
        .api
        .events
        .iter()
        .filter(|event| event.has_accessor)
        .map(|event| subscription(cx, event));
    let (all_events, outline) = (all_events(cx), &cx.names.outline);
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
                Self { inner: #krate::__private::Client::new(bus, &#outline) }
            }
            #(#methods)*
            #(#subscriptions)*
            #all_events
        }
    }
}

fn about(cx: &Context<'_>) -> String {
    let api = cx.api;
    let tasks = if api.tasks().next().is_some() {
        " enqueues its tasks,"
    } else {
        ""
    };
    let mut text = format!(
        "Calls the API `{}`,{tasks} and listens to its events, over the bus.\n",
        api.wire_name()
    );
    let mut example = String::new();
    if let Some(call) = api.calls().next() {
        example += &format!("let answer = client{}.await?;\n", docs::invocation(call));
    }
    if let Some(task) = api.tasks().next() {
        example += &format!("client{}.enqueue().await?;\n", docs::invocation(task));
    }
    if !example.is_empty() {
        let client = &cx.names.client;
        text += &format!("\n```text\nlet client = {client}::new(&bus);\n{example}```\n");
    }
    text
}

/// A call or a task: both are the same but for what the runtime is told of them.
fn method(cx: &Context<'_>, method: &Method) -> TokenStream {
    let (krate, ident) = (&cx.krate, &method.sig.ident);
    let vis = vis_at(&cx.api.vis, at(ident));
    let docs = docs::of_method(cx, method);
    let carried = attrs::for_function(&method.attrs);
    let is_task = matches!(method.kind, Kind::Task(_));
    let params = method.args.iter().map(|arg| match is_task {
        true => task::param(krate, arg),
        false => param(arg),
    });
    let pairs = method.args.iter().map(|arg| match is_task {
        true => task::pair(krate, arg),
        false => pair(krate, arg),
    });
    let returned = returned(krate, method, &method.output);
    let (spec_type, spec) = match &method.kind {
        Kind::Call(options) => (quote! { CallSpec }, spec(cx, method, options)),
        Kind::Task(options) => (quote! { TaskSpec }, task::spec(cx, method, options)),
    };
    let fallible = matches!(method.output, Output::Fallible(..));
    let send = match (&method.kind, fallible) {
        (Kind::Call(_), true) => "call",
        (Kind::Call(_), false) => "call_plain",
        (Kind::Task(_), true) => "task",
        (Kind::Task(_), false) => "task_plain",
    };
    let send = Ident::new(send, at(ident));
    quote_spanned! { at(ident)=>
        #docs
        #carried
        #vis fn #ident(&self #(, #params)*) -> #returned {
            static __SPEC: #krate::__private::#spec_type = #spec;
            self.inner.#send(&__SPEC, &[#(#pairs),*])
        }
    }
}

fn spec(cx: &Context<'_>, method: &Method, options: &RpcOptions) -> TokenStream {
    let (krate, api, name) = (&cx.krate, cx.api.wire_name(), names::method(method));
    let (idempotent, cancel) = (options.idempotent, options.cancel);
    let timeout = task::option(options.timeout_ms.map(task::duration));
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

/// What a method gives the caller: a builder of the call or task, typed by what it returns.
pub(super) fn returned(krate: &TokenStream, method: &Method, output: &Output) -> TokenStream {
    let builder = match method.kind {
        Kind::Call(_) => quote! { #krate::Call },
        Kind::Task(_) => quote! { #krate::Task },
    };
    match output {
        Output::Unit | Output::Alias { ok: None, .. } => {
            quote! { #builder<(), ::core::convert::Infallible> }
        }
        Output::Fallible(ok, err) => quote! { #builder<#ok, #err> },
        Output::Plain(ok) | Output::Alias { ok: Some(ok), .. } => {
            quote! { #builder<#ok, ::core::convert::Infallible> }
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
