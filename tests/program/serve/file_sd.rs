//! `file_sd`: files of targets that are read again when they change.

use super::*;

fn source_up(exporter: &Exporter, file: &str) -> Option<f64> {
    let source = label("source", &format!("file_sd: {file}"));
    exporter
        .get("/metrics")
        .sample("certvigil_source_up", &[&source])
}

fn trusted(exporter: &Exporter, port: u16, team: &str) -> Option<f64> {
    let labels = [label("port", &port.to_string()), label("team", team)];
    let labels = labels.each_ref().map(String::as_str);
    exporter
        .get("/metrics")
        .sample("certvigil_endpoint_trusted", &labels)
}

#[test]
fn changed_targets_are_probed_without_a_reload() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["127.0.0.1"]);
    let (first, second) = (server(&pki, &leaf), server(&pki, &leaf));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let write = |text: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    let group = |port: u16, team: &str| {
        format!(
            r#"{{"targets": ["127.0.0.1:{port}"], "labels": {{"team": "{team}", "__param_module": "smtp"}}}}"#
        )
    };
    write(&format!("[{}]", group(first.port(), "a")));
    let root = pki.path("root.pem");
    let config = format!(
        "defaults: {{{LONG_INTERVAL}}}\ntrust: {{system: false, ca_files: [{}]}}\nfile_sd: {}/*.json\n",
        root.display(),
        folder.path().display()
    );
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let name = file.display().to_string();
    assert_eq!(trusted(&exporter, first.port(), "a"), Some(1.0));
    assert_eq!(source_up(&exporter, &name), Some(1.0));
    assert!(
        exporter
            .log()
            .contains("the label `__param_module` is ignored")
    );

    write(&format!(
        "[{}, {}]",
        group(first.port(), "b"),
        group(second.port(), "b")
    ));
    wait_until("the new target", || {
        trusted(&exporter, second.port(), "b").filter(|trusted| *trusted == 1.0)
    });
    wait_until("the new label", || trusted(&exporter, first.port(), "b"));

    // A broken file keeps the targets, and is reported.
    write("[{");
    wait_until("the report", || {
        (source_up(&exporter, &name) == Some(0.0)).then_some(())
    });
    assert_eq!(trusted(&exporter, second.port(), "b"), Some(1.0));
    let log = exporter.log();
    assert!(log.contains("the last good ones stay in use"), "{log}");

    write(&format!("[{}]", group(second.port(), "b")));
    wait_until("the end of the first target", || {
        let is_gone = trusted(&exporter, first.port(), "b").is_none();
        (is_gone && source_up(&exporter, &name) == Some(1.0)).then_some(())
    });
    assert_eq!(trusted(&exporter, second.port(), "b"), Some(1.0));

    // No file is left.
    std::fs::remove_file(&file).unwrap();
    wait_until("the end of the second target", || {
        trusted(&exporter, second.port(), "b")
            .is_none()
            .then_some(())
    });
}

#[test]
fn reload_keeps_the_targets_of_a_broken_file() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["127.0.0.1"]);
    let server = server(&pki, &leaf);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.yml");
    let port = server.port();
    std::fs::write(
        &file,
        format!("- targets: ['127.0.0.1:{port}']\n  labels: {{team: a}}\n"),
    )
    .unwrap();
    let root = pki.path("root.pem");
    let config = format!(
        "defaults: {{{LONG_INTERVAL}}}\ntrust: {{system: false, ca_files: [{}]}}\nfile_sd: {}\n",
        root.display(),
        file.display()
    );
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    assert_eq!(trusted(&exporter, port, "a"), Some(1.0));
    let name = file.display().to_string();
    assert_eq!(source_up(&exporter, &name), Some(0.0));
}
