//! The attribute macro behind `lightbus`: a trait becomes a typed client, a dispatcher and events.
//!
//! Nobody names this crate: its macros are used, and documented, through `lightbus`.
//!
//! The way through it: `expand` runs the stages; `parse` reads the words inside attributes; `lower` turns
//! the trait into the `model`; `validate` judges it and reports every mistake into `diagnostics`;
//! `generate` writes the code, from what is sound, and stubs for what is not.

mod diagnostics;
mod expand;
mod generate;
mod lower;
mod model;
mod names;
mod parse;
mod test_case;
#[cfg(test)]
mod tests;
mod validate;

use proc_macro::TokenStream;

/// Turns a trait into an API of the bus: a client, a dispatcher, and a struct for each event.
///
/// ```text
/// #[lightbus::api(name = "auth")]
/// pub trait AuthApi {
///     /// Does `password` belong to `username`?
///     async fn check_password(&self, username: String, password: String) -> Result<bool, AuthError>;
///
///     /// Rebuilds the avatar's thumbnails in the background.
///     #[task(retries = 5)]
///     async fn resize_avatar(&self, user_id: u64) -> Result<(), AuthError>;
///
///     /// A user finished signing up.
///     #[event]
///     fn user_registered(username: String, email: String);
/// }
/// ```
///
/// The keys of the attribute: `name`, the API's name on the bus, required, dots allowed
/// (`"my_company.auth"`); `crate`, the path of lightbus where it goes by another name.
///
/// What it makes of `AuthApi`: the trait itself, which the provider implements with plain `async fn`s;
/// `AuthApiClient`, with a method for each call and each task, and a subscription for each event;
/// `AuthApiServer`, which serves an implementation; `AuthApiEvents`, which publishes;
/// `AuthApiEvent`, an enum of all its events; and one struct for each event, here `UserRegistered`.
///
/// # Secrets
/// `#[lightbus(secret)]` on an argument of a call, a task or an event says that its value is for the provider, or the listeners, alone; on a call, that its answer is for the caller alone, be it a value or an error:
///
/// ```text
/// async fn check_password(&self, username: String, #[lightbus(secret)] password: String) -> Result<bool, AuthError>;
///
/// #[lightbus(secret)]
/// async fn new_token(&self, username: String) -> Result<String, AuthError>;
/// ```
///
/// It travels as any other; but where the bus shows messages to people, as in the recordings of `lightbus::testing`, `"[secret]"` stands in its place. A key of an event cannot be secret, nor a field that serde renames.
#[proc_macro_attribute]
pub fn api(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::api(attr.into(), item.into()).into_tokens().into()
}

/// Marks an event inside a `#[lightbus::api]` trait: `#[event] fn user_registered(username: String);`.
///
/// Its keys: `name`, the event's name on the bus if it is not the function's; `payload`, the name of the
/// struct if it is not the function's in CamelCase.
#[proc_macro_attribute]
pub fn event(_attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::misplaced("event", item.into()).into_tokens().into()
}

/// Sets options of a call inside a `#[lightbus::api]` trait: `#[rpc(timeout = "2s", idempotent)]`.
///
/// Its keys: `timeout`, how long callers wait unless they say otherwise (`ms`, `s`, `m` or `h`);
/// `idempotent`, a promise that running the call twice does no harm, so that it may be tried again;
/// `cancel`, a wish that the provider drops the call's future when its caller has given up: the caller dropped the
/// call, its timeout or deadline passed, or its bus was closed (the caller tells the provider without waiting for an
/// answer, so a lost connection or process leaves it to the deadline);
/// `name`, the call's name on the bus if it is not the function's.
#[proc_macro_attribute]
pub fn rpc(_attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::misplaced("rpc", item.into()).into_tokens().into()
}

/// Marks a task inside a `#[lightbus::api]` trait, work done in the background from a durable queue:
/// `#[task(retries = 5)] async fn resize_avatar(&self, user_id: u64) -> Result<(), AuthError>;`.
///
/// The provider implements it like a call. The client's method gives a `Task`, of which nothing is sent before `.enqueue().await`.
///
/// Its keys:
/// - `retries = 5`, how many attempts may follow the first one, 0 to 1000;
/// - `backoff`, how long to wait between them: `"2s"`, doubled after each, `"10s fixed"`, or `"1s, 10s, 1m"`, one after another;
/// - `timeout = "30s"`, how long one attempt may take;
/// - `expires = "1h"`, how long after it is due it may still begin;
/// - `result_ttl = "1h"`, how long its result is kept;
/// - `unique`: while one waits or runs, there is no second one with the same arguments (no schedule can fire such a task);
/// - `queue = "slow"`, a queue beside the API's, which tasks of that key share, so that they hold up no other;
/// - `rate = "10/s"`, how many may begin in a second (`/s`), a minute (`/m`) or an hour (`/h`), across all workers;
/// - `concurrency = 3`, how many may run at the same time, across all workers, 1 to 1000;
/// - `name`, the task's name on the bus if it is not the function's.
///
/// A time is a whole number and `ms`, `s`, `m`, `h` or `d`, up to `"365d"`. A task with `rate` or `concurrency` has a queue of its own,
/// so `queue` has no place beside them.
#[proc_macro_attribute]
pub fn task(_attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::misplaced("task", item.into()).into_tokens().into()
}

/// Marks an argument of an event by which listeners may filter at the broker: `#[key] part: String`.
#[proc_macro_attribute]
pub fn key(_attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::misplaced("key", item.into()).into_tokens().into()
}

/// Makes a test of an `async fn` that takes a `TestBus`: `#[lightbus::test] async fn it_works(bus: TestBus) { … }`. For the facade's feature `testing`.
///
/// Each test has a bus of its own, on a broker in the process, or on the RabbitMQ that `LIGHTBUS_TEST_URL` names. It may return `()`, or a `Result`. When it fails, the story of the
/// bus is printed.
///
/// Its keys:
/// - `broker = "embedded"`, always in the process, for what only that broker can do; `broker = "rabbitmq"`, only on a RabbitMQ; `broker = "both"`, two tests, of which the second is called
///   `…_on_rabbitmq`. Without `LIGHTBUS_TEST_URL`, a test for a RabbitMQ says that it is skipped, and passes;
/// - `virtual_time`, on the embedded broker, whose clock the test moves;
/// - `crate`, the path of lightbus where it goes by another name.
#[proc_macro_attribute]
pub fn test(attr: TokenStream, item: TokenStream) -> TokenStream {
    test_case::expand(attr.into(), item.into()).into()
}
