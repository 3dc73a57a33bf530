//! The collector of mistakes.
//!
//! Every stage reports into one [`Diagnostics`] and goes on, so that a user sees all mistakes of a trait at
//! once. It cannot be forgotten: an entry point needs an [`Expansion`], whose fields are private here, and
//! the one way to make an `Expansion` is to hand the `Diagnostics` over to [`Diagnostics::finish`].

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

/// All mistakes found so far, in the order in which they will be shown.
#[derive(Default)]
pub(crate) struct Diagnostics {
    errors: Vec<syn::Error>,
}

impl Diagnostics {
    /// Reports a mistake at one place.
    pub(crate) fn at(&mut self, span: Span, message: impl Display) {
        self.errors.push(syn::Error::new(span, message));
    }

    /// Reports a mistake under all of `tokens`.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.errors.push(syn::Error::new_spanned(tokens, message));
    }

    /// Takes over an error that syn made.
    pub(crate) fn absorb(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    /// How many mistakes there are: a stage that sees the number grow knows that its item is broken.
    pub(crate) fn count(&self) -> usize {
        self.errors.len()
    }

    /// Ends the collecting: the generated code, with the mistakes as `compile_error!`s in front of it.
    pub(crate) fn finish(self, code: TokenStream) -> Expansion {
        Expansion {
            code,
            errors: self.errors,
        }
    }
}

/// What an attribute turns into: code, and the mistakes reported beside it.
#[must_use]
pub(crate) struct Expansion {
    code: TokenStream,
    errors: Vec<syn::Error>,
}

impl Expansion {
    /// The tokens that rustc gets to see.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let Self { code, errors } = self;
        let errors = errors.iter().map(syn::Error::to_compile_error);
        quote! { #(#errors)* #code }
    }

    /// The messages alone.
    #[cfg(test)]
    pub(crate) fn messages(&self) -> Vec<String> {
        self.errors.iter().map(ToString::to_string).collect()
    }

    /// The code alone.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &TokenStream {
        &self.code
    }
}
