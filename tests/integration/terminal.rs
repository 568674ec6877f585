//! Output of `check` while it runs: on a terminal, and in a log.

use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Leaf, Pki, now};
use crate::fixture::process::{free_port, wait_until};
use crate::fixture::terminal::Terminal;
use crate::fixture::tls::{Server, config};
use crate::support::Refusing;

/// A renewed certificate, a server that has it and one that does not.
pub(crate) struct Rollout {
    pki: Pki,
    new: Leaf,
    servers: [Server; 2],
    pub(crate) port: u16,
}

const ADDRESSES: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

impl Rollout {
    pub(crate) fn new() -> Self {
        let pki = Pki::new();
        let (old, new) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
        let port = free_port();
        let at = |address: &str, leaf: &Leaf| {
            let listener = std::net::TcpListener::bind((address, port)).unwrap();
            Server::tls_at(listener, config(&pki, leaf))
        };
        let servers = [at(ADDRESSES[0], &new), at(ADDRESSES[1], &old)];
        Self {
            servers,
            pki,
            new,
            port,
        }
    }

    fn check(&self) -> Check {
        Check::of(&self.pki, &self.new, &ADDRESSES, self.port)
    }

    /// The same command as a shell line.
    pub(crate) fn words(&self) -> String {
        format!(
            "check --no-system-roots --ca-file {} --cert {} {HOST}:{port} --resolve {HOST}:{port}:{}",
            self.pki.path("root.pem").display(),
            self.pki.full_chain(&self.new).display(),
            ADDRESSES.join(","),
            port = self.port
        )
    }

    pub(crate) fn finish(&self) {
        self.servers[1].serve(config(&self.pki, &self.new));
    }
}

#[test]
fn wait_logs_progress_less_often_than_it_probes() {
    /// Number of probes for which a server serves the old certificate.
    const TRIES: usize = 4;
    let rollout = Rollout::new();
    let mut check = rollout
        .check()
        .args(&["--wait", "10m", "--every", "10ms"])
        .start();
    let waiting = format!(
        "1 of 2 addresses serve it; waiting for {HOST} 127.0.0.2:{}; ",
        rollout.port
    );
    check.wait_for(&waiting);
    wait_until("several tries", || {
        (rollout.servers[1].connections() > TRIES).then_some(())
    });
    rollout.finish();
    let run = check.end();
    assert_eq!(run.code, 0, "{run:?}");
    let told = run.stderr.matches(&waiting).count();
    assert!(told < TRIES, "{told}: {run:?}");
    assert!(
        run.stderr.contains("2 of 2 addresses serve it, after "),
        "{run:?}"
    );
    assert!(!run.stderr.contains(['\x1b', '\r']), "{run:?}");
    assert_eq!(run.json()["summary"]["ok"], 2);
}

#[test]
fn timed_out_wait_names_the_remaining_addresses() {
    let rollout = Rollout::new();
    let wait = |time: &str| {
        let check = rollout.check().args(&["--wait", time, "--every", "10ms"]);
        let run = check.run();
        assert_eq!(run.code, 2, "{run:?}");
        run
    };
    // With no time for a second probe there is no wait. A busy machine gets more time.
    let mut runs = ["100ms", "1s", "10s", "60s"].into_iter().map(wait);
    let run = runs.find(|run| run.stderr.contains(" left\n"));
    let run = run.expect("a wait with time for a second look");
    let last = run.stderr.lines().last().unwrap();
    let says = format!(
        ": 1 of 2 addresses serve it; waiting for {HOST} 127.0.0.2:{}",
        rollout.port
    );
    assert!(
        last.starts_with("gave up after ") && last.ends_with(&says),
        "{run:?}"
    );
}

#[test]
fn verbose_prints_each_result_on_stderr_once() {
    let rollout = Rollout::new();
    let run = rollout.check().arg("-v").run();
    assert_eq!(run.code, 2, "{run:?}");
    run.json();
    for (line, times) in [
        (
            format!("ok        {HOST} 127.0.0.1:{}  until ", rollout.port),
            1,
        ),
        (
            format!(
                "CRITICAL  {HOST} 127.0.0.2:{}  wrong_certificate\n",
                rollout.port
            ),
            1,
        ),
        (
            "2 endpoints: 1 critical, 0 unknown, 0 warning, 1 ok; in ".into(),
            1,
        ),
    ] {
        assert_eq!(run.stderr.matches(&line).count(), times, "{line}: {run:?}");
    }
    // A later probe reports what has changed, and nothing twice. All are judged as of one moment,
    // so that no day ends in between.
    let at = now().to_string();
    let mut check = rollout
        .check()
        .args(&["-v", "--wait", "10m", "--every", "10ms", "--at", &at])
        .start();
    check.wait_for("1 of 2 addresses");
    rollout.finish();
    let run = check.end();
    assert_eq!(run.code, 0, "{run:?}");
    let of = |address: &str| run.stderr.matches(&format!("{HOST} {address}:")).count();
    assert_eq!(of("127.0.0.1"), 1, "{run:?}");
    let rows = ["CRITICAL  ", "ok        "].map(|word| {
        let row = format!("{word}{HOST} 127.0.0.2:");
        run.stderr.matches(&row).count()
    });
    assert_eq!(rows, [1, 1], "{run:?}");
}

#[test]
fn progress_bar_requires_a_terminal() {
    let rollout = Rollout::new();
    let run = rollout.check().run();
    assert_eq!((run.code, run.stderr.as_str()), (2, ""), "{run:?}");
}

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
