//! Events: a struct for each, on both sides of the bus, and the publisher, on the provider's.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, LitStr};

use super::{Context, at, attrs, docs, fallback, vis_at};
use crate::model::{Arg, ArgKind, Event, Verdict};
use crate::names;

/// All payload structs.
pub(super) fn payloads(cx: &Context<'_>) -> TokenStream {
    let one = |event: &Event| match event.verdict {
        Verdict::Sound => payload(cx, event),
        Verdict::Broken | Verdict::Repeated => fallback::payload(cx, event),
    };
    cx.api.payloads().map(one).collect()
}

fn payload(cx: &Context<'_>, event: &Event) -> TokenStream {
    let krate = &cx.krate;
    let ident = &names::payload(event);
    let docs = docs_of_payload(cx, event);
    let carried = attrs::for_payload(&event.attrs);
    let allowances = attrs::allowances(&cx.api.attrs);
    let serde = LitStr::new(
        &docs::source(quote! { #krate::__private::serde }),
        ident.span(),
    );
    let span = at(ident);
    let (vis, fields) = (
        vis_at(&cx.api.vis, span),
        event.args.iter().map(|arg| field(cx, arg, &arg.ty)),
    );
    let (event_impl, filters, marker) = (
        event_impl(cx, event, ident),
        filters(cx, event, ident),
        clash_marker(ident),
    );
    quote_spanned! { span=>
        #docs
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            #krate::__private::serde::Serialize,
            #krate::__private::serde::Deserialize,
        )]
        #[serde(crate = #serde)]
        #(#carried)*
        #allowances
        #[allow(dead_code, clippy::struct_excessive_bools)]
        #vis struct #ident {
            #(#fields,)*
        }
        #event_impl
        #filters
        #marker
    }
}

/// Of an event's struct.
pub(super) fn docs_of_payload(cx: &Context<'_>, event: &Event) -> TokenStream {
    docs::or(
        &event.attrs,
        &format!(
            "The event `{}` of the API `{}`.",
            names::event(event),
            cx.api.wire_name()
        ),
    )
}

/// An argument as a field. What is written before it goes with it: docs, and serde's attributes.
pub(super) fn field(cx: &Context<'_>, arg: &Arg, ty: &impl ToTokens) -> TokenStream {
    let ident = &arg.ident;
    let vis = vis_at(&cx.api.vis, at(ident));
    let docs = docs::or(
        &arg.attrs,
        &format!("The `{}` of the event.", names::arg(arg)),
    );
    let carried = attrs::without_docs(&arg.attrs);
    quote_spanned! { at(ident)=> #docs #(#carried)* #vis #ident: #ty }
}

fn event_impl(cx: &Context<'_>, event: &Event, ident: &Ident) -> TokenStream {
    let (krate, api, name) = (&cx.krate, cx.api.wire_name(), names::event(event));
    let keys: Vec<String> = event.keys().map(names::arg).collect();
    let routing = (!keys.is_empty()).then(|| {
        let pushes = event.keys().map(|key| {
            let field = &key.ident;
            quote_spanned! { key.ty.span()=> __keys.push(&self.#field); }
        });
        quote! {
            const KEYS: &'static [&'static str] = &[#(#keys),*];
            fn routing_keys(&self, __keys: &mut #krate::__private::KeyWriter) {
                #(#pushes)*
            }
        }
    });
    let outline = &cx.names.outline;
    let has_secrets = event.args.iter().any(|arg| arg.secret.is_some());
    let secrets = has_secrets.then(|| {
        quote! {
            const OUTLINE: ::core::option::Option<&'static #krate::__private::ApiOutline> =
                ::core::option::Option::Some(&#outline);
        }
    });
    quote_spanned! { at(ident)=>
        #[automatically_derived]
        impl #krate::Event for #ident {
            const API: &'static str = #api;
            const NAME: &'static str = #name;
            #secrets
            #routing
        }
    }
}

/// A function for each key that makes a filter of it.
fn filters(cx: &Context<'_>, event: &Event, ident: &Ident) -> Option<TokenStream> {
    event.keys().next()?;
    let functions = event
        .keys()
        .enumerate()
        .map(|(index, key)| filter(cx, index, key));
    Some(quote_spanned! { at(ident)=>
        #[allow(dead_code, clippy::needless_pass_by_value)]
        impl #ident {
            #(#functions)*
        }
    })
}

fn filter(cx: &Context<'_>, index: usize, key: &Arg) -> TokenStream {
    let (krate, ident, ty, function) = (&cx.krate, &key.ident, &key.ty, names::filter(key));
    let vis = vis_at(&cx.api.vis, at(ident));
    let docs = docs::lines(&format!(
        "Only events of which `{}` is this one: for `.only(…)` of a subscription.",
        names::arg(key)
    ));
    let (param, value) = match key.kind {
        ArgKind::Text => (
            quote! { impl ::core::convert::AsRef<str> },
            quote! { ::core::convert::AsRef::<str>::as_ref(&#ident) },
        ),
        ArgKind::Bytes | ArgKind::Value => {
            (ty.to_token_stream(), quote_spanned! { at(ident)=> &#ident })
        }
    };
    let index = proc_macro2::Literal::usize_unsuffixed(index);
    quote_spanned! { at(ident)=>
        #docs
        #[must_use]
        #vis fn #function(#ident: #param) -> #krate::__private::KeyFilter<Self> {
            #krate::__private::KeyFilter::new(#index, #value)
        }
    }
}

/// Two APIs may have an event of the same name in one module. rustc reports the second struct; this constant, defined
/// twice as well, makes it say what to do about it, which no single expansion of the macro could know.
pub(super) fn clash_marker(payload: &Ident) -> TokenStream {
    let marker = names::clash_marker(payload);
    quote_spanned! { at(payload)=>
        #[doc(hidden)]
        #[allow(dead_code, non_upper_case_globals)]
        const #marker: () = ();
    }
}

/// The struct that publishes, for an API that has events.
pub(super) fn publisher(cx: &Context<'_>) -> Option<TokenStream> {
    cx.api.payloads().next()?;
    let (krate, vis, ident) = (&cx.krate, &cx.api.vis, &cx.names.events);
    let outline = &cx.names.outline;
    let about = docs::lines(&format!(
        "Publishes the events of the API `{}`: its provider's side of them.",
        cx.api.wire_name()
    ));
    let publishers = cx
        .api
        .events
        .iter()
        .filter(|event| event.has_accessor)
        .map(|event| event_publisher(cx, event));
    Some(quote! {
        #about
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[allow(dead_code)]
        #vis struct #ident {
            inner: #krate::__private::Publisher,
        }

        #[allow(dead_code)]
        impl #ident {
            /// A publisher over `bus`.
            #[must_use]
            #vis fn new(bus: &#krate::Bus) -> Self {
                Self { inner: #krate::__private::Publisher::new(bus, &#outline) }
            }
            #(#publishers)*
        }
    })
}

fn event_publisher(cx: &Context<'_>, event: &Event) -> TokenStream {
    let (krate, ident, payload) = (&cx.krate, &event.sig.ident, names::payload(event));
    let vis = vis_at(&cx.api.vis, at(ident));
    let docs = docs::of_accessor(event, "Publish it with `.publish(…)`.");
    let carried = attrs::for_function(&event.attrs);
    quote_spanned! { at(ident)=>
        #docs
        #carried
        #vis fn #ident(&self) -> #krate::EventPublisher<#payload> {
            self.inner.event()
        }
    }
}
