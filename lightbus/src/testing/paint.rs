//! Colours for what a failing test prints, where standard error is a terminal that shows them.

use std::fmt::Write as _;

use anstream::{AutoStream, ColorChoice};
use owo_colors::{OwoColorize, Style};

use super::story::untimed;

pub(super) fn print(text: &str) {
    match AutoStream::choice(&std::io::stderr()) {
        ColorChoice::Never => eprintln!("\n{text}"),
        _ => eprintln!("\n{}", paint(text)),
    }
}

/// The heads of its parts, what is wrong, and what helps.
fn paint(text: &str) -> String {
    let mut painted = String::new();
    for line in text.lines() {
        let _ = writeln!(painted, "{}", line.style(style(line)));
    }
    painted
}

fn style(line: &str) -> Style {
    let is_bad = |line: &str| {
        [
            "but ",
            "dead in ",
            "to nobody",
            "refused by ",
            "lost by ",
            "attempt ",
        ]
        .iter()
        .any(|bad| line.starts_with(bad))
    };
    // Without the time, in a story.
    let told = untimed(line);
    match line.split_at_checked(2) {
        Some(("  ", _)) if told.starts_with("help: ") => Style::new().cyan(),
        Some(("  ", _)) if is_bad(told) => Style::new().red(),
        Some(("  ", _)) if told.starts_with("wanted ") => Style::new().green(),
        Some(("  ", _)) => Style::new(),
        _ => Style::new().bold(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_painted() {
        let text = "x.rs:1:1: the event a.b should be published\n  wanted 1\n  found\n";
        assert_eq!(
            paint(text),
            "\u{1b}[1mx.rs:1:1: the event a.b should be published\u{1b}[0m\n\u{1b}[32m  wanted 1\u{1b}[0m\n  found\n"
        );
    }
}
