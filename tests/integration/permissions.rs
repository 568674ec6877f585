//! Files that may not be read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::run;
use crate::support::{Run, command};

/// The program as somebody whom permissions bind: root may read everything.
fn as_nobody(folder: &Path, args: &[&str]) -> Run {
    let program = command();
    let is_root = run(Command::new("id").arg("-u")).trim() == "0";
    let mut bound = match is_root {
        true => Command::new("setpriv"),
        false => Command::new("env"),
    };
    if is_root {
        bound.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--no-new-privs",
            "--",
        ]);
    }
    bound
        .arg(program.get_program())
        .args(args)
        .current_dir(folder);
    bound.env("HOME", folder).env_remove("SSLMATE_API_KEY");
    bound.output().unwrap().into()
}

#[test]
fn a_file_that_may_not_be_read_is_told_with_its_name() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let put = |name: &str, text: &str, mode: u32| {
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
    };
    let chain = fs::read_to_string(pki.full_chain(&leaf)).unwrap();
    put("chain.pem", &chain, 0o644);
    put("closed", "k", 0);
    put("closed.pem", &chain, 0);
    put("closed.yml", "", 0);
    let entry = |more: &str| {
        format!(
            "certificates: [{{name: a, trust: true, hostnames: a.example, addresses: 127.0.0.99{more}}}]\n"
        )
    };
    put(
        "key.yml",
        &format!("sslmate: {{api_key_file: closed}}\n{}", entry("")),
        0o644,
    );
    put(
        "webhook.yml",
        &format!("webhook: {{secret_file: closed}}\n{}", entry("")),
        0o644,
    );
    put(
        "client.yml",
        &entry(", client_cert: chain.pem, client_key: closed"),
        0o644,
    );
    put(
        "roots.yml",
        &format!(
            "trust: {{system: false, ca_files: [closed.pem]}}\n{}",
            entry("")
        ),
        0o644,
    );
    put("good.yml", &entry(""), 0o644);
    put(
        "web.yml",
        "tls_server_config: {cert_file: chain.pem, key_file: closed}\n",
        0o644,
    );
    for (args, file) in [
        (
            &["check", "-c", "closed.yml"][..],
            "closed.yml: the configuration cannot be read",
        ),
        (
            &["check", "-c", "key.yml", "--sslmate", "a.example"],
            "closed: the secret cannot be read",
        ),
        (&["check", "-c", "client.yml"], "closed: it cannot be read"),
        (
            &["check", "-c", "roots.yml"],
            "closed.pem: the roots cannot be used: it cannot be read",
        ),
        (
            &["check", "a.example", "--cert", "closed.pem"],
            "closed.pem: it cannot be read",
        ),
        (
            &["chain", "--cert", "closed.pem"],
            "closed.pem: it cannot be read",
        ),
        (
            &["serve", "--config", "webhook.yml"],
            "closed: the secret cannot be read",
        ),
        (
            &[
                "serve",
                "--config",
                "good.yml",
                "--web.config.file",
                "web.yml",
            ],
            "closed: it cannot be read",
        ),
        (
            &[
                "serve",
                "--config",
                "good.yml",
                "--state-dir",
                "/proc/certvigil",
            ],
            "/proc/certvigil",
        ),
    ] {
        let run = as_nobody(folder, args);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (3, ""),
            "{args:?}: {run:?}"
        );
        assert_eq!(run.stderr.lines().count(), 1, "{args:?}: {}", run.stderr);
        assert!(
            run.stderr.starts_with("error: ") && run.stderr.contains(file),
            "{args:?}: {}",
            run.stderr
        );
        if !file.starts_with('/') {
            assert!(
                run.stderr.contains("Permission denied"),
                "{args:?}: {}",
                run.stderr
            );
        }
    }
}
