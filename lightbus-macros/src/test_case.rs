//! `#[lightbus::test]`: a test with a bus of its own.

mod keys;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, FnArg, Ident, ItemFn, Lit, Meta};

use self::keys::{Keys, On};

const LEGAL: &str =
    "`#[lightbus::test]` is for `async fn name(bus: TestBus) { … }`, which may return a `Result`";

pub(super) fn expand(attr: TokenStream, item: TokenStream) -> TokenStream {
    let test = match syn::parse2::<ItemFn>(item) {
        Ok(test) => test,
        Err(error) => return Error::new(error.span(), LEGAL).to_compile_error(),
    };
    // What is wrong is said beside the function, which stays: nothing else breaks.
    let (keys, mut mistakes) = keys::parse(attr);
    mistakes.extend(check(&test).err());
    if mistakes.is_empty() {
        return cases(&keys, &test);
    }
    let mistakes = mistakes.iter().map(Error::to_compile_error);
    quote! { #(#mistakes)* #[allow(dead_code, unused_variables)] #test }
}

fn cases(keys: &Keys, test: &ItemFn) -> TokenStream {
    let (name, krate) = (&test.sig.ident, &keys.krate);
    let on_rabbitmq = || {
        let should_panic = match test.attrs.iter().find_map(should_panic) {
            Some(expected) => quote! { ::core::option::Option::Some(#expected) },
            None => quote! { ::core::option::Option::None },
        };
        quote! { RabbitMq { should_panic: #should_panic } }
    };
    let on = match keys.on {
        On::Both => return both(krate, test, &on_rabbitmq()),
        On::Environment => quote! { Environment },
        On::Embedded => quote! { Embedded },
        On::VirtualTime => quote! { VirtualTime },
        On::RabbitMq => on_rabbitmq(),
    };
    let (inputs, output, body) = (&test.sig.inputs, &test.sig.output, &test.block);
    let function = quote! { async fn __test(#inputs) #output #body };
    case(krate, test, name, &on, &function, &format_ident!("__test"))
}

/// Two tests of one body, which is compiled once.
fn both(krate: &TokenStream, test: &ItemFn, on_rabbitmq: &TokenStream) -> TokenStream {
    let (inputs, output, body) = (&test.sig.inputs, &test.sig.output, &test.block);
    let name = &test.sig.ident;
    let shared = format_ident!("__{name}");
    let attrs = test.attrs.iter().filter(|attr| is_for_code(attr));
    let nothing = TokenStream::new();
    let embedded = case(krate, test, name, &quote! { Embedded }, &nothing, &shared);
    let second = format_ident!("{name}_on_rabbitmq");
    let rabbitmq = case(krate, test, &second, on_rabbitmq, &nothing, &shared);
    quote! {
        #[cfg(test)]
        #(#attrs)*
        async fn #shared(#inputs) #output #body
        #embedded
        #rabbitmq
    }
}

fn case(
    krate: &TokenStream,
    test: &ItemFn,
    name: &Ident,
    on: &TokenStream,
    function: &TokenStream,
    run: &Ident,
) -> TokenStream {
    let (attrs, vis, output) = (&test.attrs, &test.vis, &test.sig.output);
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #name() #output {
            #function
            #krate::testing::__run(#krate::testing::__On::#on, #run)
        }
    }
}

/// Attributes that say how code is compiled, not how a test runs.
fn is_for_code(attr: &Attribute) -> bool {
    let names = [
        "cfg", "cfg_attr", "allow", "expect", "warn", "deny", "forbid",
    ];
    names.iter().any(|name| attr.path().is_ident(name))
}

/// What a test is to say when it panics, if it should; the empty text for whatever.
fn should_panic(attr: &Attribute) -> Option<String> {
    if !attr.path().is_ident("should_panic") {
        return None;
    }
    let value = match &attr.meta {
        Meta::NameValue(value) => Some(value.value.clone()),
        Meta::List(list) => list
            .parse_args::<syn::MetaNameValue>()
            .ok()
            .map(|value| value.value),
        Meta::Path(_) => None,
    };
    match value {
        Some(Expr::Lit(syn::ExprLit {
            lit: Lit::Str(text),
            ..
        })) => Some(text.value()),
        _ => Some(String::new()),
    }
}

fn check(test: &ItemFn) -> Result<(), Error> {
    let sig = &test.sig;
    if sig.asyncness.is_none() {
        return Err(Error::new(sig.fn_token.span(), LEGAL));
    }
    if !sig.generics.params.is_empty() {
        return Err(Error::new(sig.generics.span(), LEGAL));
    }
    let mut inputs = sig.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (Some(FnArg::Typed(_)), None) => Ok(()),
        (Some(_), Some(second)) => Err(Error::new(second.span(), LEGAL)),
        (first, _) => Err(Error::new(
            first.map_or(sig.ident.span(), Spanned::span),
            LEGAL,
        )),
    }
}
