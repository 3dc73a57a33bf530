//! A scene as a tree: who called whom, what came of it, who heard of it. And how that looks.

use std::fmt::{self, Display, Write};
use std::io::IsTerminal;

use company_journal::{Entry, What};
use owo_colors::Style;

/// Where the times stand, counted from the left.
const WIDTH: usize = 80;
const MARGIN: &str = "       ";

/// What has happened in a scene so far.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    beats: Vec<Beat>,
    roots: Vec<usize>,
}

#[derive(Debug)]
struct Beat {
    entry: Entry,
    /// The answer to a call, and how long it took.
    answer: Option<(Result<String, String>, u64)>,
    /// What came of it.
    children: Vec<usize>,
}

impl Scene {
    /// Adds what was reported next, to the beat it came of.
    pub(crate) fn add(&mut self, entry: Entry) {
        let parent = match &entry.what {
            What::Answered { call, answer, took } => {
                let asked =
                    self.last(|beat| beat.is_open() && beat.entry.who == entry.who && beat.call() == Some(*call));
                if let Some(asked) = asked {
                    self.beats[asked].answer = Some((answer.clone(), *took));
                }
                return;
            }
            What::Hears { event, .. } => self.last(
                |beat| matches!(&beat.entry.what, What::Announces { event: announced } if name(announced) == event),
            ),
            What::Asks { .. } | What::Announces { .. } => self.cause_of(&entry),
            What::Ready => None,
        };
        let beat = self.beats.len();
        self.beats.push(Beat {
            entry,
            answer: None,
            children: Vec::new(),
        });
        match parent {
            Some(parent) => self.beats[parent].children.push(beat),
            None => self.roots.push(beat),
        }
    }

    /// What an app does, it does on account of an event it has heard, or of a call it has not yet answered.
    fn cause_of(&self, entry: &Entry) -> Option<usize> {
        let heard = |beat: &Beat| {
            matches!(beat.entry.what, What::Hears { .. })
                && beat.entry.who == entry.who
                && beat.entry.cause == entry.cause
        };
        let asked = |beat: &Beat| beat.is_open() && beat.callee() == Some(&entry.who);
        entry.cause.as_ref()?;
        self.last(heard).or_else(|| self.last(asked))
    }

    fn last(&self, which: impl Fn(&Beat) -> bool) -> Option<usize> {
        self.beats.iter().rposition(which)
    }

    /// True when so many calls came from outside, all calls are answered, and each of these was ready, or heard that event.
    pub(crate) fn is_over(&self, visits: usize, expected: &[(&str, &str)]) -> bool {
        let visited = self
            .roots
            .iter()
            .filter(|root| self.beats[**root].call().is_some())
            .count();
        visited == visits
            && !self.beats.iter().any(Beat::is_open)
            && expected
                .iter()
                .all(|wanted| self.beats.iter().any(|beat| beat.shows(*wanted)))
    }

    /// Why it is not over.
    pub(crate) fn missing(&self, expected: &[(&str, &str)]) -> String {
        let missing = expected
            .iter()
            .filter(|wanted| !self.beats.iter().any(|beat| beat.shows(**wanted)));
        let missing: Vec<_> = missing
            .map(|(who, what)| format!("{who} has not reported {what}"))
            .collect();
        if missing.is_empty() {
            "a call has no answer".to_owned()
        } else {
            missing.join(", ")
        }
    }

    /// The scene in words, one line a beat.
    pub(crate) fn told(&self, palette: &Palette) -> String {
        let mut told = String::new();
        self.tell_who_is_ready(palette, &mut told);
        for root in &self.roots {
            self.tell(*root, None, MARGIN, MARGIN, palette, &mut told);
        }
        told
    }

