//! The command line on a terminal.

use crate::fixture::terminal::Terminal;
use crate::support::Refusing;

/// Runs the program on a terminal and returns its output.
fn on_a_terminal(words: &str, set: &[(&str, &str)]) -> String {
    Terminal::start(words, 100, set).end().1
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn colours_require_a_terminal_and_respect_no_color() {
    let refusing = Refusing::new();
    let check = format!("check {}", refusing.place());
    let colour = "\x1b[35mUNKNOWN";
    assert!(on_a_terminal(&check, &[]).contains(colour));
    for no in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let text = on_a_terminal(&check, &[no]);
        assert!(text.contains("UNKNOWN"), "{text:?}");
        assert!(!text.contains("\x1b[35m"), "{no:?}: {text:?}");
    }
    // An empty value counts as unset (https://no-color.org).
    assert!(on_a_terminal(&check, &[("NO_COLOR", "")]).contains(colour));
}
