//! From syntax to the model: attributes are read and taken away; calls, tasks and events told apart.
//!
//! Nothing is judged here but the attributes themselves; the rules are in [`crate::validate`].

mod secret;

use proc_macro2::Span;
use quote::format_ident;
use syn::parse::{ParseStream, Parser};
use syn::{
    Attribute, FnArg, GenericArgument, Ident, ItemTrait, Pat, PatType, PathArguments, ReturnType,
    Signature, TraitItem, TraitItemFn, Type, Visibility,
};

use crate::diagnostics::Diagnostics;
use crate::model::{
    Api, ApiOptions, Arg, ArgKind, Event, EventOptions, Kind, Method, Output, RpcOptions,
    TaskOptions, Verdict,
};
use crate::parse;

/// Reads the trait.
pub(crate) fn api(options: ApiOptions, item: ItemTrait, diagnostics: &mut Diagnostics) -> Api {
    let mut api = Api {
        options,
        attrs: secret::nowhere(item.attrs, diagnostics),
        vis: item.vis,
        unsafety: item.unsafety,
        auto: item.modifiers.auto_token,
        ident: item.ident,
        generics: item.generics,
        supertraits: item.supertraits.into_iter().collect(),
        methods: Vec::new(),
        events: Vec::new(),
        others: Vec::new(),
    };
    for item in item.items {
        match without_visibility(item, diagnostics) {
            TraitItem::Fn(function) => function_of(&mut api, function, diagnostics),
            other => api.others.push(other),
        }
    }
    api
}

/// syn hands `pub async fn …` in a trait over unread. The slip is reported, the function read.
fn without_visibility(item: TraitItem, diagnostics: &mut Diagnostics) -> TraitItem {
    let TraitItem::Verbatim(tokens) = &item else {
        return item;
    };
    let parser = |input: ParseStream<'_>| {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        let mut function: TraitItemFn = input.parse()?;
        function.attrs.splice(0..0, attrs);
        Ok((vis, function))
    };
    match parser.parse2(tokens.clone()) {
        Ok((vis, function)) => {
            diagnostics.on(
                vis,
                "what is in a trait is as visible as the trait: remove this",
            );
            TraitItem::Fn(function)
        }
        Err(_) => item,
    }
}

/// The attributes of a function that are lightbus' own.
#[derive(Default)]
struct Roles {
    rpc: Option<RpcOptions>,
    task: Option<TaskOptions>,
    event: Option<EventOptions>,
}

/// What the attributes make of a function.
enum Role {
    Method(Kind),
    Event(EventOptions),
}

impl Roles {
    /// Of several, which are reported, the one that looks like the function: what has `self` is no event.
    fn role(self, sig: &Signature) -> Role {
        let marked = self.task.is_some() || self.rpc.is_some();
        match (self.event, self.task, self.rpc) {
            (Some(options), ..) if !(marked && sig.receiver().is_some()) => Role::Event(options),
            (_, Some(options), _) => Role::Method(Kind::Task(options)),
            (_, None, options) => Role::Method(Kind::Call(options.unwrap_or_default())),
        }
    }
}

fn function_of(api: &mut Api, mut function: TraitItemFn, diagnostics: &mut Diagnostics) {
    let (secret, attrs) = secret::of(function.attrs, diagnostics);
    let (own, attrs) = split(attrs, &["event", "rpc", "task", "key"]);
    if let Some(FnArg::Receiver(receiver)) = function.sig.inputs.first_mut() {
        receiver.attrs = secret::nowhere(std::mem::take(&mut receiver.attrs), diagnostics);
    }
    let role = roles(&own, diagnostics).role(&function.sig);
    let args = args(&function.sig, diagnostics);
    if !matches!(role, Role::Method(Kind::Call(_))) {
        secret::no_answer(secret, diagnostics);
    }
    match role {
        Role::Event(options) => api.events.push(Event {
            options,
            attrs,
            sig: function.sig,
            args,
            body: function.default,
            verdict: Verdict::Sound,
            has_accessor: true,
        }),
        Role::Method(kind) => api.methods.push(Method {
            kind,
            answers_secret: secret.is_some(),
            attrs,
            output: output(&function.sig.output),
            sig: function.sig,
            args,
            body: function.default,
            verdict: Verdict::Sound,
            in_client: true,
        }),
    }
}

fn roles(own: &[Attribute], diagnostics: &mut Diagnostics) -> Roles {
    let mut roles = Roles::default();
    let mut seen: Vec<String> = Vec::new();
    for attr in own {
        let name = last_segment(attr);
        if name == "key" {
            diagnostics.on(attr, "`#[key]` goes on an argument of an event: `#[event] fn stock_changed(#[key] part: String);`");
        } else if seen.contains(&name) {
            diagnostics.on(
                attr,
                format_args!("`#[{name}]` is specified more than once"),
            );
        } else {
            if let Some(first) = seen.first() {
                two_roles(first, &name, attr, diagnostics);
            }
            match name.as_str() {
                "event" => roles.event = Some(parse::event_options(attr, diagnostics)),
                "task" => roles.task = Some(parse::task_options(attr, diagnostics)),
                _ => roles.rpc = Some(parse::rpc_options(attr, diagnostics)),
            }
            seen.push(name);
        }
    }
    roles
}