    /// Whoever is ready first: they are all told in one line, by name.
    fn tell_who_is_ready(&self, palette: &Palette, out: &mut String) {
        let ready = self
            .beats
            .iter()
            .filter(|beat| matches!(beat.entry.what, What::Ready));
        let mut names: Vec<_> = ready.map(|beat| beat.entry.who.as_str()).collect();
        names.sort_unstable();
        let Some((last, others)) = names.split_last() else {
            return;
        };
        let mut line = Line::new(palette).dim(MARGIN);
        for (number, name) in others.iter().enumerate() {
            line = line.dim(if number == 0 { "" } else { ", " }).name(name);
        }
        line.dim(if others.is_empty() { "" } else { " and " })
            .name(last)
            .plain(" are ready.")
            .end(out);
    }

    /// Tells one beat and what came of it. `first` is what stands before its first line, `rest` before all others.
    fn tell(
        &self,
        index: usize,
        parent: Option<&Beat>,
        first: &str,
        rest: &str,
        palette: &Palette,
        out: &mut String,
    ) {
        let beat = &self.beats[index];
        let mut line = Line::new(palette).dim(first).name(&beat.entry.who);
        let mut children = beat.children.clone();
        // Two apps hear the same event at the same moment: tell them by name, so that the story is always the same.
        if matches!(beat.entry.what, What::Announces { .. }) {
            children.sort_by_key(|child| &self.beats[*child].entry.who);
        }
        let mut last_words = None;
        match (&beat.entry.what, &beat.answer) {
            (What::Asks { question, .. }, answer) => {
                line = line.dim(" → ").call(question);
                match answer {
                    Some((answer, took)) if children.is_empty() => {
                        line = line.dim(": ").answer(answer).time("", *took)
                    }
                    Some((answer, took)) => {
                        last_words = Some(
                            Line::new(palette)
                                .dim(rest)
                                .dim("└→ ")
                                .answer(answer)
                                .time("", *took),
                        )
                    }
                    None => line = line.dim(": …"),
                }
            }
            (What::Announces { event }, _) => {
                line = line.dim(" announces ").plain(
                    event
                        .strip_prefix(&format!("{}.", beat.entry.who))
                        .unwrap_or(event),
                );
                if children.is_empty() {
                    line = line.dim(", and nobody listens");
                }
            }
            (What::Hears { event, says }, _) => {
                line = match parent {
                    Some(_) => line.dim(" hears it and "),
                    None => line.dim(&format!(" hears an old {event} and ")),
                };
                line = line.plain(says);
                if let Some(announced) = parent {
                    line = line.time("+", beat.entry.at.saturating_sub(announced.entry.at));
                }
            }
            // Told elsewhere: with the others, and with the question.
            (What::Ready | What::Answered { .. }, _) => return,
        }
        line.end(out);
        for (number, child) in children.iter().enumerate() {
            let is_last = number + 1 == children.len() && last_words.is_none();
            let (branch, below) = if is_last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            self.tell(
                *child,
                Some(beat),
                &format!("{rest}{branch}"),
                &format!("{rest}{below}"),
                palette,
                out,
            );
        }
        if let Some(line) = last_words {
            line.end(out);
        }
    }
}

impl Beat {
    /// A call without an answer.
    fn is_open(&self) -> bool {
        self.call().is_some() && self.answer.is_none()
    }

    fn call(&self) -> Option<u64> {
        match self.entry.what {
            What::Asks { call, .. } => Some(call),
            _ => None,
        }
    }

    /// The app that is asked. In this company every app has the name of its API.
    fn callee(&self) -> Option<&str> {
        match &self.entry.what {
            What::Asks { question, .. } => question.split('.').next(),
            _ => None,
        }
    }

    fn shows(&self, (who, what): (&str, &str)) -> bool {
        self.entry.who == who
            && match &self.entry.what {
                What::Ready => what == "ready",
                What::Hears { event, .. } => what == event,
                _ => false,
            }
    }
}

/// `sales.machine_sold` of `sales.machine_sold(A-1001)`.
fn name(event: &str) -> &str {
    event.split('(').next().unwrap_or(event)
}

