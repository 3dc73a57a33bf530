//! What the macro says about mistakes in tasks.

use quote::quote;

use super::{begin, of_items};

#[test]
fn one_function_has_one_role() {
    begin(
        &of_items(quote! { #[task] #[rpc] async fn f(&self); }),
        &["a function is a call or a task: keep `#[rpc]` or `#[task]`, not both"],
    );
    begin(
        &of_items(quote! { #[event] #[task] async fn f(&self); }),
        &["a function is a task or an event: keep `#[task]` or `#[event]`, not both"],
    );
    begin(
        &of_items(quote! { #[task] #[event] fn f(); }),
        &["a function is a task or an event"],
    );
    begin(
        &of_items(quote! { #[rpc] #[task] #[event] #[task] async fn f(&self); }),
        &[
            "a function is a call or a task",
            "a function is a call or an event",
            "`#[task]` is specified more than once",
        ],
    );
}

#[test]
fn a_task_is_written_like_a_call() {
    begin(
        &of_items(quote! { #[task] fn f(a: u8); }),
        &[
            "a task is done in the background, beside others: write `async fn f`",
            "a task takes `&self`, the provider",
        ],
    );
    begin(
        &of_items(quote! { #[task] async fn f<T>(&mut self, #[key] a: &str) -> Result<u8>; }),
        &[
            "many tasks run at the same time",
            "a task cannot be generic",
            "an argument travels to another program",
            "`#[key]` goes on an argument of an event, by which listeners filter; a task has one receiver",
            "write the error type out",
        ],
    );
    begin(
        &of_items(quote! { #[task] async fn f(self) -> &str; }),
        &[
            "the first task would use the provider up",
            "what a task returns",
        ],
    );
}

#[test]
fn keys() {
    begin(
        &of_items(quote! { #[task(retry = 5, idempotent)] async fn f(&self); }),
        &[
            "unknown key `retry`: `#[task]` takes `retries = 5`, `backoff = \"2s\"`, `timeout = \"30s\"`, `expires = \"1h\"`, \
             `result_ttl = \"1h\"`, `unique`, `queue = \"slow\"`, `rate = \"10/s\"`, `concurrency = 3`, `name = \"name_on_the_bus\"`",
            "unknown key `idempotent`",
        ],
    );
    begin(
        &of_items(quote! { #[task(unique, unique, unique = true, name = "F")] async fn f(&self); }),
        &[
            "`unique` is specified more than once",
            "this key takes no value",
            "`unique` is specified more than once",
            "`F` cannot be a name on the bus",
        ],
    );
    begin(
        &of_items(quote! { #[task = "x"] async fn f(&self); }),
        &["write `#[task(…)]`, with `retries = 5`"],
    );
}

#[test]
fn numbers() {
    for (key, range) in [("retries", "0 to 1000"), ("concurrency", "1 to 1000")] {
        let key: proc_macro2::Ident = syn::parse_str(key).unwrap();
        let of = |value| of_items(quote! { #[task(#key = #value)] async fn f(&self); });
        for wrong in [
            quote! { "5" },
            quote! { 5u32 },
            quote! { 5.0 },
            quote! { -5 },
            quote! { true },
            quote! { FIVE },
        ] {
            begin(&of(wrong), &["expected a whole number, without quotes"]);
        }
        for wrong in [quote! { 1001 }, quote! { 99999999999999999999 }] {
            begin(
                &of(wrong),
                &[&format!("`{key}` is a whole number from {range}")],
            );
        }
        begin(&of(quote! { 0x3E8 }), &[]);
    }
    begin(
        &of_items(quote! { #[task(concurrency = 0)] async fn f(&self); }),
        &["`concurrency` is a whole number from 1 to 1000"],
    );
}

#[test]
fn times_and_rates() {
    let of = |key: &str, value: &str| {
        let key: proc_macro2::Ident = syn::parse_str(key).unwrap();
        of_items(quote! { #[task(#key = #value)] async fn f(&self); })
    };
    for key in ["timeout", "expires", "result_ttl"] {
        begin(&of(key, "366d"), &["longer than a year: a task's time is"]);
        begin(&of(key, "0s"), &["with no time at all"]);
        begin(&of(key, "soon"), &["not a duration"]);
    }
    begin(
        &of("backoff", "2"),
        &["the unit is missing: the time between attempts is"],
    );
    begin(&of("backoff", "2s slowly"), &["not a backoff"]);
    begin(&of("rate", "10/d"), &["not a rate"]);
}

#[test]
fn queues() {
    begin(
        &of_items(quote! {
            #[task(queue = "")] async fn a(&self);
            #[task(queue = "Slow-1")] async fn b(&self);
            #[task(queue = "dead")] async fn c(&self);
            #[task(queue = "slow", rate = "1/s")] async fn d(&self);
            #[task(queue = "slow", concurrency = 1)] async fn e(&self);
        }),
        &[
            "the name is empty: a queue's name is made of",
            "`Slow-1` cannot be the name of a queue: a queue's name is made of",
            "`dead` is where dead letters go: a queue's name is made of",
            "a task with `rate` has a queue of its own, by which the limit holds across all workers: remove `queue`, or `rate`",
            "a task with `concurrency` has a queue of its own",
        ],
    );
    begin(
        &of_items(quote! {
            #[task(queue = "slow")] async fn a(&self);
            #[task(queue = "slow", unique)] async fn b(&self);
            #[task(concurrency = 1)] async fn dead(&self);
        }),
        &[],
    );
}

#[test]
fn names_are_shared_with_calls_and_events() {
    begin(
        &of_items(quote! {
            #[task] async fn a(&self);
            async fn a(&self);
            #[event] fn a();
            #[task(name = "a")] async fn b(&self);
            #[rpc(name = "a")] async fn c(&self);
        }),
        &[
            "there is a task `a` already",
            "there is a task `a` already: the client has a function for each task and each event",
            "another task is `a` on the bus",
            "another task is `a` on the bus",
        ],
    );
    begin(
        &of_items(quote! { #[task] async fn new(&self); }),
        &[
            "`new` is taken: the client's own `new` makes a client; rename this, and keep its name on the bus by `#[task(name = \"new\")]`",
        ],
    );
}
