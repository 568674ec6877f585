//! Output of `check` on a terminal.

use crate::common::rollout::Rollout;
use crate::fixture::pki::HOST;
use crate::fixture::terminal::Terminal;
use crate::support::Refusing;

#[test]
#[ignore = "needs bsdutils (script)"]
fn progress_bar_appears_and_is_cleared_on_a_terminal() {
    let rollout = Rollout::new();
    for columns in [40, 100] {
        let terminal = Terminal::start(&rollout.words(), columns, &[]);
        let (code, drawn) = terminal.end();
        assert_eq!(code, 2, "{drawn:?}");
        assert!(
            drawn.contains(" 0/1 hosts") && drawn.contains(" 1/1 hosts, "),
            "{drawn:?}"
        );
        let (bar, table) = drawn.split_at(drawn.find("SEVERITY").unwrap());
        assert!(
            bar.contains("\x1b[2K") || bar.contains("\x1b[K"),
            "it is cleared: {drawn:?}"
        );
        assert!(!table.contains("/1 hosts"), "{drawn:?}");
        assert!(table.contains("2 endpoints: "), "{drawn:?}");
        assert!(table.contains("1 critical"), "{drawn:?}");
    }
    // A terminal without cursor control gets no progress bar.
    let terminal = Terminal::start(&rollout.words(), 100, &[("TERM", "dumb")]);
    let (_, drawn) = terminal.end();
    assert!(
        !drawn.contains("/1 hosts") && !drawn.contains('\x1b'),
        "{drawn:?}"
    );
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn terminal_shows_the_progress_of_a_rollout() {
    let rollout = Rollout::new();
    let words = format!(
        "{} --wait 10m --every 10ms --format json --output /dev/null",
        rollout.words()
    );
    let mut terminal = Terminal::start(&words, 120, &[]);
    terminal.wait_for("1 of 2 addresses serve it; waiting for www.example.com 127.0.0.2:");
    terminal.wait_for(" left");
    rollout.finish();
    let (code, drawn) = terminal.end();
    assert_eq!(code, 0, "{drawn:?}");
    assert!(
        drawn.contains("2 of 2 addresses serve it, after "),
        "{drawn:?}"
    );
    // The result is written elsewhere, so its summary is printed.
    assert!(drawn.contains("2 endpoints: 2 ok; in "), "{drawn:?}");
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn wait_shows_host_and_port_whole_at_80_columns() {
    let rollout = Rollout::new();
    let words = format!("{} --wait 2h --every 1h", rollout.words());
    let mut terminal = Terminal::start(&words, 80, &[]);
    let place = format!("{HOST} 127.0.0.2:{}", rollout.port);
    terminal.wait_for(&place);
    terminal.press("\x03");
    let (_, drawn) = terminal.end();
    assert!(drawn.contains("1 of 2 addresses serve it; "), "{drawn:?}");
    assert!(drawn.contains(" left; waiting for"), "{drawn:?}");
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn ctrl_c_in_a_terminal_prints_the_results_so_far() {
    let rollout = Rollout::new();
    let words = format!("{} --wait 2h --every 1h", rollout.words());
    let mut terminal = Terminal::start(&words, 80, &[]);
    terminal.wait_for("1 of 2 addresses serve it");
    terminal.press("\x03");
    let (code, drawn) = terminal.end();
    assert_eq!(code, 2, "{drawn:?}");
    for part in [
        "interrupted: the result is incomplete",
        "wrong_certificate",
        "2 endpoints: ",
        "1 critical",
    ] {
        assert!(drawn.contains(part), "{part}: {drawn:?}");
    }
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn verbose_results_do_not_mix_with_the_progress_bar() {
    let rollout = Rollout::new();
    let terminal = Terminal::start(&format!("{} -v", rollout.words()), 100, &[]);
    let (_, drawn) = terminal.end();
    // Each result starts in the first column: after the end of a line, or where the bar's line was
    // cleared.
    for result in [
        "\x1b[31mCRITICAL\x1b[0m  www.example.com 127.0.0.2",
        "\x1b[32mok      \x1b[0m  www.example.com 127.0.0.1",
    ] {
        let before = &drawn[..drawn.find(result).unwrap()];
        let ends = ["\n", "\r", "\x1b[2K", "\x1b[K"];
        let is_clear = ends.iter().any(|end| before.ends_with(end));
        assert!(is_clear, "{drawn:?}");
    }
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn check_and_inspect_fit_a_narrow_terminal() {
    let refusing = Refusing::new();
    for command in ["check", "inspect"] {
        let words = format!("{command} {}", refusing.place());
        let (code, drawn) = Terminal::start(&words, 40, &[("NO_COLOR", "1")]).end();
        assert_eq!(code, 3, "{drawn:?}");
        for line in drawn.lines().filter(|line| !line.contains('\x1b')) {
            let width = line.trim_end().chars().count();
            assert!(width <= 40, "{width}: {line:?}");
        }
    }
}
