//! What `#[lightbus::api]` accepts, what it refuses, and in which words.
//!
//! Each file in `ui/fail` holds one mistake (`many_mistakes` and `tasks` hold many, as each file takes time), and beside it code that implements and
//! uses the API: its `.stderr` shows that the mistake is the only error. After a change of wording, write them anew by
//! `TRYBUILD=overwrite cargo test -p lightbus-tests --test ui`, and read the difference.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}

/// Each half of an API compiles without the other, from a contract crate that knows nothing of features.
///
/// Cargo gives a crate the features that anybody in the build wants, so each is built by a Cargo of its own.
#[test]
fn each_half_compiles_alone() {
    for (package, cfg) in [
        ("lightbus-contract-api", None),
        ("lightbus-contract-client-only", Some("alone")),
        ("lightbus-contract-server-only", Some("alone")),
    ] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
            "rustc",
            "--profile",
            "check",
            "--package",
            package,
        ]);
        cargo
            .arg("--target-dir")
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("halves"));
        cargo.args(["--", "--deny", "warnings"]);
        cargo.args(cfg.map(|cfg| ["--cfg", cfg]).iter().flatten());
        let output = cargo.output().unwrap();
        assert!(
            output.status.success(),
            "{package}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
