//! The keys of `#[lightbus::test]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser as _;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, ExprLit, Lit, Path, token};

const KEYS: &str = "`#[lightbus::test]` takes `broker = \"embedded\"`, `\"rabbitmq\"` or `\"both\"`, or `virtual_time`, and `crate = \"path::of::lightbus\"`";
const BROKERS: &str = "`broker` is `\"embedded\"`, `\"rabbitmq\"` or `\"both\"`";
const CRATE: &str =
    "`crate` takes the path of the lightbus crate, like `crate = \"my_crate::lightbus\"`";
const VIRTUAL: &str = "only the embedded broker has virtual time, a RabbitMQ's clock goes by itself: leave out `broker`, or `virtual_time`";

/// Where a test is to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum On {
    Environment,
    Embedded,
    RabbitMq,
    Both,
    VirtualTime,
}

/// What the attribute says.
pub(super) struct Keys {
    /// The path of lightbus.
    pub(super) krate: TokenStream,
    pub(super) on: On,
}

/// What was said so far, and where.
#[derive(Default)]
struct Said {
    krate: Option<TokenStream>,
    broker: Option<On>,
    virtual_time: Option<Span>,
    mistakes: Vec<Error>,
}

/// The keys, and all that is wrong with them.
pub(super) fn parse(attr: TokenStream) -> (Keys, Vec<Error>) {
    let mut said = Said::default();
    let parser = syn::meta::parser(|meta| said.key(&meta));
    if let Err(error) = parser.parse2(attr) {
        said.mistakes.push(error);
    }
    let Said {
        krate,
        broker,
        virtual_time,
        mut mistakes,
    } = said;
    let on = match (broker, virtual_time) {
        (Some(On::RabbitMq | On::Both), Some(span)) => {
            mistakes.push(Error::new(span, VIRTUAL));
            On::VirtualTime
        }
        (_, Some(_)) => On::VirtualTime,
        (broker, None) => broker.unwrap_or(On::Environment),
    };
    let krate = krate.unwrap_or_else(|| quote! { ::lightbus });
    (Keys { krate, on }, mistakes)
}

impl Said {
    fn key(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string);
        let name = name.unwrap_or_default();
        let is_twice = match name.as_str() {
            "crate" => self.krate.is_some(),
            "broker" => self.broker.is_some(),
            "virtual_time" => self.virtual_time.is_some(),
            _ => false,
        };
        if is_twice {
            self.wrong(&meta.path, &format!("`{name}` is said twice"));
            return skip(meta);
        }
        match name.as_str() {
            "crate" => {
                let value: Expr = meta.value()?.parse()?;
                match text(&value).and_then(|text| syn::parse_str::<Path>(&text).ok()) {
                    Some(path) => self.krate = Some(quote! { #path }),
                    None => self.wrong(&value, CRATE),
                }
                Ok(())
            }
            "broker" => self.broker(meta),
            "virtual_time" => {
                self.virtual_time = Some(meta.path.span());
                if meta.input.is_empty() || meta.input.peek(syn::Token![,]) {
                    return Ok(());
                }
                self.wrong(&meta.path, "`virtual_time` is said by its name alone");
                skip(meta)
            }
            _ => {
                let path = &meta.path;
                let name = quote! { #path }.to_string();
                self.wrong(path, &format!("unknown key `{name}`: {KEYS}"));
                skip(meta)
            }
        }
    }

    fn broker(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if !meta.input.peek(syn::Token![=]) {
            self.wrong(&meta.path, BROKERS);
            return skip(meta);
        }
        let value: Expr = meta.value()?.parse()?;
        self.broker = match text(&value).as_deref() {
            Some("embedded") => Some(On::Embedded),
            Some("rabbitmq") => Some(On::RabbitMq),
            Some("both") => Some(On::Both),
            _ => {
                self.wrong(&value, BROKERS);
                None
            }
        };
        Ok(())
    }

    fn wrong(&mut self, at: &impl quote::ToTokens, what: &str) {
        self.mistakes.push(Error::new_spanned(at, what));
    }
}

/// A literal's text.
fn text(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

/// Leaves out what a key is given, so that the next one is looked at as well.
fn skip(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(syn::Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(token::Paren) {
        meta.input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}
