//! Deploy hooks of ACME clients: a renewed certificate that the server does not serve yet, and then
//! serves.

use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::tls::{Server, config};
use crate::support::hook;
use crate::support::{Run, shell};
use std::fs;
use std::path::{Path, PathBuf};

/// The variable of each client that names the renewed certificate, and the path that it contains.
/// certbot names the directory.
fn variable(client: &str, folder: &Path) -> (&'static str, PathBuf) {
    match client {
        "certbot" => ("RENEWED_LINEAGE", folder.to_owned()),
        "acme-sh" => ("CERT_FULLCHAIN_PATH", folder.join("fullchain.pem")),
        "lego" => ("LEGO_CERT_PATH", folder.join("fullchain.pem")),
        other => panic!("{other}"),
    }
}

const CLIENTS: [&str; 3] = ["certbot", "acme-sh", "lego"];

/// Runs a hook as its client does. The settings are a file, as where a timer starts the client.
fn run_hook(client: &str, folder: &Path, settings: &str) -> Run {
    let conf = folder.join("hook.conf");
    fs::write(&conf, settings).unwrap();
    let (name, path) = variable(client, folder);
    let mut shell = shell();
    shell
        .arg(hook(client))
        .env(name, path)
        .env("CERTVIGIL_HOOK_CONF", conf)
        .current_dir(folder);
    shell.output().unwrap().into()
}

#[test]
fn hooks_report_the_previous_certificate_until_the_server_reloads() {
    let pki = Pki::new();
    let (old, new): (Leaf, Leaf) = (pki.older_leaf(&[HOST]), pki.leaf(&[HOST]));
    for client in CLIENTS {
        let folder = tempfile::tempdir().unwrap();
        let renewed = folder.path().join("fullchain.pem");
        fs::copy(pki.full_chain(&new), renewed).unwrap();
        let server = Server::tls("127.0.0.1", config(&pki, &old));
        let target = format!("{HOST}:{}", server.port());
        let settings = format!(
            "CERTVIGIL_TARGETS={target}\nCERTVIGIL_WAIT=1ms\n\
             CERTVIGIL_ARGS='--no-system-roots --ca-file {} --resolve {target}:127.0.0.1'\n\
             CERTVIGIL_RELOAD='touch reloaded; false'\n",
            pki.path("root.pem").display()
        );
        let run = run_hook(client, folder.path(), &settings);
        assert_eq!(run.code, 2, "{client}: {run:?}");
        assert!(
            run.stdout.contains("previous_instance"),
            "{client}: {run:?}"
        );
        assert!(folder.path().join("reloaded").exists(), "{client}: {run:?}");
        let told = "certvigil hook: the reload failed: touch reloaded; false";
        assert!(run.stderr.contains(told), "{client}: {run:?}");
        server.serve(config(&pki, &new));
        let run = run_hook(client, folder.path(), &settings);
        assert_eq!(run.code, 0, "{client}: {run:?}");
    }
}

#[test]
fn hook_without_its_variable_names_it() {
    for client in CLIENTS {
        let output = shell().arg(hook(client)).output().unwrap();
        let run = Run::from(output);
        let (name, _) = variable(client, Path::new(""));
        assert_ne!(run.code, 0, "{client}: {run:?}");
        assert!(run.stderr.contains(name), "{client}: {run:?}");
    }
}
