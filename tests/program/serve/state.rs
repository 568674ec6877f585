//! State that survives a restart: `--state-dir`.

use std::path::Path;

use super::*;
use crate::fixture::account::FakeAccount;
use crate::fixture::exporter::Answer;
use crate::support::{Run, certvigil};

const STATE: &[&str] = &["--state-dir", "state"];

/// The value of the local endpoint.
fn local(metrics: &Answer, metric: &str, more: &[&str]) -> Option<f64> {
    let labels: Vec<&str> = [r#"vantage="local""#].iter().chain(more).copied().collect();
    metrics.sample(metric, &labels)
}

/// A server, an account whose first instance it serves, and the entry of that instance.
fn one_instance() -> (Pki, Server, FakeAccount, String) {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let account = FakeAccount::start(&pki, &["127.0.0.1"], server.port());
    account.issue(&pki, HOST, 1, &leaf);
    let entry = format!(
        "sslmate: {HOST}, addresses: 127.0.0.1, port: {}",
        server.port()
    );
    (pki, server, account, entry)
}

#[test]
fn restarted_monitor_uses_the_last_account_result_during_an_outage() {
    let (pki, server, account, entry) = one_instance();
    let text = inventory(&pki, SHORT_INTERVAL, &account.settings("200ms"), &[entry]);
    let exporter = Exporter::start(&text, STATE, |folder| account.write_key(folder));
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    assert_eq!(
        local(&metrics, "certvigil_endpoint_correct", &[]),
        Some(1.0)
    );
    // A new instance, which the server does not have yet.
    let new = pki.leaf(&[HOST]);
    account.issue(&pki, HOST, 2, &new);
    let previous = [r#"code="previous_instance""#, r#"severity="warning""#];
    let finding = "certvigil_endpoint_finding";
    exporter.wait_for_metrics("the change is seen", |metrics| {
        local(metrics, finding, &previous).is_some()
    });
    wait_until("the change is kept", || {
        let state = exporter.path("state");
        let store = certvigil::store::Store::open_to_read(&state).ok()?;
        let said: Vec<_> = store
            .recall()
            .ok()?
            .into_iter()
            .flat_map(|(_, said)| said)
            .collect();
        said.iter().any(|one| one.changed.is_some()).then_some(())
    });
    let folder = exporter.kill();
    drop(account);

    let exporter = Exporter::start_in(folder, &text, STATE);
    let metrics = exporter.wait_for_metrics("the account is known to be away", |metrics| {
        metrics.sample("certvigil_source_up", &[r#"source="sslmate""#]) == Some(0.0)
    });
    assert_eq!(
        metrics.sample("certvigil_certificate_info", &[r#"instance_id="2""#]),
        Some(1.0)
    );
    // The previous certificate is remembered, with the time since which it is not expected: the
    // grace period still applies.
    exporter.wait_for_metrics("it is judged by what was expected last", |metrics| {
        local(metrics, finding, &previous).is_some()
    });
    server.serve(config(&pki, &new));
    exporter.wait_for_metrics("the new one is right", |metrics| {
        local(metrics, "certvigil_endpoint_correct", &[]) == Some(1.0)
    });
    let metrics = exporter.wait_for_metrics("what is expected is known to be old", |metrics| {
        local(
            metrics,
            finding,
            &[r#"code="source_stale""#, r#"severity="warning""#],
        )
        .is_some()
    });
    assert!(
        metrics
            .sample(
                "certvigil_source_last_success_timestamp_seconds",
                &[r#"source="sslmate""#]
            )
            .is_some()
    );
    let failed = [r#"source="sslmate""#, r#"code="error""#];
    assert!(
        metrics
            .sample("certvigil_source_requests_total", &failed)
            .is_some_and(|n| n > 0.0)
    );
}

/// The account no longer shows an instance that is revoked or replaced, so it is fetched by its ID.
#[test]
fn instance_that_the_account_revokes_is_critical_where_it_is_served() {
    let (pki, server, account, entry) = one_instance();
    let text = inventory(&pki, SHORT_INTERVAL, &account.settings("200ms"), &[entry]);
    let exporter = Exporter::start(&text, STATE, |folder| account.write_key(folder));
    exporter.wait_until_ready();
    let finding = |metrics: &Answer, code: &str, severity: &str| {
        let labels = [label("code", code), label("severity", severity)];
        let labels = labels.each_ref().map(String::as_str);
        local(metrics, "certvigil_endpoint_finding", &labels).is_some()
    };
    // The previous instance, within the grace period.
    let second = pki.leaf(&[HOST]);
    account.issue(&pki, HOST, 2, &second);
    exporter.wait_for_metrics("the change is seen", |metrics| {
        finding(metrics, "previous_instance", "warning")
    });
    account.revoke(HOST, false);
    exporter.wait_for_metrics("the previous instance is revoked", |metrics| {
        finding(metrics, "revoked", "critical") && finding(metrics, "previous_instance", "critical")
    });
    // The expected instance. The account then has none.
    server.serve(config(&pki, &second));
    exporter.wait_for_metrics("the expected instance is served", |metrics| {
        !finding(metrics, "revoked", "critical")
    });
    account.revoke(HOST, true);
    let is_known = |metrics: &Answer| {
        let state = [r#"instance_id="2""#, r#"state="revoked""#];
        metrics.sample("certvigil_certificate_info", &state) == Some(1.0)
            && finding(metrics, "revoked", "critical")
    };
    exporter.wait_for_metrics("the expected instance is revoked", is_known);
    let folder = exporter.kill();
    let exporter = Exporter::start_in(folder, &text, STATE);
    exporter.wait_for_metrics("the same after a restart", is_known);
    // It is replaced.
    account.issue(&pki, HOST, 3, &pki.leaf(&[HOST]));
    exporter.wait_for_metrics("it is a previous instance", |metrics| {
        finding(metrics, "revoked", "critical") && finding(metrics, "previous_instance", "critical")
    });
}

#[test]
fn entry_restored_by_a_reload_keeps_its_last_result() {
    let (pki, _server, account, entry) = one_instance();
    let settings = account.settings("1s");
    let whole = inventory(&pki, SHORT_INTERVAL, &settings, &[entry]);
    let fewer = inventory(&pki, SHORT_INTERVAL, &settings, &[trusting("127.0.0.1")]);
    let exporter = Exporter::start(&whole, STATE, |folder| account.write_key(folder));
    exporter.wait_until_ready();
    drop(account);
    let reload = |exporter: &Exporter, config: &str| {
        exporter.write_config(config);
        let answer = exporter.post("/-/reload", "");
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let is_known = |metrics: &Answer| {
        let instance = [r#"instance_id="1""#];
        metrics.sample("certvigil_certificate_info", &instance) == Some(1.0)
            && local(metrics, "certvigil_endpoint_correct", &[]) == Some(1.0)
            && metrics.sample("certvigil_source_up", &[r#"source="sslmate""#]) == Some(0.0)
    };
    reload(&exporter, &fewer);
    exporter.wait_for_metrics("the entry is gone", |metrics| !is_known(metrics));
    reload(&exporter, &whole);
    exporter.wait_for_metrics("the entry is back", is_known);
    // The same if the monitor restarts in between.
    reload(&exporter, &fewer);
    let folder = exporter.kill();
    let exporter = Exporter::start_in(folder, &fewer, STATE);
    exporter.wait_until_ready();
    reload(&exporter, &whole);
    exporter.wait_for_metrics("the entry is back after a restart", is_known);
}

fn history(folder: &Path, args: &[&str]) -> Run {
    let state = folder.join("state");
    let all = ["history", "--state-dir", state.to_str().unwrap()].into_iter();
    certvigil(all.chain(args.iter().copied()))
}

#[test]
fn history_shows_a_switch_while_the_monitor_runs() {
    let pki = Pki::new();
    let (old, new) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &old);
    let text = inventory(
        &pki,
        SHORT_INTERVAL,
        "",
        &[entry(&pki, "web", &new, server.port())],
    );
    let exporter = Exporter::start(&text, STATE, |_| {});
    exporter.wait_until_ready();
    server.serve(config(&pki, &new));
    let labels = [r#"certificate="web""#];
    exporter.wait_for_metrics("the switch is seen", |metrics| {
        metrics.sample("certvigil_endpoint_correct", &labels) == Some(1.0)
    });
    let both = [&old, &new].map(|leaf| leaf.certificate.sha256().to_string());
    let json = wait_until("the switch is kept", || {
        let run = history(exporter.folder.path(), &["web", "--format", "json"]);
        let has_both = both
            .iter()
            .all(|sha256| run.stdout.contains(sha256.as_str()));
        (run.code == 0 && has_both).then_some(run)
    });
    assert!(json.json().is_object());
    let human = history(exporter.folder.path(), &[]);
    assert_eq!(human.code, 0, "{human:?}");
    for part in [HOST, "127.0.0.1", &both[0][..8], &both[1][..8]] {
        assert!(human.stdout.contains(part), "{part}: {}", human.stdout);
    }
    // It is still there after shutdown.
    let folder = exporter.kill();
    assert_eq!(history(folder.path(), &[]).stdout, human.stdout);
}

#[test]
fn unusable_state_is_reported_at_the_start() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certvigil.yml");
    std::fs::write(
        &file,
        inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]),
    )
    .unwrap();
    let state = folder.path().join("state");
    let serve = || {
        let (file, state) = (file.to_str().unwrap(), state.to_str().unwrap());
        certvigil([
            "serve",
            "--config",
            file,
            "--state-dir",
            state,
            "--web.listen-address=127.0.0.1:0",
        ])
    };
    let assert_error = |run: &Run, words: &str| {
        assert_eq!(run.code, 3, "{run:?}");
        assert!(
            run.stderr.starts_with("error: ") && run.stderr.contains(words),
            "{run:?}"
        );
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    };
    std::fs::create_dir(&state).unwrap();
    let database = state.join(certvigil::store::FILE_NAME);
    let garbage = "no database at all ".repeat(1000);
    std::fs::write(&database, &garbage).unwrap();
    assert_error(&serve(), database.to_str().unwrap());
    // A file that is not certvigil's is unchanged.
    assert_eq!(std::fs::read_to_string(&database).unwrap(), garbage);
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "a file").unwrap();
    assert_error(&serve(), "state is not a directory");
}

#[test]
fn shutdown_does_not_wait_for_a_locked_database() {
    /// Each record waits for ten seconds: all of them take longer than the test.
    const NOTES: f64 = 12.0;
    /// Entries with one endpoint each.
    const ENTRIES: usize = 6;
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let entries: Vec<String> = (1..=ENTRIES)
        .map(|n| entry(&pki, &format!("web{n}"), &leaf, server.port()))
        .collect();
    let text = inventory(&pki, SHORT_INTERVAL, "", &entries);
    let mut exporter = Exporter::start(&text, STATE, |_| {});
    exporter.wait_until_ready();
    wait_until("the first results are kept", || {
        let kept = history(exporter.folder.path(), &["web1"]);
        (kept.code == 0).then_some(())
    });
    let looks = |metrics: &Answer| metrics.sample("certvigil_probes_total", &[STATUS]);
    const STATUS: &str = r#"status="conclusive""#;
    let file = exporter.path("state").join(certvigil::store::FILE_NAME);
    let holder = rusqlite::Connection::open(file).unwrap();
    // A writer of the monitor may have the lock first.
    wait_until("the database is held", || {
        holder.execute_batch("BEGIN IMMEDIATE").ok()
    });
    let before = looks(&exporter.get("/metrics")).unwrap();
    exporter.wait_for_metrics("there is much to write", |metrics| {
        looks(metrics).is_some_and(|now| now >= before + NOTES)
    });
    exporter.signal("TERM");
    assert_eq!(exporter.ended().code(), Some(0), "{}", exporter.log());
    let log = exporter.log();
    assert!(log.contains("notes are given up"), "{log}");
    drop(holder);
    // Everything that was written before is intact.
    let kept = history(exporter.folder.path(), &["web1"]);
    assert_eq!(kept.code, 0, "{kept:?}");
}

#[test]
fn a_second_monitor_of_one_state_folder_is_refused() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let text = inventory(
        &pki,
        SHORT_INTERVAL,
        "",
        &[entry(&pki, "web", &leaf, server.port())],
    );
    let exporter = Exporter::start(&text, STATE, |_| {});
    exporter.wait_until_ready();
    let second = || {
        let (file, state) = (exporter.path("certvigil.yml"), exporter.path("state"));
        certvigil([
            "serve",
            "--config",
            file.to_str().unwrap(),
            "--state-dir",
            state.to_str().unwrap(),
            "--web.listen-address=127.0.0.1:0",
        ])
    };
    let run = second();
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.stderr
            .contains("another certvigil monitor uses this state directory; stop that monitor"),
        "{run:?}"
    );
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    wait_until("the history is readable", || {
        let run = history(exporter.folder.path(), &["web"]);
        (run.code == 0).then_some(())
    });
    // A killed monitor leaves no lock.
    let folder = exporter.kill();
    let exporter = Exporter::start_in(folder, &text, STATE);
    exporter.wait_until_ready();
}
