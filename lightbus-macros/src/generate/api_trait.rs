//! The trait: what was written, without the events, and with futures that can be spawned.
//!
//! `async fn f(&self) -> T` becomes `fn f(&self) -> impl Future<Output = T> + Send`. An `impl` still says
//! `async fn`; but now whoever is generic over the trait knows that the future may move between threads.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Pat, ReturnType, Signature, Token};

use super::{Context, attrs, docs};
use crate::lower::last_segment;
use crate::model::{Arg, Method, Verdict};

pub(super) fn generate(cx: &Context<'_>) -> TokenStream {
    let api = cx.api;
    // Reported; left in, it would rewrite the trait a second time.
    let user_attrs = api
        .attrs
        .iter()
        .filter(|attr| last_segment(attr) != "async_trait");
    let more_docs = docs::of_trait(cx);
    let (vis, unsafety, ident, others) = (&api.vis, &api.unsafety, &api.ident, &api.others);
    let (generics, where_clause, supertraits) =
        (&api.generics, &api.generics.where_clause, &api.supertraits);
    let methods = api.trait_methods().map(method);
    quote! {
        #(#user_attrs)*
        #more_docs
        #[allow(dead_code)]
        #vis #unsafety trait #ident #generics: #(#supertraits +)* ::core::marker::Send + ::core::marker::Sync + 'static
        #where_clause
        {
            #(#others)*
            #(#methods)*
        }
    }
}

fn method(method: &Method) -> TokenStream {
    let carried = attrs::for_trait(&method.attrs);
    let argument_docs = docs::of_arguments(method);
    let sound = method.verdict == Verdict::Sound;
    let mut sig = method.sig.clone();
    tidy_arguments(&mut sig, &method.args, method.body.is_some());
    if !sound {
        // rustc would report these a second time.
        sig.constness = None;
        sig.variadic = None;
    }
    let is_async = sig.asyncness.take().is_some();
    if is_async {
        sig.output = future_of(&sig.output, sound);
    }
    let body = match &method.body {
        Some(body) if is_async => quote_spanned! { body.span()=> { async move #body } },
        Some(body) => body.to_token_stream(),
        None => quote! { ; },
    };
    quote! { #(#carried)* #argument_docs #sig #body }
}

/// `-> T` as the future of it. That of a broken signature need not be `Send`: it may hold anything, and
/// that would be a second error.
fn future_of(output: &ReturnType, sound: bool) -> ReturnType {
    let (span, ty) = match output {
        ReturnType::Default => (output.span(), quote! { () }),
        ReturnType::Type(_, ty) => (ty.span(), ty.to_token_stream()),
    };
    let send = sound.then(|| quote_spanned! { span=> + ::core::marker::Send });
    let future = quote_spanned! { span=> impl ::core::future::Future<Output = #ty> #send };
    ReturnType::Type(Token![->](span), Box::new(syn::Type::Verbatim(future)))
}

/// Takes away what Rust allows on no argument, docs and our own attributes; and, where there is no body, patterns.
fn tidy_arguments(sig: &mut Signature, args: &[Arg], has_body: bool) {
    let typed = sig.inputs.iter_mut().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    for (typed, arg) in typed.zip(args) {
        typed.attrs.retain(|attr| {
            !attr.path().is_ident("doc")
                && !["key", "lightbus"].contains(&last_segment(attr).as_str())
        });
        if arg.repeated || (arg.is_pattern && !has_body) {
            *typed.pat = Pat::Verbatim(quote! { _ });
        }
    }
}
