//! The chapter `docs/testing-your-app.md` quotes these tests, and what they print: here it is compared with them. `LIGHTBUS_BLESS=1` renews it.

use std::path::Path;

use anyhow::Context;

const CHAPTER: &str = "docs/testing-your-app.md";
/// Before a block: `<!-- quotes FILE: fn, fn -->`, or `<!-- quotes FILE -->` for all of it.
const QUOTES: &str = "<!-- quotes ";
const PRINTED: &str = "<!-- printed -->";

#[test]
fn the_chapter_shows_what_the_tests_are() -> anyhow::Result<()> {
    let printed = crate::failing::printed()?;
    let shown = std::fs::read_to_string(path(CHAPTER))?;
    let renewed = renewed(&shown, &printed)?;
    if std::env::var_os("LIGHTBUS_BLESS").is_some() {
        std::fs::write(path(CHAPTER), renewed)?;
        return Ok(());
    }
    for (shown, renewed) in shown.lines().zip(renewed.lines()) {
        assert_eq!(shown, renewed, "LIGHTBUS_BLESS=1 renews the chapter");
    }
    assert_eq!(shown.len(), renewed.len());
    Ok(())
}

fn path(of: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(of)
}

/// The chapter, with all its blocks as they should be.
fn renewed(chapter: &str, printed: &str) -> anyhow::Result<String> {
    let mut renewed = String::new();
    let mut lines = chapter.lines();
    let mut next: Option<String> = None;
    while let Some(line) = lines.next() {
        renewed += line;
        renewed.push('\n');
        if let Some(what) = line.strip_prefix(QUOTES) {
            let what = what.strip_suffix(" -->").context("a quotation's end")?;
            next = Some(quoted(what)?);
        } else if line == PRINTED {
            next = Some(printed.to_owned());
        } else if line.starts_with("```") {
            let shown: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let shown = shown.join("\n");
            // What is said to be `rust` is compiled with lightbus's own docs.
            let is_checked = next.is_some() || line != "```rs";
            anyhow::ensure!(is_checked, "this is quoted from nowhere:\n{shown}");
            let block = next.take().unwrap_or_else(|| shown.clone());
            // What differs in its times only is the same.
            let is_same = untimed(&block) == untimed(&shown);
            renewed += if is_same { &shown } else { &block };
            renewed += "\n```\n";
        }
    }
    Ok(renewed)
}

/// These functions of a file, with their attributes and what is said of them; or all of it.
fn quoted(what: &str) -> anyhow::Result<String> {
    let (file, names) = what.split_once(": ").unwrap_or((what, ""));
    let text = std::fs::read_to_string(path(file)).with_context(|| file.to_owned())?;
    if names.is_empty() {
        return Ok(text.trim_end().to_owned());
    }
    let items = names.split(", ").map(|name| function(&text, name));
    let items = items.collect::<anyhow::Result<Vec<_>>>();
    Ok(items.with_context(|| file.to_owned())?.join("\n\n"))
}

fn function(text: &str, name: &str) -> anyhow::Result<String> {
    let lines: Vec<_> = text.lines().collect();
    let is_named = |line: &&str| line.contains(&format!("fn {name}("));
    let at = lines.iter().position(is_named);
    let at = at.with_context(|| format!("there is no function {name}"))?;
    let before = lines[..at].iter().rposition(|line| line.is_empty());
    let first = before.map_or(0, |empty| empty + 1);
    let length = lines[at..].iter().position(|line| *line == "}");
    let last = at + length.with_context(|| format!("{name} has no end"))?;
    Ok(lines[first..=last].join("\n"))
}

/// Without how long things took: `   +12.3 ms`.
fn untimed(text: &str) -> String {
    let time = |line: &str| {
        let (before, rest) = line.split_once('+')?;
        let (time, after) = rest.split_once(" ms")?;
        time.parse::<f64>().ok()?;
        Some(before.trim_end().to_owned() + after)
    };
    let lines = text.lines();
    let lines: Vec<_> = lines
        .map(|line| time(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    lines.join("\n")
}
