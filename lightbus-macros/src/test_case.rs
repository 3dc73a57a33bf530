//! `#[lightbus::test]`: a test with a bus of its own.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser as _;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Path};

const LEGAL: &str =
    "`#[lightbus::test]` is for `async fn name(bus: TestBus) { … }`, which may return a `Result`";

pub(super) fn expand(attr: TokenStream, item: TokenStream) -> TokenStream {
    let test = match syn::parse2::<ItemFn>(item) {
        Ok(test) => test,
        Err(error) => return Error::new(error.span(), LEGAL).to_compile_error(),
    };
    // What is wrong is said beside the function, which stays: nothing else breaks.
    let (krate, mistake) = match krate(attr) {
        Ok(krate) => (krate, check(&test).err()),
        Err(error) => (quote! { ::lightbus }, Some(error)),
    };
    match mistake {
        Some(mistake) => {
            let mistake = mistake.to_compile_error();
            quote! { #mistake #[allow(dead_code, unused_variables)] #test }
        }
        None => case(&krate, &test),
    }
}

fn case(krate: &TokenStream, test: &ItemFn) -> TokenStream {
    let (attrs, vis, name) = (&test.attrs, &test.vis, &test.sig.ident);
    let (inputs, output, body) = (&test.sig.inputs, &test.sig.output, &test.block);
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #name() #output {
            async fn __test(#inputs) #output #body
            #krate::testing::__run(__test)
        }
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

/// The path of lightbus.
fn krate(attr: TokenStream) -> Result<TokenStream, Error> {
    let mut krate = quote! { ::lightbus };
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("crate") {
            return Err(meta.error("the only key of `#[lightbus::test]` is `crate = \"…\"`"));
        }
        let path: syn::LitStr = meta.value()?.parse()?;
        let path: Path = path.parse()?;
        krate = quote! { #path };
        Ok(())
    });
    parser.parse2(attr)?;
    Ok(krate)
}
