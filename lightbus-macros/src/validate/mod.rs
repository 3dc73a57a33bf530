//! The rules: one function each, which reports what it finds and goes on.
//!
//! A message says what is wrong, why where that is not plain, and what to write instead. Nothing is taken
//! away from the model; an item whose signature is wrong is marked, so that a stub is generated for it.

mod api;
mod clashes;
mod event;
mod method;
mod signature;
mod task;
mod types;

use crate::diagnostics::Diagnostics;
use crate::model::{Api, Verdict};

/// Judges a whole API.
pub(crate) fn api(api: &mut Api, diagnostics: &mut Diagnostics) {
    api::check(api, diagnostics);
    for method in &mut api.methods {
        let before = diagnostics.count();
        method::check_signature(method, diagnostics);
        method.verdict = verdict(before, diagnostics);
        method::check_names(method, diagnostics);
        task::check(method, diagnostics);
    }
    for event in &mut api.events {
        let before = diagnostics.count();
        event::check_signature(event, diagnostics);
        event.verdict = verdict(before, diagnostics);
        event::check_names(event, diagnostics);
    }
    clashes::check(api, diagnostics);
}

fn verdict(before: usize, diagnostics: &Diagnostics) -> Verdict {
    if diagnostics.count() == before {
        Verdict::Sound
    } else {
        Verdict::Broken
    }
}
