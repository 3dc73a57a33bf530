//! What an API is, as facts: owned, with the user's spans, and nothing yet about the code to come.
//!
//! A [`Method`] or [`Event`] keeps the signature as it was written, because a mistake must be shown on
//! its own token and because a broken one is still emitted as far as possible.

use proc_macro2::Span;
use syn::{
    Attribute, Block, Generics, Ident, Path, Signature, Token, TraitItem, Type, TypeParamBound,
    Visibility,
};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// The words of `#[lightbus::api(…)]`.
pub(crate) struct ApiOptions {
    /// `None` when it is missing or is no string, which is reported already.
    pub(crate) name: Option<Spanned<String>>,
    /// Where lightbus is: `::lightbus`, or what `crate = "…"` says.
    pub(crate) krate: Path,
}

/// The words of `#[rpc(…)]`.
#[derive(Default)]
pub(crate) struct RpcOptions {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) idempotent: bool,
    pub(crate) cancel: bool,
}

/// The words of `#[task(…)]`. Times are in milliseconds.
#[derive(Default)]
pub(crate) struct TaskOptions {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) queue: Option<Spanned<String>>,
    pub(crate) retries: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) result_ttl_ms: Option<u64>,
    pub(crate) unique: bool,
    pub(crate) rate: Option<Rate>,
    pub(crate) concurrency: Option<u16>,
}

impl TaskOptions {
    /// The word for which no other task may be in its queue, if there is one.
    pub(crate) fn limit(&self) -> Option<&'static str> {
        match (&self.rate, self.concurrency) {
            (Some(_), _) => Some("rate"),
            (None, Some(_)) => Some("concurrency"),
            (None, None) => None,
        }
    }
}

/// How long to wait between attempts, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Backoff {
    /// `"2s"`: doubled after each attempt.
    Exponential(u64),
    /// `"10s fixed"`
    Fixed(u64),
    /// `"1s, 10s, 1m"`
    List(Vec<u64>),
}

/// `"10/s"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) count: u32,
    pub(crate) per_ms: u64,
}

/// The words of `#[event(…)]`.
#[derive(Default)]
pub(crate) struct EventOptions {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) payload: Option<Spanned<String>>,
}

/// The trait.
pub(crate) struct Api {
    pub(crate) options: ApiOptions,
    /// Everything written above the trait.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) unsafety: Option<Token![unsafe]>,
    pub(crate) auto: Option<Token![auto]>,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) supertraits: Vec<TypeParamBound>,
    pub(crate) methods: Vec<Method>,
    pub(crate) events: Vec<Event>,
    /// Associated types, constants and macros: no API has them, but an `impl` written for them should still fit.
    pub(crate) others: Vec<TraitItem>,
}

impl Api {
    /// The name on the bus; a stand-in when there is none.
    pub(crate) fn wire_name(&self) -> &str {
        self.options
            .name
            .as_ref()
            .map_or("unnamed", |name| &name.value)
    }

    /// Methods that the trait has: all but those that repeat another's name.
    pub(crate) fn trait_methods(&self) -> impl Iterator<Item = &Method> {
        self.methods
            .iter()
            .filter(|method| method.verdict != Verdict::Repeated)
    }

    /// Those of them that are calls.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Method> {
        self.trait_methods()
            .filter(|method| matches!(method.kind, Kind::Call(_)))
    }

    /// Those of them that are tasks.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Method> {
        self.trait_methods()
            .filter(|method| matches!(method.kind, Kind::Task(_)))
    }

    /// Events that get a payload struct: all but those that repeat another's.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &Event> {
        self.events
            .iter()
            .filter(|event| event.verdict != Verdict::Repeated)
    }

    /// Can the dispatcher be written?
    pub(crate) fn is_sound(&self) -> bool {
        self.generics.params.is_empty()
            && self
                .methods
                .iter()
                .all(|method| method.verdict == Verdict::Sound)
    }
}

