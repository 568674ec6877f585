//! Progress lines of `check` while it runs, in a log.

use crate::common::rollout::Rollout;
use crate::fixture::pki::{HOST, now};
use crate::fixture::process::wait_until;

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
