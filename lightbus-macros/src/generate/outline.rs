//! What both halves tell the bus about the API: names, and which arguments and answers are secret. Data alone, and no code.

use proc_macro2::TokenStream;
use quote::quote;

use super::Context;
use crate::model::Arg;
use crate::names;

pub(super) fn generate(cx: &Context<'_>) -> TokenStream {
    let (krate, ident, name) = (&cx.krate, &cx.names.outline, cx.api.wire_name());
    let calls = cx.api.calls().map(|it| item(&names::method(it), &it.args));
    let tasks = cx.api.tasks().map(|it| item(&names::method(it), &it.args));
    let events = cx.api.payloads();
    let events = events.map(|it| item(&names::event(it), &it.args));
    let secret_answers = cx.api.calls().filter(|it| it.answers_secret);
    let secret_answers = secret_answers.map(names::method);
    quote! {
        #[doc(hidden)]
        #[allow(dead_code, non_upper_case_globals)]
        static #ident: #krate::__private::ApiOutline = #krate::__private::ApiOutline {
            name: #name, calls: &[#(#calls),*], tasks: &[#(#tasks),*], events: &[#(#events),*],
            secret_answers: &[#(#secret_answers),*]
        };
    }
}

fn item(name: &str, args: &[Arg]) -> TokenStream {
    let secrets = args.iter().filter(|arg| arg.secret.is_some());
    let secrets = secrets.map(names::arg);
    quote! { (#name, &[#(#secrets),*]) }
}
