//! The system's resolver files, changed while the monitor runs.

use crate::common::monitor::{SHORT_INTERVAL, expecting, inventory, label, probed, server};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::wait_until;
use std::fs;
use std::process::Command;

/// A monitor on a machine whose `/etc/resolv.conf` and `/etc/hosts` are the test's own files.
fn with_system_files(config: &str, resolv_conf: &str, hosts: &str) -> Exporter {
    const MOUNT: &str = "mount --bind resolv.conf /etc/resolv.conf
        mount --bind hosts /etc/hosts
        exec \"$@\"";
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("certvigil.yml"), config).unwrap();
    fs::write(file("resolv.conf"), resolv_conf).unwrap();
    fs::write(file("hosts"), hosts).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-ec", MOUNT, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_certvigil"));
    command.args(["serve", "--config", "certvigil.yml"]);
    Exporter::start_by(folder, &mut command)
}

#[test]
#[ignore = "needs util-linux"]
fn changed_resolv_conf_and_hosts_files_are_reread() {
    /// An address at which no name server listens.
    const NO_NAME_SERVER: &str = "nameserver 127.255.255.254\n";
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let place = format!("hostnames: {HOST}, port: {}", server.port());
    let entry = expecting(&pki, "web", &leaf, &place);
    let config = inventory(&pki, SHORT_INTERVAL, "", &[entry]);
    let exporter = with_system_files(&config, "# no name server yet\n", "127.0.0.1 localhost\n");
    let error = |kind: &str| {
        let labels = [label("error_kind", kind)];
        exporter.wait_for_metrics(kind, |metrics| {
            metrics.sample("certvigil_endpoint_error", &[&labels[0]]) == Some(1.0)
        });
    };
    error("internal");
    // Written in place: a bind mount follows the inode.
    fs::write(exporter.path("resolv.conf"), NO_NAME_SERVER).unwrap();
    error("dns_timeout");
    fs::write(exporter.path("hosts"), format!("127.0.0.1 {HOST}\n")).unwrap();
    exporter.wait_for_metrics("the address of the hosts file", |metrics| {
        metrics.sample("certvigil_endpoint_correct", &[r#"ip="127.0.0.1""#]) == Some(1.0)
    });
    let log = exporter.log();
    assert!(
        log.contains("system file read again: file=/etc/hosts"),
        "{log}"
    );
    // A file that is truncated before it is written again does not stop the lookups.
    fs::write(exporter.path("hosts"), "127.0.0.1 localhost\n").unwrap();
    error("dns_timeout");
    fs::write(exporter.path("resolv.conf"), "").unwrap();
    wait_until("the empty file is logged", || {
        let line = "system file unusable, its last content stays in use";
        exporter.log().contains(line).then_some(())
    });
    error("dns_timeout");
    assert_eq!(probed(&exporter.get("/metrics")), ["", "127.0.0.1"]);
}
