//! The enum of all events of an API, for those who listen to every one.

use proc_macro2::TokenStream;
use quote::quote;

use super::{Context, docs};
use crate::model::Event;
use crate::names;

/// Nothing for an API without events.
pub(super) fn generate(cx: &Context<'_>) -> Option<TokenStream> {
    let events: Vec<&Event> = cx.api.payloads().collect();
    if events.is_empty() {
        return None;
    }
    let (vis, ident) = (&cx.api.vis, &cx.names.event);
    let about = docs::lines(&format!("Any event of the API `{}`.", cx.api.wire_name()));
    let variants = events.iter().map(|event| {
        let payload = names::payload(event);
        let docs = docs::or(
            &event.attrs,
            &format!("The event `{}`.", names::event(event)),
        );
        quote! { #docs #payload(#payload) }
    });
    let decoding = decoding(cx, &events);
    Some(quote! {
        #about
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
        #[allow(dead_code, clippy::enum_variant_names, clippy::large_enum_variant)]
        #vis enum #ident {
            #(#variants,)*
        }
        #decoding
    })
}

fn decoding(cx: &Context<'_>, events: &[&Event]) -> TokenStream {
    let (krate, ident, api) = (&cx.krate, &cx.names.event, cx.api.wire_name());
    let wire: Vec<String> = events.iter().map(|event| names::event(event)).collect();
    let payloads = events.iter().map(|event| names::payload(event));
    quote! {
        #[automatically_derived]
        impl #krate::__private::EventSet for #ident {
            const API: &'static str = #api;
            const EVENTS: &'static [&'static str] = &[#(#wire),*];

            fn decode(
                __event: &str,
                __payload: #krate::__private::Payload<'_>,
            ) -> ::core::result::Result<Self, #krate::__private::DecodeError> {
                match __event {
                    #(#wire => __payload.decode().map(Self::#payloads),)*
                    __other => ::core::result::Result::Err(#krate::__private::DecodeError::unknown_event(__other)),
                }
            }
        }
    }
}
