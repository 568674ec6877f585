//! Manual pages, written as `cargo xtask man` does and shown by `man` and groff.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::Path;
use std::process::{Command, Output};

/// Writes the pages to a directory.
fn xtask(directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("man").arg(directory).output().unwrap()
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("man/man1");
    let output = xtask(&made);
    assert!(output.status.success(), "{output:?}");
    for page in [
        "certvigil.1",
        "certvigil-check.1",
        "certvigil-config-check.1",
    ] {
        let text = std::fs::read_to_string(made.join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let page = |name| std::fs::read_to_string(made.join(name)).unwrap();
    let check = page("certvigil-check.1");
    assert!(check.contains("pubkey\\-hash"), "the flags are in it");
    assert!(check.contains("certvigil\\-inspect(1)"), "{check}");
    assert!(
        check.contains("the most severe finding is a warning"),
        "{check}"
    );
    assert!(page("certvigil-inspect.1").contains("at least one address served a certificate"));

    let file = made.join("certvigil.1");
    let output = xtask(&file);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.starts_with("error: cannot write the manual pages to "),
        "{error}"
    );
}

/// The page as `man` shows it.
#[test]
#[ignore = "needs man-db"]
fn man_shows_the_pages_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    assert!(xtask(folder.path()).status.success());
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let page = entry.unwrap().path();
        let output = Command::new("man")
            .args(["--warnings", "--local-file"])
            .arg(&page)
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let page = page.display();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{page}: {output:?}"
        );
        let text = String::from_utf8_lossy(&output.stdout);
        for part in ["SYNOPSIS", "EXIT STATUS", "SEE ALSO"] {
            assert!(text.contains(part), "{page}: {part}: {text}");
        }
    }
}

/// The page as groff formats it: in minimal containers, `man` is a dummy.
#[test]
#[ignore = "needs groff-base"]
fn manual_pages_render_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    assert!(xtask(folder.path()).status.success());
    let mut pages = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let page = entry.unwrap().path();
        let output = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-P-cbou"]) // -cbou: plain text
            .arg(&page)
            .output()
            .unwrap();
        let page = page.display();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{page}: {output:?}"
        );
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("SYNOPSIS"), "{page}");
        pages += 1;
    }
    assert!(pages >= 5, "{pages}");
}
