//! What the macro says about mistakes in attributes and in the trait as a whole. The whole wording of each is in the `.stderr` files of `tests/ui`.

use quote::quote;

use super::{begin, of_attribute, of_items};
use crate::expand;

#[test]
fn what_is_in_order_causes_no_message() {
    let items = quote! {
        #[rpc(timeout = "2s", idempotent, name = "check")]
        async fn check_password(&self, username: String, password: String,) -> Result<bool, AuthError>;
        #[lightbus::rpc]
        async fn version(&self) -> std::string::String { String::new() }
        #[task(
            retries = 5, backoff = "1s, 10s, 1m", timeout = "30s", queue = "slow", unique, expires = "7d",
            result_ttl = "365d", name = "resize",
        )]
        async fn resize_avatar(&self, user_id: u64) -> Result<(), AuthError>;
        #[lightbus::task(rate = "10/s", concurrency = 3, retries = 1_000, backoff = "0s fixed")]
        async fn send_mail(&self) {}
        #[event(name = "registered", payload = "Registered",)]
        fn user_registered(#[key] username: String, #[lightbus::key] age: u8, referrer: Option<String>);
        #[lightbus::event]
        fn forgotten();
    };
    assert!(of_items(items).is_empty());
    assert!(of_items(quote! {}).is_empty());
    assert!(
        of_attribute(quote! { name = "my_company.auth", crate = "crate::other::bus", }).is_empty()
    );
}

#[test]
fn the_name_of_the_api() {
    begin(
        &of_attribute(quote! {}),
        &["the API has no name: write `#[lightbus::api(name = \"auth\")]`"],
    );
    begin(
        &of_attribute(quote! { crate = "a::b" }),
        &["the API has no name"],
    );
    begin(&of_attribute(quote! { name = "" }), &["the name is empty"]);
    begin(
        &of_attribute(quote! { name = "Auth" }),
        &["`Auth` cannot be the name of an API"],
    );
    begin(
        &of_attribute(quote! { name = "auth.dead" }),
        &["`auth.dead` cannot be the name of an API: what ends in `.dead`"],
    );
    begin(&of_attribute(quote! { name = "dead" }), &[]);
    begin(&of_attribute(quote! { name = "auth.dead.ends" }), &[]);
    begin(
        &of_attribute(quote! { name = auth }),
        &["expected a string: the key is written `name = \"auth\"`"],
    );
    begin(&of_attribute(quote! { name }), &["expected a string"]);
    begin(&of_attribute(quote! { name = }), &["expected a string"]);
    begin(
        &of_attribute(quote! { name("auth") }),
        &["expected a string"],
    );
    begin(
        &of_attribute(quote! { name = "auth" + "x" }),
        &["expected a comma"],
    );
}

#[test]
fn keys_of_attributes() {
    begin(
        &of_attribute(quote! { name = "auth", colour = blue(1, 2) + 3, shape }),
        &["unknown key `colour`", "unknown key `shape`"],
    );
    begin(
        &of_attribute(quote! { name = "auth", name = "auth" }),
        &["`name` is specified more than once"],
    );
    begin(
        &of_attribute(quote! { "auth", name = "auth" }),
        &["expected a key"],
    );
    begin(
        &of_attribute(quote! { name = "auth", crate = "a b" }),
        &["`crate` takes the path of the lightbus crate"],
    );
    begin(
        &of_items(
            quote! { #[rpc(timeout = "soon", idempotent = true, retries = 5)] async fn f(&self); },
        ),
        &[
            "this key takes no value",
            "unknown key `retries`",
            "not a duration",
        ],
    );
    begin(
        &of_items(quote! { #[rpc] #[rpc] async fn f(&self); }),
        &["`#[rpc]` is specified more than once"],
    );
    begin(
        &of_items(quote! { #[rpc = "x"] async fn f(&self); }),
        &["write `#[rpc(…)]`"],
    );
    begin(
        &of_items(quote! { #[event(durable)] fn f(); }),
        &["unknown key `durable`"],
    );
    begin(
        &of_items(quote! { #[rpc] #[event] fn f(); }),
        &["a function is a call or an event"],
    );
}

#[test]
fn the_trait_itself() {
    let of = |item| super::expand(quote! { name = "auth" }, item).messages();
    begin(
        &of(quote! { struct AuthApi; }),
        &["`#[lightbus::api]` goes on a trait"],
    );
    begin(
        &of(quote! { pub(crate) fn auth() {} }),
        &["`#[lightbus::api]` goes on a trait"],
    );
    begin(
        &of(quote! { impl AuthApi for Auth {} }),
        &["`#[lightbus::api]` goes on a trait"],
    );
    begin(
        &of(quote! { trait AuthApi<'a, T> where T: 'a {} }),
        &["an API cannot be generic", "a where-clause has no place"],
    );
    begin(
        &of(quote! { pub unsafe auto trait AuthApi {} }),
        &[
            "an API cannot be `unsafe`",
            "an API cannot be an auto trait",
        ],
    );
    begin(
        &of(quote! { #[async_trait::async_trait] trait AuthApi {} }),
        &["remove this: an API has `async fn`"],
    );
    begin(
        &of_items(quote! { type A; const B: u8; c!(); }),
        &["an API has calls", "an API has calls", "an API has calls"],
    );
    begin(
        &of_items(quote! { pub async fn f(&self); pub(crate) async fn g(&self); }),
        &["what is in a trait is as visible as the trait"; 2],
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let item = quote! {
        trait AuthApi<T> {
            #[rpc(timeout = "soon")]
            fn f(&mut self, a: &str) -> Result<u8>;
            #[event]
            async fn g(&self) -> u8;
        }
    };
    let messages = super::expand(quote! { name = "Auth", colour = "blue" }, item).messages();
    assert_eq!(messages.len(), 11, "{messages:#?}");
}

#[test]
fn misplaced_attributes_leave_the_item_alone() {
    for attribute in ["event", "rpc", "task", "key"] {
        let item = quote! { fn f(a: u8) {} };
        let expansion = expand::misplaced(attribute, item.clone());
        begin(
            &expansion.messages(),
            &[&format!("`#[{attribute}]` goes on")],
        );
        assert_eq!(expansion.code().to_string(), item.to_string());
    }
}

#[test]
fn an_item_that_is_no_trait_stays_as_it_is() {
    let item = quote! { pub struct AuthApi { db: u8 } };
    assert_eq!(
        super::expand(quote! { name = "auth" }, item.clone())
            .code()
            .to_string(),
        item.to_string()
    );
}
