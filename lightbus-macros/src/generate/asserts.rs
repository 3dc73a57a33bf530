//! One check for each type of an API that it can travel, so that rustc points at the type where it was written.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::{Context, attrs};
use crate::model::Verdict;

pub(super) fn generate(cx: &Context<'_>) -> Option<TokenStream> {
    let krate = &cx.krate;
    let types = types(cx);
    if types.is_empty() {
        return None;
    }
    let checks = types
        .iter()
        .map(|ty| quote_spanned! { ty.span()=> #krate::__private::assert_wire::<#ty>(); });
    let allowances = attrs::allowances(&cx.api.attrs);
    Some(quote! {
        const _: () = {
            #allowances
            #[allow(dead_code, deprecated)]
            fn __these_types_travel_over_the_bus() {
                #(#checks)*
            }
        };
    })
}

/// Every type of a sound item, once.
fn types<'a>(cx: &Context<'a>) -> Vec<&'a Type> {
    let methods = cx
        .api
        .trait_methods()
        .filter(|method| method.verdict == Verdict::Sound);
    let of_methods = methods.flat_map(|method| {
        method
            .args
            .iter()
            .map(|arg| &arg.ty)
            .chain(method.output.types())
    });
    let events = cx
        .api
        .payloads()
        .filter(|event| event.verdict == Verdict::Sound);
    let of_events = events.flat_map(|event| event.args.iter().map(|arg| &arg.ty));
    let mut seen = BTreeSet::new();
    of_methods
        .chain(of_events)
        .filter(|ty| seen.insert(ty.to_token_stream().to_string()))
        .collect()
}
