//! The command line: an error is one line on stderr that says what to do, stdout is empty, and the
//! exit code is 3.

use crate::support::assert_one_line;
use crate::support::{Refusing, Run, certvigil, command};
use certvigil::model::Timestamp;
use certvigil::testbed::authority::{Key, Validity, self_signed};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

/// Runs `check` with these arguments and expects one line of error that contains all of `says`.
fn assert_refused(args: impl IntoIterator<Item = impl AsRef<OsStr>>, says: &[&str]) {
    let args: Vec<_> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
    let run = certvigil(
        [OsStr::new("check")]
            .into_iter()
            .chain(args.iter().map(AsRef::as_ref)),
    );
    assert_one_line(&run, says, &args);
    assert_eq!(run.code, 3, "{args:?}: {run:?}");
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn command_line_error_is_one_line() {
    for (args, says) in [
        ("", &["no target", "give a TARGET", "--sslmate"][..]),
        (
            "--timout 3s a.example",
            &["'--timout'", "'--timeout'", "--help"],
        ),
        ("--cert", &["'--cert <FILE>'", "a value is required"]),
        ("a.example --every 1s", &["--wait <DURATION>"]),
        ("a.example -4 -6", &["'-4'", "'-6'", "cannot be used with"]),
        (
            "a.example --config x --cert y",
            &["'--config <FILE>'", "'--cert <FILE>'"],
        ),
        (
            "a.example --cert y --sslmate x",
            &["'--cert <FILE>'", "'--sslmate <CN>'"],
        ),
        (
            "a.example --format xml",
            &["'xml'", "possible values: human, json"],
        ),
        (
            "a.example --fail-on x",
            &["possible values: warning, critical, never"],
        ),
    ] {
        assert_refused(words(args), says);
    }
    let run = certvigil(["chek"]);
    assert_one_line(&run, &["'chek'", "'check'"], &"chek");
    assert_eq!(run.code, 3);
}

#[test]
fn invalid_flag_value_error_names_the_valid_form() {
    let short = "a".repeat(63);
    let sha1 = "ab".repeat(20);
    for (args, says) in [
        (
            "--resolve a:1",
            &[
                "`a:1`",
                "HOST:PORT:ADDR[,ADDR]",
                "such as example.com:443:192.0.2.1",
            ][..],
        ),
        ("--resolve a:1:b", &["`b` is not an IP address", "such as"]),
        (
            "--resolve a:0:192.0.2.1",
            &["`0` is not a port", "1 to 65535"],
        ),
        ("--dns ns.example", &["`ns.example`", "write an IP address"]),
        ("--dns 192.0.2.1:0", &["write an IP address"]),
        (
            "--at yesterday",
            &["`yesterday`", "write it as 2026-11-24T12:00:00Z"],
        ),
        ("--warn soon", &["`soon`", "25%,30d"]),
        ("--crit 101%", &["0% to 100%"]),
        (
            "--warn 3d",
            &[
                "`crit` (10%,7d) is longer than `warn` (3d)",
                "shorten `crit`",
            ],
        ),
        ("--timeout 0s", &["greater than zero", "write it as 10s"]),
        ("--timeout soon", &["write it as 10s"]),
        ("--wait soon", &["write it as 10s"]),
        ("--wait 1m --every 0s", &["greater than zero"]),
        ("--concurrency 0", &["not a positive whole number"]),
        ("--per-address -1", &["'-1'"]),
        ("--per-address many", &["not a positive whole number"]),
        (
            "--vantage nowhere",
            &["unknown vantage `nowhere`", "`vantages`", "local"],
        ),
        ("--vantage sslmate", &["--sslmate CN"]),
        (
            "--vantage local,",
            &["comma-separated list such as local,sslmate"],
        ),
        (
            "--download current.pem",
            &["'current.pem'", "write it as https://"],
        ),
        (
            "--pubkey-hash zz",
            &["contains 'z'", "64 hexadecimal digits"],
        ),
        (
            "--sslmate a.example",
            &["no SSLMate API key", "SSLMATE_API_KEY", "api_key_file"],
        ),
    ] {
        assert_refused(words(args).into_iter().chain(["a.example"]), says);
    }
    let says = ["63 hexadecimal digits", "write the SHA-256 as 64"];
    assert_refused(["--fingerprint", &short, "a.example"], &says);
    let says = ["40 hexadecimal digits", "the length of a SHA-1"];
    assert_refused(["--fingerprint", &sha1, "a.example"], &says);
}

#[test]
fn invalid_target_error_names_the_valid_form() {
    for (target, says) in [
        ("a.example:0", "write 1 to 65535"),
        ("a.example:https", "write 1 to 65535"),
        ("gopher://a.example", "supported: https"),
        (
            "a.example/path",
            "write host, host:port, [IPv6]:port or a URL",
        ),
        (
            "2001:db8::1:x:443",
            "write an IPv6 address with a port as [address]:port",
        ),
        ("*.a.example", "give a host that it matches"),
        ("https://user:secret@a.example", "remove it"),
        ("", "the host name is empty"),
    ] {
        assert_refused([target], &[says]);
    }
}

#[test]
fn error_suggests_similar_names_and_targets() {
    for (args, says) in [
        ("smtp//mail.example", "did you mean `smtp://mail.example`?"),
        ("a.example:imap", "did you mean `imap://a.example`?"),
        ("htps://a.example", "did you mean `https://a.example`?"),
        ("http://a.example", "did you mean `https://a.example`?"),
        ("a.example/path", "did you mean `a.example`?"),
        ("a.example --starttls impa", "did you mean `imap`?"),
        (
            "a.example --starttls imaps",
            "write imaps://host as the target",
        ),
        ("a.example --format jsn", "'json'"),
        ("a.example --vantage lcoal", "did you mean `local`?"),
        ("a.example --fail-on crit", "'critical'"),
    ] {
        assert_refused(words(args), &[says]);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yml");
    let text =
        "certificates:\n  - {name: partner, trust: true, hostnames: [api.partner.example]}\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    for (name, says) in [
        ("partnr", "did you mean `partner`"),
        ("api.partner.exmaple", "did you mean `api.partner.example`"),
        ("qqq", "one of its certificate names or hosts"),
    ] {
        assert_refused(["-c", path, name], &["is not in the inventory", says]);
    }
}

#[test]
fn error_output_contains_no_escape_sequences() {
    for args in [
        ["--cert", "\x1b[2Jx.pem"],
        ["--at", "\x1b[2J"],
        ["--vantage", "\x1b[2J"],
    ] {
        let run = certvigil(["check", "a.example"].iter().chain(&args));
        assert!(!run.stderr.contains('\x1b'), "{args:?}: {run:?}");
    }
}

/// Files that have no certificate to read, each with a part of the error.
fn bad_files(folder: &Path) -> Vec<(std::path::PathBuf, &'static str)> {
    let key = Key::generate().unwrap();
    let now = Timestamp(1_800_000_000);
    let issued = self_signed(&["a.example".into()], Validity::around(now, 1, 1), &key).unwrap();
    let csr = rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap();
    let csr = csr
        .serialize_request(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    let csr = csr.pem().unwrap();
    let mut half = csr.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    half.truncate(half.len() / 2);
    let files = [
        ("empty.pem", Vec::new(), "the file is empty"),
        (
            "text.pem",
            b"hello\n".to_vec(),
            "no `-----BEGIN CERTIFICATE-----`",
        ),
        (
            "joined.der",
            [issued.certificate.der(), b"hello"].concat(),
            "5 bytes after its last certificate",
        ),
        ("key.pem", key.to_pem().into_bytes(), "only a private key"),
        (
            "csr.pem",
            csr.into_bytes(),
            "only a certificate signing request",
        ),
        (
            "half.pem",
            half.into_bytes(),
            "line 1: the line `-----END CERTIFICATE-----` is missing",
        ),
    ];
    let mut all = Vec::new();
    for (name, bytes, says) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        all.push((path, says));
    }
    all.push((folder.join("missing.pem"), "No such file"));
    all.push((folder.to_owned(), "directory"));
    all
}

#[test]
fn error_names_the_content_of_a_file_without_certificate() {
    let folder = tempfile::tempdir().unwrap();
    for (file, says) in bad_files(folder.path()) {
        let path = file.to_str().unwrap();
        let advice = "give a file with the certificate, followed by its chain";
        assert_refused(["--cert", path], &[path, says, advice]);
        assert_refused(["--cert", path, "a.example"], &[path, says, advice]);
        assert_refused(
            ["--ca-file", path, "a.example"],
            &[path, "roots cannot be used", says],
        );
    }
}

#[test]
fn wildcard_only_certificate_requires_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wildcard.pem");
    let validity = Validity::around(Timestamp(1_800_000_000), 1, 1);
    let issued = self_signed(&["*.a.example".into()], validity, &Key::generate().unwrap()).unwrap();
    std::fs::write(&file, pem(issued.certificate.der())).unwrap();
    let says = [
        "*.a.example",
        "wildcards are not hosts",
        "name the hosts to probe",
    ];
    assert_refused(["--cert".as_ref(), file.as_os_str()], &says);
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[test]
fn fail_on_never_always_exits_with_0() {
    let refusing = Refusing::new();
    let place = refusing.place();
    for (args, writes) in [
        (vec![place.as_str()], true),
        (vec!["--cert", "missing.pem"], false),
        (vec!["--fingerprint", "ab", "a.example"], false),
        (vec!["--no-such-flag"], false),
    ] {
        for never in [&["--fail-on", "never"][..], &["--fail-on=never"]] {
            let run = certvigil(["check"].iter().chain(&args).chain(never));
            assert_eq!(run.code, 0, "{args:?}: {run:?}");
            assert_eq!(run.stdout.is_empty(), !writes, "{args:?}: {run:?}");
            assert_eq!(run.stderr.is_empty(), writes, "{args:?}: {run:?}");
        }
        let run = certvigil(["check", "--fail-on", "critical"].iter().chain(&args));
        assert_eq!(run.code, 3, "unknown is no warning: {args:?}: {run:?}");
    }
}

#[test]
fn output_file_is_replaced_as_a_whole() {
    let refusing = Refusing::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("result.json");
    let path = file.to_str().unwrap();
    let run = certvigil([
        "check",
        "--format",
        "json",
        "--output",
        path,
        &refusing.place(),
    ]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    let first = std::fs::read_to_string(&file).unwrap();
    crate::schema::assert_valid(&serde_json::from_str(&first).unwrap());

    // A run that fails with an error keeps the old result.
    assert_refused(
        ["--cert", "missing.pem", "--output", path],
        &["missing.pem"],
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
    // A later run replaces it and leaves no temporary file.
    certvigil(["check", "--output", path, &refusing.place()]);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn unwritable_output_file_is_reported_before_probing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let missing = format!("{path}/missing/result");
    // If a source were read first, the error would name the source that cannot be read.
    let says = [&*missing, "does not exist", "create it"];
    assert_refused(["--cert", "missing.pem", "--output", &missing], &says);
    assert!(!folder.path().join("missing").exists());
    let says = [path, "it is a directory", "give the path of a file"];
    assert_refused(["--cert", "missing.pem", "--output", path], &says);
}

#[cfg(unix)]
#[test]
fn output_to_a_link_or_pipe_does_not_replace_it() {
    use std::os::unix::fs::FileTypeExt as _;
    let refusing = Refusing::new();
    let folder = tempfile::tempdir().unwrap();

    // A symbolic link is kept, and its target is written.
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    std::fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let path = link.to_str().unwrap();
    certvigil(["check", "--output", path, &refusing.place()]);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(
        std::fs::read_to_string(&target)
            .unwrap()
            .contains("connect_refused")
    );

    // A pipe or a device is written to directly.
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    let path = pipe.to_str().unwrap();
    let run = certvigil(["check", "--output", path, &refusing.place()]);
    assert_eq!((run.code, run.stderr.as_str()), (3, ""), "{run:?}");
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(reader.join().unwrap().contains("connect_refused"));
}

#[test]
fn closed_stdout_is_not_an_error() {
    let refusing = Refusing::new();
    let place = refusing.place();
    for args in [
        vec!["check", "--format", "json", &place],
        vec!["inspect", &place],
        vec!["completions", "bash"],
        vec!["--help"],
        vec!["check", "--help"],
    ] {
        let mut child = command()
            .args(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut told = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        let code = child.wait().unwrap().code();
        let looks = args.contains(&place.as_str());
        let expected = if looks { 3 } else { 0 };
        assert_eq!((code, told.as_str()), (Some(expected), ""), "{args:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for args in [
        &["--help"][..],
        &["check", "-h"],
        &["help", "check"],
        &["--version"],
    ] {
        let run = certvigil(args);
        assert_eq!(
            (run.code, run.stderr.as_str()),
            (0, ""),
            "{args:?}: {run:?}"
        );
        assert!(!run.stdout.is_empty(), "{args:?}");
        assert!(!run.stdout.contains('\x1b'), "{args:?}");
    }
    let run = certvigil::<&str>([]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    assert!(run.stderr.contains("Usage: certvigil"), "{run:?}");
}

#[test]
fn output_without_a_terminal_has_no_colours() {
    let refusing = Refusing::new();
    let run = certvigil(["check", "-vv", &refusing.place()]);
    assert!(run.stdout.contains("UNKNOWN"), "{run:?}");
    assert!(
        !run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'),
        "{run:?}"
    );
}

#[test]
fn table_fits_the_terminal_width() {
    let refusing = Refusing::new();
    for width in [60, 80, 200] {
        let output = command()
            .args(["check", &refusing.place()])
            .env("COLUMNS", width.to_string())
            .output()
            .unwrap();
        let run = Run::from(output);
        let widest = run.stdout.lines().map(str::len).max().unwrap();
        assert!(widest <= width, "{width}: {run:?}");
    }
}
