//! Completions that are generated from the command line, tested in the shells.

use crate::fixture::terminal::Terminal;
use crate::support::assert_one_line;
use crate::support::{Run, certvigil};

#[test]
fn completions_are_generated_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let run = certvigil(["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{shell}: {run:?}");
        let flag = if shell == "fish" {
            "pubkey-hash"
        } else {
            "--pubkey-hash"
        };
        assert!(run.stdout.contains(flag), "{shell}");
    }
    let run = certvigil(["completions", "tcsh"]);
    assert_one_line(&run, &["possible values: bash", "fish", "zsh"], &"tcsh");
}

/// Types into a shell and expects the completed line: `(typed, completed)`.
fn types(mut shell: Terminal, lines: &[(&str, &str)]) {
    for (typed, completed) in lines {
        shell.press(typed);
        shell.wait_for(completed);
        // Ctrl-U clears the line, and the shell reports when it is ready for the next.
        shell.press("\x15echo rea''dy\n");
        shell.wait_for("ready");
    }
    shell.press("\x15exit\n");
    assert_eq!(shell.end().0, 0);
}

/// Typed text with the tabulator, and the line that a shell completes it to.
const TYPED: [(&str, &str); 6] = [
    ("certvigil insp\t", "certvigil inspect "),
    ("certvigil check --pub\t", "--pubkey-hash"),
    ("certvigil check --format juni\t", "--format junit"),
    (
        "certvigil inspect --starttls postg\t",
        "--starttls postgres",
    ),
    ("certvigil check --revocation sta\t", "--revocation staple"),
    (
        "certvigil chain --cert a-file-of-\t",
        "a-file-of-certificates.pem",
    ),
];

/// A folder with the completions for a shell, and a file name to complete.
fn folder_with_completions(shell: &str, name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let completions = certvigil(["completions", shell]).stdout;
    std::fs::write(folder.path().join(name), completions).unwrap();
    std::fs::write(folder.path().join("a-file-of-certificates.pem"), "").unwrap();
    folder
}

#[test]
#[ignore = "needs bash and bsdutils (script)"]
fn bash_completes_a_typed_command_line() {
    let folder = folder_with_completions("bash", "completions");
    let line = format!(
        "cd {} && exec bash --norc --noprofile -i",
        folder.path().display()
    );
    let mut bash = Terminal::run(&line, 200, &[("HISTFILE", "/dev/null"), ("TERM", "dumb")]);
    bash.press(
        "set -u; bind 'set enable-bracketed-paste off'; source ./completions && echo loa''ded\n",
    );
    bash.wait_for("loaded");
    types(bash, &TYPED);
}

#[test]
#[ignore = "needs zsh and bsdutils (script)"]
fn zsh_completes_a_typed_command_line() {
    let folder = folder_with_completions("zsh", "_certvigil");
    let line = format!("cd {} && exec zsh -f -i", folder.path().display());
    let mut zsh = Terminal::run(&line, 200, &[("TERM", "dumb")]);
    // As in a package: in a folder of functions, loaded on first use.
    zsh.press("fpath=($PWD $fpath); autoload -U compinit; compinit -u -D && echo loa''ded\n");
    zsh.wait_for("loaded");
    types(zsh, &TYPED);
}

/// The completions that fish offers for a line.
#[test]
#[ignore = "needs fish"]
fn fish_completes_a_typed_command_line() {
    let folder = folder_with_completions("fish", "certvigil.fish");
    for (line, offered) in [
        ("certvigil insp", "inspect"),
        ("certvigil check --pub", "--pubkey-hash"),
        ("certvigil check --format juni", "junit"),
        ("certvigil inspect --starttls postg", "postgres"),
        (
            "certvigil chain --cert a-file-of-",
            "a-file-of-certificates.pem",
        ),
    ] {
        let script = format!("source certvigil.fish; complete --do-complete '{line}'");
        let output = std::process::Command::new("fish")
            .args(["--no-config", "--command", &script])
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .output()
            .unwrap();
        let run = Run::from(output);
        let first = run.stdout.lines().next().unwrap_or_default();
        assert_eq!(first.split('\t').next(), Some(offered), "{line}: {run:?}");
        assert_eq!(run.stderr, "", "{run:?}");
    }
}
