//! The docs of generated items: the user's own first, then what a reader of the generated type needs to know.
//!
//! No links: half of what they would lead to is compiled only on the other side of the bus.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ReturnType;

use super::{Context, attrs};
use crate::model::{Arg, Event, Kind, Method};
use crate::names;

/// A doc attribute for each line.
pub(super) fn lines(text: &str) -> TokenStream {
    text.lines()
        .map(|line| {
            let line = if line.is_empty() {
                String::new()
            } else {
                format!(" {line}")
            };
            quote! { #[doc = #line] }
        })
        .collect()
}

/// The user's docs, or a sentence that stands in for them.
pub(super) fn or(user: &[syn::Attribute], otherwise: &str) -> TokenStream {
    let own = attrs::docs(user);
    let stand_in = (!attrs::have_text(user)).then(|| lines(otherwise));
    quote! { #stand_in #(#own)* }
}

/// Behind the user's docs of the trait: how to provide it, ready to be copied, and what stands beside it.
pub(super) fn of_trait(cx: &Context<'_>) -> TokenStream {
    let api = cx.api;
    let (name, ident) = (api.wire_name(), &api.ident);
    let mut text = String::new();
    if attrs::have_text(&api.attrs) {
        text.push('\n');
    }
    text += &format!(
        "The API `{name}` of the bus.\n\n# Providing it\n\n```text\nimpl {ident} for Provider {{\n"
    );
    for method in api.trait_methods() {
        text += &skeleton(method);
    }
    text += "}\n```\n";
    text += &in_use(cx);
    lines(&text)
}

/// How `impl` and client begin.
fn in_use(cx: &Context<'_>) -> String {
    let names = &cx.names;
    let (client, server, events) = (&names.client, &names.server, &names.events);
    let mut text = String::new();
    if cx.api.trait_methods().next().is_some() {
        text += &format!("\nServed by `bus.serve({server}::new(provider))`");
        if cx.api.calls().next().is_some() {
            text += &format!(", called through `{client}::new(&bus)`");
        }
        text += ".\n";
    }
    if let Some(task) = cx.api.tasks().next() {
        text += &format!(
            "\nIts tasks are enqueued through `{client}::new(&bus)`, as in `{}.enqueue()`.\n",
            invocation(task)
        );
    }
    if let Some(event) = cx.api.payloads().next() {
        let (accessor, payload) = (&event.sig.ident, names::payload(event));
        text += &format!(
            "\nIts events are published through `{events}::new(&bus)`, as in `.{accessor}().publish({payload} {{ … }})`, \
             and listened to through `{client}::new(&bus)`, as in `.{accessor}().listen(\"my-listener\", handler)`.\n"
        );
    }
    text
}

/// `.resize_avatar(user_id)`, as the user of a client writes it.
pub(super) fn invocation(method: &Method) -> String {
    let arguments: Vec<String> = method
        .args
        .iter()
        .map(|arg| arg.ident.to_string())
        .collect();
    format!(".{}({})", method.sig.ident, arguments.join(", "))
}

fn skeleton(method: &Method) -> String {
    let ident = &method.sig.ident;
    let args: String = method
        .args
        .iter()
        .map(|arg| format!(", {}: {}", arg.ident, source(&arg.ty)))
        .collect();
    let output = match &method.sig.output {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, ty) => format!(" -> {}", source(ty)),
    };
    format!("    async fn {ident}(&self{args}){output} {{\n        todo!()\n    }}\n")
}

/// Docs on the arguments of a method, which Rust does not allow there, as a list in the method's docs.
pub(super) fn of_arguments(method: &Method) -> TokenStream {
    let documented: Vec<&Arg> = method
        .args
        .iter()
        .filter(|arg| !attrs::docs(&arg.attrs).is_empty())
        .collect();
    if documented.is_empty() {
        return TokenStream::new();
    }
    let heading = lines("\n# Arguments\n\n");
    let items = documented.iter().map(|arg| {
        let item = format!(" - `{}`:", names::arg(arg));
        let docs = attrs::docs(&arg.attrs);
        quote! { #[doc = #item] #(#docs)* }
    });
    quote! { #heading #(#items)* }
}

/// Of a call or task in the client.
pub(super) fn of_method(cx: &Context<'_>, method: &Method) -> TokenStream {
    let (name, api) = (names::method(method), cx.api.wire_name());
    let (verb, more) = match &method.kind {
        Kind::Call(options) if options.cancel => ("Calls", Some(CANCEL.to_owned())),
        Kind::Call(_) => ("Calls", None),
        Kind::Task(_) => ("Enqueues", Some(of_task(method))),
    };
    let docs = or(
        &method.attrs,
        &format!("{verb} `{name}` of the API `{api}`."),
    );
    let arguments = of_arguments(method);
    let more = more.map(|text| lines(&text));
    quote! { #docs #arguments #more }
}

const CANCEL: &str = "\nGiving up the call before its answer came, by dropping it or by its timeout, cancels it at its provider.";

fn of_task(method: &Method) -> String {
    format!(
        "\nA task: a provider does it in the background. Nothing is sent before `{}.enqueue().await`.",
        invocation(method)
    )
}

/// Of an event's function in client or publisher: the user's docs, and what it is for.
pub(super) fn of_accessor(event: &Event, purpose: &str) -> TokenStream {
    let summary = format!("The event `{}`.", names::event(event));
    let docs = or(&event.attrs, &summary);
    let purpose = lines(&format!("\n{purpose}"));
    quote! { #docs #purpose }
}

/// Tokens as a person would write them: `Result<bool, AuthError>`. rustc's own printing of them differs
/// between versions, and proc-macro2's puts a space between any two.
pub(crate) fn source(tokens: impl ToTokens) -> String {
    let mut text = String::new();
    write_source(tokens.to_token_stream(), &mut text);
    text
}

fn write_source(tokens: TokenStream, text: &mut String) {
    let mut word_before = false;
    for token in tokens {
        let is_word = matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_));
        if is_word && word_before {
            text.push(' ');
        }
        match token {
            TokenTree::Group(group) => write_group(group.delimiter(), group.stream(), text),
            TokenTree::Punct(punct) => match punct.as_char() {
                ',' | ';' => *text += &format!("{punct} "),
                '+' | '=' | '-' if punct.spacing() == Spacing::Alone || punct.as_char() == '-' => {
                    *text += &format!(" {punct}")
                }
                '>' if text.ends_with('-') => *text += "> ",
                _ => text.push(punct.as_char()),
            },
            TokenTree::Ident(_) | TokenTree::Literal(_) => {
                if text.ends_with(['+', '=']) {
                    text.push(' ');
                }
                *text += &token.to_string();
            }
        }
        word_before = is_word;
    }
}

fn write_group(delimiter: Delimiter, inside: TokenStream, text: &mut String) {
    let (open, close) = match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{ ", " }"),
        Delimiter::None => ("", ""),
    };
    *text += open;
    write_source(inside, text);
    *text += close;
}