fn two_roles(first: &str, second: &str, attr: &Attribute, diagnostics: &mut Diagnostics) {
    let all = [("rpc", "a call"), ("task", "a task"), ("event", "an event")];
    let both: Vec<_> = all
        .iter()
        .filter(|(name, _)| [first, second].contains(name))
        .collect();
    if let [(one, one_is), (other, other_is)] = both[..] {
        diagnostics.on(
            attr,
            format_args!(
                "a function is {one_is} or {other_is}: keep `#[{one}]` or `#[{other}]`, not both"
            ),
        );
    }
}

fn args(sig: &Signature, diagnostics: &mut Diagnostics) -> Vec<Arg> {
    let typed = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    typed
        .enumerate()
        .map(|(index, typed)| arg(index, typed, diagnostics))
        .collect()
}

fn arg(index: usize, typed: &PatType, diagnostics: &mut Diagnostics) -> Arg {
    let (own, attrs) = split(typed.attrs.clone(), &["key"]);
    let (secret, attrs) = secret::of(attrs, diagnostics);
    let plain = plain_ident(&typed.pat);
    Arg {
        is_pattern: plain.is_none(),
        repeated: false,
        ident: plain
            .cloned()
            .unwrap_or_else(|| format_ident!("arg{index}")),
        attrs,
        key: key(&own, diagnostics),
        secret,
        kind: kind(&typed.ty),
        ty: (*typed.ty).clone(),
    }
}

fn key(own: &[Attribute], diagnostics: &mut Diagnostics) -> Option<Span> {
    let (first, more) = own.split_first()?;
    if !matches!(first.meta, syn::Meta::Path(_)) {
        diagnostics.on(&first.meta, "`#[key]` stands alone: it takes nothing");
    }
    for attr in more {
        diagnostics.on(attr, "`#[key]` is specified more than once");
    }
    Some(
        first
            .path()
            .segments
            .last()
            .map_or_else(Span::call_site, |segment| segment.ident.span()),
    )
}

fn plain_ident(pat: &Pat) -> Option<&Ident> {
    match pat {
        Pat::Ident(pat)
            if pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none() =>
        {
            Some(&pat.ident)
        }
        _ => None,
    }
}

/// How an argument may be passed: told by the last word of its type, as all a macro sees is words.
fn kind(ty: &Type) -> ArgKind {
    let Type::Path(path) = peel(ty) else {
        return ArgKind::Value;
    };
    let Some(last) = path.path.segments.last() else {
        return ArgKind::Value;
    };
    match &last.arguments {
        PathArguments::None if last.ident == "String" => ArgKind::Text,
        PathArguments::AngleBracketed(arguments)
            if last.ident == "Vec" && arguments.args.len() == 1 =>
        {
            match arguments.args.first() {
                Some(GenericArgument::Type(Type::Path(element))) if element.path.is_ident("u8") => {
                    ArgKind::Bytes
                }
                _ => ArgKind::Value,
            }
        }
        _ => ArgKind::Value,
    }
}

/// A type without the invisible brackets that `macro_rules!` puts around it, nor parentheses.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        other => other,
    }
}

fn output(written: &ReturnType) -> Output {
    let ReturnType::Type(_, ty) = written else {
        return Output::Unit;
    };
    let ty = peel(ty);
    let Type::Path(path) = ty else {
        return Output::Plain(ty.clone());
    };
    let Some(last) = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Result")
    else {
        return Output::Plain(ty.clone());
    };
    let mut types = type_arguments(&last.arguments);
    match (types.next(), types.next(), types.next()) {
        (Some(ok), Some(err), None) => Output::Fallible(ok.clone(), err.clone()),
        (ok, ..) => Output::Alias {
            written: ty.clone(),
            ok: ok.cloned(),
        },
    }
}

fn type_arguments(arguments: &PathArguments) -> impl Iterator<Item = &Type> {
    let arguments = match arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments
        .into_iter()
        .flatten()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}

/// Parts the attributes named so, by their last word, from the others.
fn split(attrs: Vec<Attribute>, names: &[&str]) -> (Vec<Attribute>, Vec<Attribute>) {
    attrs
        .into_iter()
        .partition(|attr| names.contains(&last_segment(attr).as_str()))
}

/// The last word of an attribute's path: `event` of `#[lightbus::event(…)]`.
pub(crate) fn last_segment(attr: &Attribute) -> String {
    attr.path()
        .segments
        .last()
        .map(|segment| segment.ident.to_string())
        .unwrap_or_default()
}
