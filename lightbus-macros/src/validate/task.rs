//! Rules of a task's queue.

use crate::diagnostics::Diagnostics;
use crate::model::{Kind, Method, Spanned};
use crate::names::{self, NAME_MAX};

/// The name of a queue of dead letters.
const DEAD: &str = "dead";

pub(super) fn check(method: &Method, diagnostics: &mut Diagnostics) {
    let Kind::Task(options) = &method.kind else {
        return;
    };
    let Some(queue) = &options.queue else {
        return;
    };
    if let Some(limit) = options.limit() {
        diagnostics.at(queue.span, format_args!("a task with `{limit}` has a queue of its own, by which the limit holds across all workers: remove `queue`, or `{limit}`"));
    }
    name(queue, diagnostics);
}

fn name(queue: &Spanned<String>, diagnostics: &mut Diagnostics) {
    let name = &queue.value;
    let wrong = if name == DEAD {
        "`dead` is where dead letters go".to_owned()
    } else if name.is_empty() {
        "the name is empty".to_owned()
    } else if names::is_name(name) {
        return;
    } else {
        format!("`{name}` cannot be the name of a queue")
    };
    diagnostics.at(queue.span, format_args!("{wrong}: a queue's name is made of small letters, digits and `_`, begins with a letter, has at most {NAME_MAX} bytes, and is not `dead`; like `slow`"));
}