/// The day in numbers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How long each call took, in microseconds.
    calls: Vec<u64>,
    events: usize,
    heard: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, scene: &Scene) {
        for beat in &scene.beats {
            match &beat.entry.what {
                What::Asks { .. } => self
                    .calls
                    .extend(beat.answer.as_ref().map(|(_, took)| took)),
                What::Announces { .. } => self.events += 1,
                What::Hears { .. } => self.heard += 1,
                What::Ready | What::Answered { .. } => {}
            }
        }
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut calls = self.calls.clone();
        calls.sort_unstable();
        let median = milliseconds(calls.get(calls.len() / 2).copied().unwrap_or_default());
        let (calls, events, heard) = (calls.len(), self.events, self.heard);
        write!(
            f,
            "{calls} calls, half of them within {median}. {events} events, heard {heard} times."
        )
    }
}

/// Which colours things have: none, unless a person looks on who does not mind.
#[derive(Debug)]
pub(crate) struct Palette {
    colours: bool,
}

impl Palette {
    pub(crate) fn for_stdout() -> Self {
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colours: std::io::stdout().is_terminal() && !declined,
        }
    }

    pub(crate) fn title(&self, text: &str) -> String {
        self.paint(text, Style::new().bold())
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.paint(text, Style::new().dimmed())
    }

    /// Each app has a colour of its own.
    fn name(&self, who: &str) -> String {
        let style = match who {
            "sales" => Style::new().green(),
            "spares" => Style::new().yellow(),
            "support" => Style::new().cyan(),
            "warranty" => Style::new().magenta(),
            _ => Style::new(),
        };
        self.paint(who, style.bold())
    }

    fn paint(&self, text: &str, style: Style) -> String {
        if self.colours {
            style.style(text).to_string()
        } else {
            text.to_owned()
        }
    }
}

/// A line of the story: its words, and how many columns they take.
struct Line<'a> {
    palette: &'a Palette,
    text: String,
    width: usize,
    time: Option<String>,
}

impl<'a> Line<'a> {
    fn new(palette: &'a Palette) -> Self {
        Self {
            palette,
            text: String::new(),
            width: 0,
            time: None,
        }
    }

    fn push(mut self, plain: &str, painted: &str) -> Self {
        self.text.push_str(painted);
        self.width += plain.chars().count();
        self
    }

    fn plain(self, text: &str) -> Self {
        self.push(text, text)
    }

    fn dim(self, text: &str) -> Self {
        let painted = self.palette.dim(text);
        self.push(text, &painted)
    }

    fn name(self, who: &str) -> Self {
        let painted = self.palette.name(who);
        self.push(who, &painted)
    }

    /// `sales.order(Aurora, new)`, with the app's name in its colour.
    fn call(self, text: &str) -> Self {
        match text.split_once('.') {
            Some((app, rest)) => self.name(app).plain(".").plain(rest),
            None => self.plain(text),
        }
    }

    fn answer(self, answer: &Result<String, String>) -> Self {
        match answer {
            Ok(answer) => self.plain(answer),
            Err(error) => {
                let painted = self.palette.paint(error, Style::new().red());
                self.push(error, &painted)
            }
        }
    }

    fn time(mut self, sign: &str, microseconds: u64) -> Self {
        self.time = Some(format!("{sign}{}", milliseconds(microseconds)));
        self
    }

    fn end(self, out: &mut String) {
        out.push_str(&self.text);
        if let Some(time) = &self.time {
            let gap = WIDTH
                .saturating_sub(self.width + time.chars().count())
                .max(2);
            let _ = write!(out, "{:gap$}{}", "", self.palette.dim(time));
        }
        out.push('\n');
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody waits for centuries")]
fn milliseconds(microseconds: u64) -> String {
    format!("{:.1} ms", microseconds as f64 / 1000.0)
}
