//! Stubs for what is broken.
//!
//! They have the names, and as far as it can be told the shape, of what would have been generated, and
//! take whatever they are given; so the one error a user sees is the mistake itself. Their bodies never return: no
//! program that holds one gets compiled.

use proc_macro2::{Punct, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};

use super::{Context, at, client, docs, events, server, vis_at};
use crate::model::{Arg, Event, Method, Output};
use crate::names;

/// A call or task in the client: it takes anything, and returns what the signature says where that means something outside of the trait.
pub(super) fn method(cx: &Context<'_>, method: &Method) -> TokenStream {
    let (krate, ident) = (&cx.krate, &method.sig.ident);
    let vis = vis_at(&cx.api.vis, at(ident));
    let docs = docs::of_method(cx, method);
    let types: Vec<_> = (0..method.args.len())
        .map(|index| format_ident!("__A{index}"))
        .collect();
    let nameable = method.sig.generics.params.is_empty()
        && method
            .output
            .types()
            .iter()
            .all(|ty| is_nameable(ty.to_token_stream()));
    let returned = client::returned(
        krate,
        method,
        if nameable {
            &method.output
        } else {
            &Output::Unit
        },
    );
    quote_spanned! { at(ident)=>
        #docs
        #[allow(clippy::empty_loop)]
        #vis fn #ident<#(#types),*>(&self #(, _: #types)*) -> #returned {
            loop {}
        }
    }
}

/// An event's struct, with serde's traits as stubs, since a broken field might not have them.
pub(super) fn payload(cx: &Context<'_>, event: &Event) -> TokenStream {
    let ident = &names::payload(event);
    let docs = events::docs_of_payload(cx, event);
    let vis = vis_at(&cx.api.vis, at(ident));
    let fields = event
        .args
        .iter()
        .filter(|arg| !arg.repeated)
        .map(|arg| events::field(cx, &without_attributes(arg), &field_type(arg)));
    let (impls, filters, marker) = (
        payload_impls(cx, event),
        filters(cx, event),
        events::clash_marker(ident),
    );
    quote_spanned! { at(ident)=>
        #docs
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
        #[allow(dead_code)]
        #vis struct #ident {
            #(#fields,)*
        }
        #impls
        #filters
        #marker
    }
}

fn payload_impls(cx: &Context<'_>, event: &Event) -> TokenStream {
    let (krate, ident) = (&cx.krate, &names::payload(event));
    let (api, name) = (cx.api.wire_name(), names::event(event));
    quote! {
        #[automatically_derived]
        #[allow(clippy::empty_loop)]
        impl #krate::__private::serde::Serialize for #ident {
            fn serialize<__S: #krate::__private::serde::Serializer>(
                &self,
                _: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                loop {}
            }
        }
        #[automatically_derived]
        #[allow(clippy::empty_loop)]
        impl<'__de> #krate::__private::serde::Deserialize<'__de> for #ident {
            fn deserialize<__D: #krate::__private::serde::Deserializer<'__de>>(
                _: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                loop {}
            }
        }
        #[automatically_derived]
        impl #krate::Event for #ident {
            const API: &'static str = #api;
            const NAME: &'static str = #name;
        }
    }
}

fn filters(cx: &Context<'_>, event: &Event) -> TokenStream {
    let (krate, vis, ident) = (&cx.krate, &cx.api.vis, &names::payload(event));
    let functions = event.keys().filter(|key| !key.repeated).map(|key| {
        let function = names::filter(key);
        let docs = docs::lines("A filter.");
        quote! {
            #docs
            #[allow(clippy::empty_loop)]
            #vis fn #function<__V>(_: __V) -> #krate::__private::KeyFilter<Self> {
                loop {}
            }
        }
    });
    quote! {
        #[allow(dead_code)]
        impl #ident {
            #(#functions)*
        }
    }
}

/// A server of anything, with an empty table.
pub(super) fn server(cx: &Context<'_>) -> TokenStream {
    let (krate, server, name) = (&cx.krate, &cx.names.server, cx.api.wire_name());
    let outline = &cx.names.outline;
    let bound = quote! { : ::core::marker::Send + ::core::marker::Sync + 'static };
    let definition = server::definition(cx, &bound);
    quote! {
        #definition
        #[automatically_derived]
        impl<T #bound> #krate::Service for #server<T> {
            type Api = T;
            const NAME: &'static str = #name;
            const OUTLINE: &'static #krate::__private::ApiOutline = &#outline;
            const METHODS: &'static [#krate::__private::Method<T>] = &[];

            fn into_api(self) -> #krate::__private::Arc<T> {
                self.api
            }
        }
    }
}

/// Serde's attributes would have no derive to belong to.
fn without_attributes(arg: &Arg) -> Arg {
    let attrs = arg
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("doc"))
        .cloned()
        .collect();
    Arg {
        ident: arg.ident.clone(),
        attrs,
        ty: arg.ty.clone(),
        ..*arg
    }
}

/// The type of a field: as written, if it can be a field's at all.
fn field_type(arg: &Arg) -> TokenStream {
    let ty = with_static_lifetimes(arg.ty.to_token_stream());
    if is_nameable(ty.clone()) {
        ty
    } else {
        quote! { () }
    }
}

/// Has a type a meaning outside of the trait? Not if it says `impl`, `Self` or `_`, or borrows from something there.
fn is_nameable(tokens: TokenStream) -> bool {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let fine = match &token {
            TokenTree::Ident(ident) => ident != "impl" && ident != "Self" && ident != "_",
            TokenTree::Punct(punct) if punct.as_char() == '&' => is_tick(tokens.peek()),
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                matches!(tokens.peek(), Some(TokenTree::Ident(name)) if name == "static")
            }
            TokenTree::Group(group) => is_nameable(group.stream()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => true,
        };
        if !fine {
            return false;
        }
    }
    true
}

/// `&str` as `&'static str`: what a field of that type would have to be.
fn with_static_lifetimes(tokens: TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '&' && !is_tick(tokens.peek()) => {
                out.push(punct.into());
                out.push(Punct::new('\'', Spacing::Joint).into());
                out.push(format_ident!("static").into());
            }
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                tokens.next();
                out.push(punct.into());
                out.push(format_ident!("static").into());
            }
            TokenTree::Group(group) => {
                out.push(
                    proc_macro2::Group::new(
                        group.delimiter(),
                        with_static_lifetimes(group.stream()),
                    )
                    .into(),
                );
            }
            other => out.push(other),
        }
    }
    out.into_iter().collect()
}

fn is_tick(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == '\'')
}
