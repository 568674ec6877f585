//! Files without read permission.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::run;
use crate::markdown::document;
use crate::support::{Run, command};

/// Runs the program as a user whom permissions restrict: root may read everything.
fn unprivileged(folder: &Path, args: &[&str]) -> Run {
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

/// The lines of the block of `docs/installing.md` that contains `has`, with these folders instead
/// of those of `/etc`.
fn commands_of_installing(has: &str, folder: &Path) -> String {
    let page = document("docs/installing.md");
    let blocks = page.blocks();
    let block = blocks
        .iter()
        .find(|b| b.lines.iter().any(|l| l.contains(has)));
    let text = block.expect(has).lines.join("\n");
    text.replace("/etc/", &format!("{}/", folder.display()))
}

/// certbot restricts its folders. Each of the two ways of the page makes its certificates readable,
/// and no key.
#[test]
fn documented_certbot_steps_make_certificates_readable() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let is_root = run(Command::new("id").arg("-u")).trim() == "0";
    // The test's user owns the folder and could enter it with mode 0700, so mode 0 is used without
    // root.
    let closed = if is_root { 0o700 } else { 0 };
    let parents = ["letsencrypt/live", "letsencrypt/archive"].map(|name| folder.join(name));
    let close = || {
        for parent in &parents {
            fs::set_permissions(parent, Permissions::from_mode(closed)).unwrap();
        }
    };
    // The layout of certbot: files with numbers, and links to the newest.
    for parent in &parents {
        fs::create_dir_all(parent.join("mail")).unwrap();
    }
    let [live, archive] = parents.each_ref().map(|parent| parent.join("mail"));
    for (name, from, mode) in [
        ("fullchain", pki.full_chain(&leaf), 0o644),
        ("privkey", leaf.key.clone(), 0o600),
    ] {
        let file = archive.join(format!("{name}1.pem"));
        fs::copy(from, &file).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let link = live.join(format!("{name}.pem"));
        symlink(format!("../../archive/mail/{name}1.pem"), link).unwrap();
    }
    close();
    let check = |pem: &str| {
        let text = format!(
            "certificates: [{{name: mail, pem: {pem}, hostnames: {HOST}, addresses: 127.0.0.99}}]\n"
        );
        fs::write(folder.join("certvigil.yml"), text).unwrap();
        unprivileged(
            folder,
            &["check", "--config", "certvigil.yml", "--no-system-roots"],
        )
    };
    let is_reported = |run: &Run| {
        let (denied, advice) = (
            "it cannot be read: Permission denied",
            "which certvigil may read",
        );
        run.stderr.contains(denied) && run.stderr.contains(advice)
    };
    let original = "letsencrypt/live/mail/fullchain.pem";
    let run_of = check(original);
    assert!(is_reported(&run_of), "{run_of:?}");

    // First way: open the folders.
    let sh = |text: &str| run(Command::new("sh").args(["-e", "-c", text]));
    let open = commands_of_installing("chmod 755", folder);
    if is_root {
        assert!(sh(&open).contains("-rw------- "), "{open}");
    } else {
        sh(open.lines().last().unwrap());
    }
    let run_of = check(original);
    assert!(!is_reported(&run_of), "{run_of:?}");

    // Second way: copy with the hook.
    let hook = folder.join("letsencrypt/renewal-hooks/deploy/certvigil");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, commands_of_installing("install -D", folder)).unwrap();
    fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
    sh(&commands_of_installing("RENEWED_LINEAGE=", folder));
    close();
    let run_of = check("certvigil/certbot/mail.pem");
    assert!(!is_reported(&run_of), "{run_of:?}");
    let copies = fs::read_dir(folder.join("certvigil/certbot")).unwrap();
    assert_eq!(copies.count(), 1);
    // Allows the removal of the folder.
    sh(open.lines().last().unwrap());
}

#[test]
fn folder_that_cannot_be_listed_is_unknown_and_not_passed_over() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    for name in ["a", "b"] {
        let certs = folder.join("tls").join(name).join("certs");
        fs::create_dir_all(&certs).unwrap();
        fs::copy(pki.full_chain(&leaf), certs.join("web.pem")).unwrap();
    }
    fs::copy(pki.path("root.pem"), folder.join("root.pem")).unwrap();
    let closed = folder.join("tls/b/certs");
    let is_root = run(Command::new("id").arg("-u")).trim() == "0";
    let trust = "trust: {system: false, ca_files: [root.pem]}";
    for entry in [
        r#"trust: true, files: "tls/*/certs/*.pem""#,
        r#"pem_dir: "tls/*/certs/*.pem""#,
    ] {
        let text = format!("{trust}\ncertificates: [{{{entry}}}]\n");
        fs::write(folder.join("certvigil.yml"), text).unwrap();
        // Another user may enter the folder with 0711, and may still not list it.
        for mode in [0o700, 0o711] {
            let mode = if is_root { mode } else { mode & 0o333 };
            fs::set_permissions(&closed, Permissions::from_mode(mode)).unwrap();
            let args = [
                "check",
                "--config",
                "certvigil.yml",
                "--resolve",
                "*:443:127.0.0.99",
            ];
            let run = unprivileged(folder, &args);
            assert_eq!(run.code, 3, "{entry} {mode:o}: {run:?}");
            let all = format!("{}{}", run.stdout, run.stderr);
            assert!(all.contains("tls/b/certs: it cannot be read"), "{run:?}");
        }
    }
    fs::set_permissions(&closed, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn unreadable_file_error_names_the_file() {
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
            "cannot read configuration closed.yml",
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
        let run = unprivileged(folder, args);
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

/// The targets in the folder are unknown, not gone.
#[test]
fn folder_of_targets_that_cannot_be_read_is_no_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let targets = folder.join("targets");
    fs::create_dir(&targets).unwrap();
    fs::write(targets.join("a.json"), "[]").unwrap();
    fs::write(folder.join("certvigil.yml"), "file_sd: targets/*.json\n").unwrap();
    fs::set_permissions(&targets, Permissions::from_mode(0o000)).unwrap();
    let run = unprivileged(folder, &["check", "--config", "certvigil.yml"]);
    fs::set_permissions(&targets, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("targets cannot be read: "), "{run:?}");
}
