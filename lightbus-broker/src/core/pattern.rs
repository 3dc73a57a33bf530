//! The regular expressions of permissions: as much of the language as names of queues and exchanges ask for.
//!
//! Literals, `.`, `[a-z]`, `[^…]`, groups, `|`, `*`, `+`, `?`, `^`, `$`, and `\` before punctuation. As in RabbitMQ, a
//! pattern may fit anywhere in the name unless anchored, and the empty one fits nothing but the empty name.

use std::{iter::Peekable, ops::RangeInclusive, str::Chars};

/// How deep groups may be nested.
const DEEPEST: usize = 16;

/// A regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Vec<Sequence>);

type Sequence = Vec<Item>;

/// A part, and how often it may follow itself.
#[derive(Clone, Debug)]
struct Item {
    part: Part,
    at_least: usize,
    at_most: usize,
}

#[derive(Clone, Debug)]
enum Part {
    Start,
    End,
    Any,
    Char(char),
    Class(bool, Vec<RangeInclusive<char>>),
    Group(Vec<Sequence>),
}

impl Pattern {
    /// Reads a pattern; the error says what it does not know.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = if text.is_empty() { "^$" } else { text };
        let mut rest = text.chars().peekable();
        let alternatives = alternatives(&mut rest, 0)?;
        match rest.next() {
            None => Ok(Self(alternatives)),
            Some(_) => Err("a group ends that did not begin".to_owned()),
        }
    }

    /// Whether it fits somewhere in a name.
    pub(crate) fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        (0..=name.len()).any(|at| any_fits(&self.0, &name, at, &mut |_| true))
    }
}

type Text<'a> = Peekable<Chars<'a>>;

fn alternatives(text: &mut Text<'_>, depth: usize) -> Result<Vec<Sequence>, String> {
    if depth > DEEPEST {
        return Err("groups are nested too deep".to_owned());
    }
    let mut all = vec![Vec::new()];
    while let Some(next) = text.next_if(|next| *next != ')') {
        if next == '|' {
            all.push(Vec::new());
            continue;
        }
        let part = part(next, text, depth)?;
        let (at_least, at_most) = repeat(text);
        if let Some(sequence) = all.last_mut() {
            sequence.push(Item {
                part,
                at_least,
                at_most,
            });
        }
    }
    Ok(all)
}

fn part(first: char, text: &mut Text<'_>, depth: usize) -> Result<Part, String> {
    Ok(match first {
        '^' => Part::Start,
        '$' => Part::End,
        '.' => Part::Any,
        '[' => class(text)?,
        '(' => group(text, depth)?,
        '*' | '+' | '?' | '{' => return Err(format!("'{first}' is not known here")),
        '\\' => match text.next() {
            Some(escaped) if escaped.is_ascii_punctuation() => Part::Char(escaped),
            Some(escaped) => return Err(format!("'\\{escaped}' is not known")),
            None => return Err("nothing follows '\\'".to_owned()),
        },
        literal => Part::Char(literal),
    })
}

fn group(text: &mut Text<'_>, depth: usize) -> Result<Part, String> {
    let all = alternatives(text, depth + 1)?;
    match text.next() {
        Some(')') => Ok(Part::Group(all)),
        _ => Err("a group does not end".to_owned()),
    }
}

fn class(text: &mut Text<'_>) -> Result<Part, String> {
    let unless = text.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let first = match text.next() {
            Some(']') if !ranges.is_empty() => return Ok(Part::Class(unless, ranges)),
            Some('\\') => text.next(),
            other => other,
        };
        let Some(first) = first else {
            return Err("a set of characters does not end".to_owned());
        };
        let last = match text.next_if_eq(&'-') {
            None => first,
            // At the end it stands for itself.
            Some(dash) if text.peek() == Some(&']') => {
                ranges.push(dash..=dash);
                first
            }
            Some(_) => text.next().unwrap_or(first),
        };
        ranges.push(first..=last);
    }
}

fn repeat(text: &mut Text<'_>) -> (usize, usize) {
    match text.next_if(|next| matches!(next, '*' | '+' | '?')) {
        Some('*') => (0, usize::MAX),
        Some('+') => (1, usize::MAX),
        Some(_) => (0, 1),
        None => (1, 1),
    }
}

/// What is to fit after something; given the place where that ended.
type Then<'a> = &'a mut dyn FnMut(usize) -> bool;

fn any_fits(all: &[Sequence], name: &[char], at: usize, then: Then<'_>) -> bool {
    all.iter().any(|sequence| fits(sequence, name, at, then))
}

fn fits(sequence: &[Item], name: &[char], at: usize, then: Then<'_>) -> bool {
    match sequence.split_first() {
        None => then(at),
        Some((item, rest)) => repeats(item, 0, name, at, &mut |end| fits(rest, name, end, then)),
    }
}

fn repeats(item: &Item, done: usize, name: &[char], at: usize, then: Then<'_>) -> bool {
    let more = done < item.at_most
        && once(&item.part, name, at, &mut |end| {
            // What fits nothing need not be tried again.
            (end > at || done < item.at_least) && repeats(item, done + 1, name, end, then)
        });
    more || (done >= item.at_least && then(at))
}

fn once(part: &Part, name: &[char], at: usize, then: Then<'_>) -> bool {
    let fits = match (part, name.get(at)) {
        (Part::Group(all), _) => return any_fits(all, name, at, then),
        (Part::Start, _) => return at == 0 && then(at),
        (Part::End, _) => return at == name.len() && then(at),
        (_, None) => false,
        (Part::Any, Some(_)) => true,
        (Part::Char(wanted), Some(found)) => wanted == found,
        (Part::Class(unless, ranges), Some(found)) => {
            ranges.iter().any(|range| range.contains(found)) != *unless
        }
    };
    fits && then(at + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fits_what_permissions_are_written_in() {
        for (pattern, fitting, other) in [
            (".*", &["", "a", "x.y"][..], &[][..]),
            ("", &[""], &["a"]),
            ("^$", &[""], &["a"]),
            ("^amq\\.gen.*", &["amq.gen-1"], &["amqXgen", "my.amq.gen"]),
            ("orders", &["orders", "my-orders-2"], &["order"]),
            (
                "^(amq\\.gen.*|prefix-.*)$",
                &["amq.gen", "prefix-1"],
                &["x-prefix-1"],
            ),
            ("^a|b$", &["ax", "xb"], &["xa", "bx"]),
            ("^[a-c_]+$", &["ab_c"], &["abd", ""]),
            ("^[^.]+$", &["abc"], &["a.b"]),
            ("^[a-]$", &["a", "-"], &["b"]),
            ("^ab?c$", &["ac", "abc"], &["abbc"]),
            ("^(ab)+$", &["ab", "abab"], &["", "aba"]),
            ("^(a*)*$", &["", "aaa"], &["b"]),
            ("^(a|ab)(c|bcd)$", &["abcd", "ac"], &["abcbcd"]),
            ("^ü.$", &["üx"], &["ü"]),
        ] {
            let read = Pattern::parse(pattern).unwrap();
            fitting
                .iter()
                .for_each(|name| assert!(read.fits(name), "{pattern} {name}"));
            other
                .iter()
                .for_each(|name| assert!(!read.fits(name), "{pattern} {name}"));
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for pattern in [
            "(", ")", "a)", "[", "[]", "*", "a**", "(?i)a", "a{2}", "\\d", "\\",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::parse(&"(".repeat(10_000)).is_err());
    }
}
