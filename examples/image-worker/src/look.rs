//! How the story looks: a title for each scene, and lines of a label and a text.

use std::fmt::Display;
use std::io::IsTerminal;

use owo_colors::Style;

/// Which colours things have: none, unless a person looks on who does not mind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    colours: bool,
}

impl Look {
    pub(crate) fn of_stdout() -> Self {
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colours: std::io::stdout().is_terminal() && !declined,
        }
    }

    pub(crate) fn has_colours(self) -> bool {
        self.colours
    }

    pub(crate) fn title(self, text: &str) {
        println!("\n{}\n", self.paint(text, Style::new().bold()));
    }

    pub(crate) fn tell(self, label: &str, text: impl Display) {
        self.line(label, Style::new().dimmed(), text);
    }

    /// Something went wrong.
    pub(crate) fn bad(self, label: &str, text: impl Display) {
        self.line(label, Style::new().red(), text);
    }

    /// And now it is right.
    pub(crate) fn good(self, label: &str, text: impl Display) {
        self.line(label, Style::new().green(), text);
    }

    fn line(self, label: &str, style: Style, text: impl Display) {
        println!("   {} {text}", self.paint(&format!("{label:<11}"), style));
    }

    fn paint(self, text: &str, style: Style) -> String {
        match self.colours {
            true => style.style(text).to_string(),
            false => text.to_owned(),
        }
    }
}

/// `84 kB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        ..10_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
