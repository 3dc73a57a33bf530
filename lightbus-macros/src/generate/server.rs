//! The provider's side: a struct that holds an implementation, and the table by which the runtime calls it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::{Context, at, attrs, docs, task};
use crate::model::{Arg, ArgKind, Kind, Method, Output};
use crate::names;

/// Nothing for an API without calls and tasks.
pub(super) fn generate(cx: &Context<'_>) -> Option<TokenStream> {
    cx.api.trait_methods().next()?;
    let ident = &cx.api.ident;
    let definition = definition(cx, &quote! { : #ident });
    let service = service(cx);
    Some(quote! { #definition #service })
}

/// The struct and its constructors, of any `T` within `bound`.
pub(super) fn definition(cx: &Context<'_>, bound: &TokenStream) -> TokenStream {
    let (krate, vis, server) = (&cx.krate, &cx.api.vis, &cx.names.server);
    let name = server.to_string();
    let about = docs::lines(&format!(
        "Serves an implementation of `{}` on the bus.\n\n```text\nbus.serve({server}::new(provider)).await?;\n```",
        cx.api.ident
    ));
    quote! {
        #about
        #[allow(dead_code)]
        #vis struct #server<T> {
            api: #krate::__private::Arc<T>,
        }

        #[allow(dead_code, deprecated)]
        impl<T #bound> #server<T> {
            /// Serves `api`.
            #[must_use]
            #vis fn new(api: T) -> Self {
                Self { api: #krate::__private::Arc::new(api) }
            }

            /// Serves `api`, which others hold as well.
            #[must_use]
            #vis fn from_arc(api: #krate::__private::Arc<T>) -> Self {
                Self { api }
            }
        }

        #[automatically_derived]
        impl<T> ::core::fmt::Debug for #server<T> {
            fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                __f.debug_struct(#name).finish_non_exhaustive()
            }
        }
    }
}

fn service(cx: &Context<'_>) -> TokenStream {
    let (krate, server, ident, name) = (
        &cx.krate,
        &cx.names.server,
        &cx.api.ident,
        cx.api.wire_name(),
    );
    let (allowances, outline) = (attrs::allowances(&cx.api.attrs), &cx.names.outline);
    let rows = cx.api.trait_methods().map(|method| row(cx, method));
    quote! {
        #[automatically_derived]
        #allowances
        #[allow(deprecated)]
        impl<T: #ident> #krate::Service for #server<T> {
            type Api = T;
            const NAME: &'static str = #name;
            const OUTLINE: &'static #krate::__private::ApiOutline = &#outline;
            const METHODS: &'static [#krate::__private::Method<T>] = &[#(#rows,)*];

            fn into_api(self) -> #krate::__private::Arc<T> {
                self.api
            }
        }
    }
}

fn row(cx: &Context<'_>, method: &Method) -> TokenStream {
    let (krate, ident, name, function) = (
        &cx.krate,
        &cx.api.ident,
        names::method(method),
        &method.sig.ident,
    );
    let options = options(cx, method);
    // Decoded before the future is made: a state machine that decodes compiles to twice the code.
    let decoded: Vec<_> = (0..method.args.len())
        .map(|n| format_ident!("__{n}"))
        .collect();
    let args = method.args.iter().map(argument);
    // What is returned may be unfit to travel: that is shown at its type.
    let span = method
        .output
        .types()
        .first()
        .map_or_else(|| at(function), |ty| ty.span());
    let reply = match method.output {
        Output::Fallible(..) => Ident::new("reply", span),
        Output::Unit | Output::Plain(_) | Output::Alias { .. } => Ident::new("reply_plain", span),
    };
    // A closure has no use for the name of an argument that no call reads.
    let args_name = if method.args.is_empty() {
        quote! { _ }
    } else {
        quote! { __args }
    };
    let call =
        quote_spanned! { at(function)=> <T as #ident>::#function(&__api #(, #decoded)*).await };
    let reply = quote_spanned! { span=> #krate::__private::#reply(#call) };
    quote_spanned! { at(function)=>
        #krate::__private::Method {
            name: #name,
            #options,
            call: |__api, #args_name| {
                #(let #decoded = #args;)*
                #krate::__private::Ok(#krate::__private::run(async move { #reply }))
            },
        }
    }
}

/// What the attribute of a call or task says.
fn options(cx: &Context<'_>, method: &Method) -> TokenStream {
    let (idempotent, cancel, task) = match &method.kind {
        Kind::Call(options) => (options.idempotent, options.cancel, None),
        Kind::Task(options) => {
            let spec = task::spec(cx, method, options);
            (false, false, Some(quote! { &#spec }))
        }
    };
    let task = task::option(task);
    quote! { idempotent: #idempotent, cancel: #cancel, task: #task }
}

fn argument(arg: &Arg) -> TokenStream {
    let name = names::arg(arg);
    match arg.kind {
        ArgKind::Bytes => quote! { __args.bytes(#name)? },
        ArgKind::Text | ArgKind::Value => quote_spanned! { arg.ty.span()=> __args.get(#name)? },
    }
}
