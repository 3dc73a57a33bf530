//! Whole expansions, to be read. After a change that is meant, write them anew by `LIGHTBUS_BLESS=1 cargo test -p lightbus-macros`.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use proc_macro2::TokenStream;
use quote::quote;
use syn::{File, Item};

/// Compares an expansion with `src/snapshots/<name>.rs`.
#[track_caller]
fn compare(name: &str, attr: TokenStream, item: TokenStream) {
    let expansion = super::expand(attr, item);
    let mut text = String::new();
    for message in expansion.messages() {
        writeln!(text, "// error: {message}").unwrap();
    }
    print(expansion.code().clone(), &mut text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/snapshots")
        .join(name)
        .with_extension("rs");
    if env::var_os("LIGHTBUS_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let blessed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == blessed,
        "the expansion is not what {} says; it is now\n{text}",
        path.display()
    );
}

/// Prints code, and what is behind the gates of the two halves, which a printer takes for the arguments of a macro.
fn print(tokens: TokenStream, text: &mut String) {
    let file: File = syn::parse2(tokens).unwrap();
    for item in file.items {
        match item {
            Item::Macro(gate) => {
                let name = gate.mac.path.segments.last().unwrap().ident.to_string();
                writeln!(text, "// {name}! {{").unwrap();
                print(gate.mac.tokens, text);
                writeln!(text, "// }}").unwrap();
            }
            item => {
                *text += &prettyplease::unparse(&File {
                    shebang: None,
                    frontmatter: None,
                    attrs: Vec::new(),
                    items: vec![item],
                })
            }
        }
    }
}

#[test]
fn calls_and_events() {
    compare(
        "calls_and_events",
        quote! { name = "auth" },
        quote! {
            /// Who users are.
            pub trait AuthApi {
                /// Does `password` belong to `username`?
                async fn check_password(&self, username: String, password: String) -> Result<bool, AuthError>;
                /// A user finished signing up.
                #[event]
                fn user_registered(username: String, email: String);
            }
        },
    );
}

#[test]
fn calls_of_every_shape() {
    compare(
        "calls_of_every_shape",
        quote! { name = "auth" },
        quote! {
            pub(crate) trait AuthApi: Debug {
                async fn nothing(&self);
                async fn plain(&self, bytes: Vec<u8>, number: Option<u64>) -> Vec<String>;
                #[rpc(timeout = "2s", idempotent, name = "renamed")]
                #[deprecated = "use `plain`"]
                #[expect(clippy::too_many_arguments)]
                async fn options(
                    &self,
                    /// As they signed up.
                    r#type: String,
                ) -> Result<(), String>;
                #[rpc(cancel)]
                async fn report(&self) -> Vec<String>;
                async fn provided(&self, number: u8) -> Option<u8> {
                    number.checked_add(1)
                }
            }
        },
    );
}

#[test]
fn tasks_of_every_shape() {
    compare(
        "tasks_of_every_shape",
        quote! { name = "auth" },
        quote! {
            /// Who users are.
            pub trait AuthApi {
                #[task]
                async fn clean_up(&self);
                /// Rebuilds the avatar's thumbnails.
                #[task(
                    retries = 5, backoff = "2s", timeout = "30s", queue = "slow", unique, expires = "1h",
                    result_ttl = "7d", name = "resize"
                )]
                async fn resize_avatar(&self, user_id: u64, picture: Vec<u8>) -> Result<Vec<String>, AuthError>;
                #[task(retries = 0, backoff = "10s fixed", rate = "10/m")]
                #[deprecated]
                async fn send_mail(
                    &self,
                    /// Where it goes.
                    to: String,
                ) -> bool {
                    to.is_empty()
                }
                #[lightbus::task(backoff = "1s, 10s, 1m", concurrency = 3)]
                async fn compress(&self, path: String) -> Result<(), AuthError>;
            }
        },
    );
}

#[test]
fn calls_tasks_and_events() {
    compare(
        "calls_tasks_and_events",
        quote! { name = "auth" },
        quote! {
            pub trait AuthApi {
                async fn check(&self, token: u64) -> bool;
                #[task(unique)]
                async fn clean_up(&self, older_than: u32);
                #[event]
                fn cleaned();
            }
        },
    );
}

#[test]
fn broken_task() {
    compare(
        "broken_task",
        quote! { name = "auth" },
        quote! {
            pub trait AuthApi {
                #[task(retries = "5", backoff = "soon", unique = true)]
                async fn sound(&self, a: String) -> bool;
                #[task]
                fn broken<T>(&mut self, a: &str) -> Result<bool>;
            }
        },
    );
}

#[test]
fn keyed_events() {
    compare(
        "keyed_events",
        quote! { name = "company.spares" },
        quote! {
            trait SparesApi {
                /// The stock changed.
                #[event]
                #[derive(Eq)]
                #[deprecated]
                fn stock_changed(
                    /// Its name.
                    #[key]
                    part: String,
                    left: f64,
                    #[key] warehouse: u16,
                    #[serde(default)] note: Option<String>,
                );
                #[lightbus::event(name = "counted", payload = "InventoryDone")]
                fn inventory_done();
            }
        },
    );
}

#[test]
fn renamed_crate() {
    compare(
        "renamed_crate",
        quote! { name = "auth", crate = "crate::bus" },
        quote! {
            pub trait AuthApi {
                async fn check(&self, token: Vec<u8>) -> bool;
                #[event]
                fn checked(#[key] token: String);
            }
        },
    );
}

#[test]
fn empty() {
    compare(
        "empty",
        quote! { name = "auth" },
        quote! { pub trait AuthApi {} },
    );
}

#[test]
fn secrets() {
    compare(
        "secrets",
        quote! { name = "auth" },
        quote! {
            pub trait AuthApi {
                async fn check_password(&self, username: String, #[lightbus(secret)] password: String) -> bool;
                #[lightbus(secret)]
                async fn new_token(&self, username: String) -> String;
                #[task]
                async fn import(&self, #[lightbus(secret)] #[allow(unused)] token: Vec<u8>, #[lightbus(secret)] r#type: u8);
                #[event]
                fn user_registered(
                    #[key] username: String,
                    /// Never to be shown.
                    #[lightbus(secret)]
                    email: String,
                );
            }
        },
    );
}

#[test]
fn broken_attribute() {
    compare(
        "broken_attribute",
        quote! { name = "Auth", colour = "blue" },
        quote! {
            pub trait AuthApi {
                async fn check(&self) -> bool;
            }
        },
    );
}

#[test]
fn broken_call() {
    compare(
        "broken_call",
        quote! { name = "auth" },
        quote! {
            pub trait AuthApi {
                async fn sound(&self, a: String) -> bool;
                async fn broken<T>(&mut self, a: &str, (b, c): (u8, u8), d: impl Display) -> Result<bool>;
                fn sync(&self) -> u8;
                async fn sound(&self, token: u64) -> bool;
            }
        },
    );
}

#[test]
fn broken_event() {
    compare(
        "broken_event",
        quote! { name = "auth" },
        quote! {
            pub trait AuthApi {
                #[event]
                async fn user_registered(&self, #[key] username: &str, shape: impl Shape, username: u8) -> bool;
                #[event]
                fn events();
            }
        },
    );
}

#[test]
fn broken_trait() {
    compare(
        "broken_trait",
        quote! { name = "auth" },
        quote! {
            pub unsafe trait AuthApi<T>
            where
                T: Send,
            {
                type Id;
                pub async fn check(&self) -> bool;
            }
        },
    );
}
