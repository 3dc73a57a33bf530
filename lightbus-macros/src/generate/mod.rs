//! Writes the code.
//!
//! Rules for all of it. Paths begin at the lightbus crate or at `::core`, so that no prelude, no import and
//! no name of the user's matters. Locals begin with `__`, so that no argument's name does. Items are flat, without a
//! module around them, so that they work inside a function body and see the user's private types. What only
//! one side needs goes through `__if_client!` or `__if_server!`, which the facade defines by its own
//! features: a macro cannot ask for them, as it would see those of the build, not of the crate it expands in.

mod api_trait;
mod asserts;
mod attrs;
mod client;
mod docs;
mod event_set;
mod events;
mod fallback;
mod outline;
mod server;
mod task;

pub(crate) use docs::source;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Visibility;

use crate::model::Api;
use crate::names::Names;

/// What every generator needs.
struct Context<'a> {
    api: &'a Api,
    names: Names,
    /// The path of lightbus, ready to be put before `::…`.
    krate: TokenStream,
}

/// Where an error in generated code is shown: at the user's own name of the thing, although the code is the macro's.
fn at(ident: &Ident) -> Span {
    ident.span().resolved_at(Span::call_site())
}

/// A visibility that is shown at a name, not at the trait that it was written for: rustc joins it with what follows.
fn vis_at(vis: &Visibility, span: Span) -> TokenStream {
    let respan = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    vis.to_token_stream().into_iter().map(respan).collect()
}

/// All that `#[lightbus::api]` generates: whatever is broken has a stub, so that nothing else in the user's crate is in error.
pub(crate) fn api(api: &Api) -> TokenStream {
    let cx = &Context {
        api,
        names: Names::of(&api.ident),
        krate: api.options.krate.to_token_stream(),
    };
    let krate = &cx.krate;
    let api_trait = api_trait::generate(cx);
    let outline = outline::generate(cx);
    let payloads = events::payloads(cx);
    let client = client::generate(cx);
    let event_set = event_set::generate(cx);
    let server = if api.is_sound() {
        server::generate(cx)
    } else {
        Some(fallback::server(cx))
    };
    let publisher = events::publisher(cx);
    let asserts = asserts::generate(cx);
    quote! {
        #api_trait
        #asserts
        #outline
        #payloads
        #krate::__if_client! { #client #event_set }
        #krate::__if_server! { #server #publisher }
    }
}
