//! What the macro says about mistakes in calls and events.

use proc_macro2::TokenStream;
use quote::quote;

use super::begin;
use super::of_items;

#[test]
fn receivers_and_qualifiers() {
    begin(
        &of_items(quote! { fn f(&self); }),
        &["a call goes to another program"],
    );
    begin(
        &of_items(quote! { fn f() -> u8; }),
        &["a call goes to another program", "a call takes `&self`"],
    );
    begin(
        &of_items(quote! { fn f(); }),
        &["neither a call nor an event"],
    );
    begin(
        &of_items(quote! { async fn f(); }),
        &["a call takes `&self`, the provider"],
    );
    begin(
        &of_items(quote! { async fn f(&mut self); }),
        &["many calls run at the same time"],
    );
    begin(
        &of_items(quote! { async fn f(self); }),
        &["the first call would use the provider up"],
    );
    begin(
        &of_items(quote! { async fn f(mut self); }),
        &["the first call would use the provider up"],
    );
    begin(
        &of_items(quote! { async fn f(self: Arc<Self>); }),
        &["a call takes plain `&self`; to share"],
    );
    begin(
        &of_items(quote! { async fn f(&'static self); }),
        &["a call takes plain `&self`: remove"],
    );
    begin(
        &of_items(quote! { async fn f<'a>(&'a self); }),
        &["a call cannot be generic"],
    );
    begin(
        &of_items(quote! { async fn f<T>(&self) where T: Send; }),
        &["a call cannot be generic", "a where-clause"],
    );
    begin(
        &of_items(quote! { const async unsafe extern "C" fn f(&self, _: ...); }),
        &[
            "nothing on the bus can be `const`",
            "nothing on the bus can be `unsafe`",
            "what comes over the bus has no ABI",
            "arguments have names",
        ],
    );
    begin(
        &of_items(quote! { #[cfg(test)] async fn f(&self, #[cfg(test)] a: u8); }),
        &["an API is the same for everybody"; 2],
    );
}

#[test]
fn arguments() {
    let of = |args: TokenStream| of_items(quote! { async fn f(&self, #args); });
    begin(
        &of(quote! { a: &str }),
        &[
            "an argument travels to another program, and cannot be borrowed: write `String` (callers may pass",
        ],
    );
    begin(
        &of(quote! { a: &'static [u8] }),
        &[
            "an argument travels to another program, and cannot be borrowed: write `Vec<u8>` (callers",
        ],
    );
    begin(
        &of(quote! { a: &mut Vec<Part> }),
        &["an argument travels to another program, and cannot be borrowed: write `Vec<Part>`"],
    );
    begin(
        &of(quote! { a: Option<&str>, b: Cow<'_, str> }),
        &["what travels to another program cannot be borrowed"; 2],
    );
    begin(
        &of(quote! { a: impl Display, b: Vec<impl Display> }),
        &["`impl Trait` is no type"; 2],
    );
    begin(
        &of(quote! { a: Self, b: Option<Self::Id> }),
        &["`Self` is the provider"; 2],
    );
    begin(
        &of(quote! { _: u8, (a, b): (u8, u8), mut c: u8, ref d: u8 }),
        &["an argument is a plain name"; 4],
    );
    begin(
        &of(quote! { a: u8, a: u8 }),
        &["there is an argument `a` already"],
    );
    begin(
        &of(quote! { _a: u8, aB: u8 }),
        &[
            "`_a` cannot be the name of an argument",
            "`aB` cannot be the name of an argument",
        ],
    );
    begin(
        &of(quote! { #[key] a: u8 }),
        &["`#[key]` goes on an argument of an event"],
    );
    assert!(of(quote! { r#type: Foo<'static>, #[allow(unused)] a: (u8, [u8; 2]) }).is_empty());
}

#[test]
fn outputs() {
    let of = |output: TokenStream| of_items(quote! { async fn f(&self) -> #output; });
    begin(
        &of(quote! { Result<u8> }),
        &["write the error type out, `Result<u8, SomeError>`"],
    );
    begin(
        &of(quote! { std::io::Result<Vec<u8>> }),
        &["write the error type out, `Result<Vec<u8>, SomeError>`"],
    );
    begin(
        &of(quote! { std::fmt::Result }),
        &["write the error type out, `Result<T, SomeError>`"],
    );
    begin(
        &of(quote! { &str }),
        &["what a call returns travels to another program"],
    );
    begin(
        &of(quote! { Result<&str, &str> }),
        &["what a call returns travels", "the error of a call travels"],
    );
    begin(
        &of(quote! { impl Future<Output = u8> }),
        &["`impl Trait` is no type"],
    );
    begin(&of(quote! { Self }), &["`Self` is the provider"]);
    assert!(of(quote! { (Result<u8, String>, u8) }).is_empty());
}

#[test]
fn events() {
    let of = |event: TokenStream| of_items(quote! { #[event] #event });
    begin(
        &of(quote! { async fn e(&self, a: u8) -> u8 { 1 } }),
        &[
            "an event is a message that nobody waits for",
            "an event has no `self`",
            "an event returns nothing",
            "an event has no body",
        ],
    );
    begin(
        &of(quote! { fn e<T>(a: &str, _: u8); }),
        &[
            "an event cannot be generic",
            "an argument travels",
            "an argument is a plain name",
        ],
    );
    begin(
        &of(
            quote! { fn e(#[key] a: Option<u8>, #[key] b: Vec<u8>, #[key] c: f32, #[key] d: (u8, u8), #[key] e: [u8; 2]); },
        ),
        &[
            "an `Option` cannot be a key",
            "a collection cannot be a key",
            "a float cannot be a key",
            "a tuple cannot be a key",
            "an array cannot be a key",
        ],
    );
    begin(
        &of(quote! { fn e(#[key] #[key] a: u8, #[key(1)] b: u8); }),
        &[
            "`#[key]` is specified more than once",
            "`#[key]` stands alone",
        ],
    );
    let keys = (0..10).map(|index| quote::format_ident!("k{index}"));
    begin(
        &of(quote! { fn e(#(#[key] #keys: u8),*); }),
        &["an event has at most 8 keys"; 2],
    );
    begin(
        &of(quote! { fn self_(); }),
        &["`Self` cannot be the name of the event's struct"],
    );
    begin(
        &of_items(quote! { #[event(payload = "a b")] fn e(); }),
        &["`a b` cannot be the name of the event's struct"],
    );
    begin(
        &of_items(quote! { #[event(name = "E")] fn e(); }),
        &["`E` cannot be a name on the bus"],
    );
    begin(
        &of(quote! { fn E(); }),
        &["`E` cannot be a name on the bus"],
    );
}

#[test]
fn clashes() {
    begin(
        &of_items(quote! { async fn f(&self); async fn f(&self, a: u8); }),
        &["there is a call `f` already"],
    );
    begin(
        &of_items(quote! { #[event] fn f(); #[event] fn f(a: u8); }),
        &["there is an event `f` already"],
    );
    begin(
        &of_items(quote! { async fn f(&self); #[event] fn f(a: u8); }),
        &["there is a call `f` already"],
    );
    begin(
        &of_items(quote! { async fn f(&self); #[rpc(name = "f")] async fn g(&self); }),
        &["another call is `f` on the bus"],
    );
    begin(
        &of_items(quote! { #[event] fn f(); #[event(name = "f")] fn g(); }),
        &["another event is `f` on the bus"],
    );
    begin(
        &of_items(quote! { #[event] fn f(); #[event(payload = "F")] fn g(); }),
        &["the struct of this event would be a second `F`"],
    );
    begin(
        &of_items(
            quote! { #[event] fn auth_api(); #[event] fn auth_api_client(); #[event] fn auth_api_event(); },
        ),
        &[
            "the struct of this event would be a second `AuthApi`",
            "the struct of this event would be a second `AuthApiClient`",
            "the struct of this event",
        ],
    );
    begin(
        &of_items(
            quote! { async fn new(&self); async fn events(&self); async fn clone(&self); #[event] fn new(); },
        ),
        &[
            "there is a call `new` already",
            "`new` is taken",
            "`events` is taken",
            "`clone` is taken",
            "`new` is taken",
        ],
    );
    // What has one name on the bus as a call, another may have as an event.
    assert!(of_items(quote! { async fn f(&self); #[event(name = "f")] fn g(); }).is_empty());
}

#[test]
fn secrets() {
    let of = |args: TokenStream| of_items(quote! { async fn f(&self, #args); });
    begin(
        &of(
            quote! { #[lightbus] a: u8, #[lightbus()] b: u8, #[lightbus(secret = true)] c: u8, #[lightbus(hidden)] d: u8 },
        ),
        &["`#[lightbus(…)]` takes `secret`, and nothing else: write"; 4],
    );
    begin(
        &of(quote! { #[lightbus(secret)] #[lightbus(secret)] a: u8 }),
        &["`#[lightbus(secret)]` is specified more than once"],
    );
    begin(
        &of_items(quote! {
            async fn f(#[lightbus(secret)] &self);
            #[lightbus(secret)] #[task] async fn t(&self);
            #[lightbus(secret)] #[event] fn e(#[key] #[lightbus(secret)] a: u8);
        }),
        &[
            "an argument is secret, or the answer of a call, and nothing else: write",
            "only a call has an answer that can be secret: write",
            "only a call has an answer that can be secret: write",
            "a key is a word of the routing key",
        ],
    );
    begin(
        &of_items(quote! {
            #[event] fn e(#[lightbus(secret)] #[serde(rename = "b")] a: u8, #[serde(default, flatten)] #[lightbus(secret)] c: C);
            #[event] #[serde(rename_all = "camelCase")] fn f(a_b: u8, #[lightbus(secret)] c_d: u8);
        }),
        &["what is secret is found by the argument's name, and serde gives it another one"; 3],
    );
    assert!(of(quote! { #[lightbus(secret)] a: u8, b: u8 }).is_empty());
    assert!(
        of_items(quote! { #[lightbus(secret)] #[rpc(idempotent)] async fn f(&self); }).is_empty()
    );
}