/// What validation found out about an item, and so how it is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Generated in full.
    Sound,
    /// Its signature is wrong: a stub takes its place.
    Broken,
    /// Its name was taken before: it is left out.
    Repeated,
}

/// What a method is, and the words of its attribute.
pub(crate) enum Kind {
    /// The caller waits for the answer.
    Call(RpcOptions),
    /// Done in the background, from a queue.
    Task(TaskOptions),
}

impl Kind {
    /// What messages call it.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::Task(_) => "task",
        }
    }

    /// The attribute that sets its options.
    pub(crate) fn attribute(&self) -> &'static str {
        match self {
            Self::Call(_) => "rpc",
            Self::Task(_) => "task",
        }
    }

    /// Its name on the bus, where the attribute gives one.
    pub(crate) fn name(&self) -> Option<&Spanned<String>> {
        match self {
            Self::Call(options) => options.name.as_ref(),
            Self::Task(options) => options.name.as_ref(),
        }
    }
}

/// A call, `async fn check_password(&self, …) -> …`, or a task: a call with `#[task]` above it.
pub(crate) struct Method {
    pub(crate) kind: Kind,
    /// Does `#[lightbus(secret)]` stand above it?
    pub(crate) answers_secret: bool,
    /// What else is written above it, without `#[rpc]` or `#[task]`.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) sig: Signature,
    pub(crate) args: Vec<Arg>,
    pub(crate) output: Output,
    pub(crate) body: Option<Block>,
    pub(crate) verdict: Verdict,
    /// Has the client a method of this name? Not where it would clash with a generated one.
    pub(crate) in_client: bool,
}

/// An event: `#[event] fn user_registered(…);`.
pub(crate) struct Event {
    pub(crate) options: EventOptions,
    /// What is written above it, without `#[event]`.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) sig: Signature,
    pub(crate) args: Vec<Arg>,
    pub(crate) body: Option<Block>,
    pub(crate) verdict: Verdict,
    /// Have client and publisher a method of this name? Not where it would clash with another.
    pub(crate) has_accessor: bool,
}

impl Event {
    /// The arguments by which listeners may filter, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arg> {
        self.args.iter().filter(|arg| arg.key.is_some())
    }
}

/// An argument, but for `self`.
pub(crate) struct Arg {
    /// Made up if the argument is a pattern, which is reported.
    pub(crate) ident: Ident,
    /// Is it no plain name?
    pub(crate) is_pattern: bool,
    /// Is its name another's? Then it has no field of its own.
    pub(crate) repeated: bool,
    /// What is written before it, without `#[key]` and `#[lightbus(secret)]`.
    pub(crate) attrs: Vec<Attribute>,
    /// Where `#[key]` stands, if it does.
    pub(crate) key: Option<Span>,
    /// Where `#[lightbus(secret)]` stands, if it does.
    pub(crate) secret: Option<Span>,
    pub(crate) ty: Type,
    pub(crate) kind: ArgKind,
}

/// How a caller may pass an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgKind {
    /// A `String`: whatever is `AsRef<str>` will do.
    Text,
    /// A `Vec<u8>`: whatever is `AsRef<[u8]>` will do.
    Bytes,
    /// Anything else, by value.
    Value,
}

/// What a call or task returns.
pub(crate) enum Output {
    /// Nothing.
    Unit,
    /// A plain type.
    Plain(Type),
    /// `Result<T, E>`.
    Fallible(Type, Type),
    /// A `Result` of one type argument, or none: the error type is hidden in an alias.
    Alias {
        written: Type,
        /// Its one type argument, if it has one.
        ok: Option<Type>,
    },
}

impl Output {
    /// The types that travel back.
    pub(crate) fn types(&self) -> Vec<&Type> {
        match self {
            Self::Unit => Vec::new(),
            Self::Plain(ty) => vec![ty],
            Self::Alias { ok, .. } => ok.iter().collect(),
            Self::Fallible(ok, err) => vec![ok, err],
        }
    }
}
