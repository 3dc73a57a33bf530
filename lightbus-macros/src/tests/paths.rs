//! Generated code depends on nothing that is in scope, nor on anything but what lightbus promises to its macro.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

/// What the facade has for its users, as far as generated code names it.
const PUBLIC: [&str; 8] = [
    "Bus",
    "Call",
    "Event",
    "EventPublisher",
    "Input",
    "Service",
    "Subscription",
    "Task",
];
const GATES: [&str; 2] = ["__if_client", "__if_server"];
/// What a prelude or an import would have to bring.
const PRELUDE: [&str; 25] = [
    "Option",
    "Some",
    "None",
    "Result",
    "Ok",
    "Err",
    "String",
    "Vec",
    "Box",
    "Arc",
    "Clone",
    "Debug",
    "PartialEq",
    "Send",
    "Sync",
    "Future",
    "AsRef",
    "From",
    "Into",
    "Iterator",
    "Default",
    "Drop",
    "ToString",
    "std",
    "alloc",
];

/// An API of every shape, and with every mistake that has a stub.
fn api() -> TokenStream {
    quote! {
        pub trait AuthApi {
            /// Docs.
            #[rpc(timeout = "2s", idempotent)]
            #[deprecated]
            async fn check(&self, a: my::Text, b: my::List<u8>, c: u8) -> my::Answer<bool, u8>;
            async fn text(&self, a: my::String, b: my::Vec<u8>);
            async fn fails(&self) -> my::Result<u8, u8> { todo }
            #[task(
                retries = 5, backoff = "1s, 2s", timeout = "30s", unique, expires = "1h", result_ttl = "1h",
                concurrency = 3, rate = "10/s"
            )]
            async fn resize(&self, a: my::String) -> my::Result<(), u8>;
            #[task(queue = "slow", backoff = "1s fixed")]
            async fn clean_up(&self);
            #[event]
            fn registered(#[key] a: my::String, #[key] b: u8, c: u8);
            #[event]
            fn gone();
        }
    }
}

fn broken() -> TokenStream {
    quote! {
        pub trait AuthApi<T> {
            async fn check<X>(&mut self, a: &str, (b, c): (u8, u8)) -> my::Result<bool>;
            #[task(retries = "5")]
            async fn resize(&mut self, a: &str) -> my::Result<bool>;
            #[event]
            async fn registered(&self, #[key] a: &str, #[key] b: u8, c: u8) -> u8;
        }
    }
}

/// Every identifier, and what stands before it: `::` and the segment before that, or nothing.
fn walk(tokens: TokenStream, visit: &mut impl FnMut(&str, Option<&str>)) {
    let mut path: Option<String> = None;
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Ident(ident) => {
                let ident = ident.to_string();
                visit(
                    &ident,
                    if colons == 2 {
                        Some(path.as_deref().unwrap_or_default())
                    } else {
                        None
                    },
                );
                (path, colons) = (Some(ident), 0);
            }
            other => {
                if let TokenTree::Group(group) = &other {
                    walk(group.stream(), visit);
                }
                // `<T as AuthApi>::f` goes on from what is in the brackets.
                let closes = matches!(&other, TokenTree::Punct(punct) if punct.as_char() == '>');
                (path, colons) = (closes.then(|| ">".to_owned()), 0);
            }
        }
    }
}

#[test]
fn paths_begin_at_the_crate_or_at_core() {
    for item in [api(), broken()] {
        let expansion = super::expand(quote! { name = "auth" }, item);
        let mut roots = BTreeSet::new();
        walk(
            expansion.code().clone(),
            &mut |ident, before| match before {
                Some("") => {
                    roots.insert(ident.to_owned());
                }
                Some("lightbus") => {
                    let known =
                        ident == "__private" || PUBLIC.contains(&ident) || GATES.contains(&ident);
                    assert!(known, "`lightbus::{ident}` is not for generated code");
                }
                Some(_) => {}
                None => assert!(!PRELUDE.contains(&ident), "`{ident}` needs a prelude"),
            },
        );
        assert_eq!(roots.into_iter().collect::<Vec<_>>(), ["core", "lightbus"]);
    }
}

#[test]
fn a_renamed_crate_is_used_everywhere() {
    for item in [api(), broken()] {
        let expansion = super::expand(quote! { name = "auth", crate = "crate::other" }, item);
        walk(expansion.code().clone(), &mut |ident, _| {
            assert_ne!(ident, "lightbus")
        });
    }
}

#[test]
fn attributes_of_the_macro_do_not_stay_in_the_code() {
    for item in [api(), broken()] {
        let expansion = super::expand(quote! { name = "auth" }, item);
        let code = expansion.code().to_string();
        for attribute in ["# [rpc", "# [task", "# [event", "# [key"] {
            assert!(
                !code.contains(attribute),
                "`{attribute}` was left in {code}"
            );
        }
    }
}
