//! The table in the crate's documentation names a test for each of its rows: there are such tests.

use std::path::{Path, PathBuf};

/// The rows' cells.
fn rows() -> Vec<Vec<String>> {
    let documentation = read("src/lib.rs");
    let lines = documentation
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "));
    let rows = lines.map(|line| {
        line.split(" | ")
            .map(|cell| cell.trim_end_matches(" |").to_owned())
            .collect()
    });
    rows.skip(1).collect()
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The tests' names in a cell.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The file of a module of tests, and what is left of the name: a test in it.
fn find(name: &str) -> Option<(String, Option<&str>)> {
    let places = [
        ("core::tests::", "src/core/tests"),
        ("conformance::", "tests/conformance"),
        ("window::", "tests/window"),
    ];
    let found = places
        .iter()
        .find_map(|(prefix, directory)| Some((*directory, name.strip_prefix(prefix)?)));
    let (directory, rest) = found.unwrap_or(("tests", name));
    let (module, test) = match rest.split_once("::") {
        Some((module, test)) => (module, Some(test)),
        None => (rest, None),
    };
    let file = format!("{directory}/{module}.rs");
    path(&file).is_file().then_some((file, test))
}

#[test]
fn each_row_names_tests_that_exist() {
    let rows = rows();
    assert!(rows.len() > 20, "the table is not where it was");
    for row in rows {
        let [area, _, _, tests] = &row[..] else {
            panic!("not four cells: {row:?}")
        };
        assert!(named(tests).next().is_some(), "{area} names no test");
        for name in named(tests) {
            let Some((file, test)) = find(name) else {
                panic!("{area}: there is no {name}")
            };
            let found = match test {
                Some(test) => read(&file).contains(&format!("fn {test}(")),
                None => read(&file).contains("test]"),
            };
            assert!(found, "{area}: {file} has no {name}");
        }
    }
}

#[test]
fn each_module_of_tests_stands_in_a_row() {
    let rows = rows();
    let named: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.last())
        .flat_map(|cell| named(cell))
        .collect();
    let main = read("tests/conformance/main.rs");
    let modules = main
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    for module in modules.filter(|module| !matches!(*module, "support" | "table")) {
        let name = format!("conformance::{module}");
        assert!(
            named.iter().any(|row| row.starts_with(&name)),
            "no row names {name}"
        );
    }
}
