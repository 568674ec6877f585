//! `certvigil verify`: files before they are installed, and `file:` targets of `check`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use certvigil::certificate::Certificate;
use serde_json::Value;

use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::run;
use crate::schema;
use crate::support::{Run, command};

/// A folder with a leaf, its chain and the files that tests make of them.
struct Bench {
    pki: Pki,
    leaf: Leaf,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[HOST, "other.example"]);
        Self { pki, leaf }
    }

    /// Returns a PEM file with these certificates.
    fn pem(&self, all: &[&Certificate]) -> PathBuf {
        let pem: String = all.iter().map(|c| c.to_pem()).collect();
        self.pki.file(pem)
    }

    fn fullchain(&self) -> PathBuf {
        self.pem(&[&self.leaf.certificate, &self.pki.intermediate.certificate])
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command
            .arg("verify")
            .args(["--no-system-roots", "--ca-file"])
            .arg(self.pki.path("root.pem"))
            .args(arguments);
        if !arguments.contains(&"--format") {
            command.args(["--format", "json"]);
        }
        command
    }

    fn verify(&self, arguments: &[&str], file: &Path) -> Run {
        let output = self.command(arguments).arg(file).output();
        output.unwrap().into()
    }

    /// Returns the exit code, the codes of the findings, and the row of one file.
    fn judged(&self, arguments: &[&str], file: &Path) -> (i32, Vec<String>, Value) {
        one(self.verify(arguments, file))
    }

    fn openssl(&self, arguments: &[&str]) -> PathBuf {
        let out = self.pki.file("");
        run(Command::new("openssl")
            .args(arguments)
            .arg("-out")
            .arg(&out));
        out
    }
}

fn one(run: Run) -> (i32, Vec<String>, Value) {
    let json = run.json();
    schema::assert_valid(&json);
    let rows = json["result"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{run:?}");
    let findings = rows[0]["findings"].as_array().unwrap();
    let codes = findings
        .iter()
        .map(|f| f["code"].as_str().unwrap().to_owned());
    (run.code, codes.collect(), rows[0].clone())
}

#[test]
fn a_complete_file_is_ok_and_its_row_names_the_path() {
    let bench = Bench::new();
    let file = bench.fullchain();
    let key = bench.leaf.key.to_str().unwrap();
    let arguments = [
        "--hostname",
        HOST,
        "--hostname",
        "OTHER.example",
        "--key",
        key,
    ];
    let (code, codes, row) = bench.judged(&arguments, &file);
    assert_eq!((code, codes), (0, vec![]));
    assert_eq!(row["hostname"], file.to_str().unwrap());
    assert_eq!(row["ip_address"], Value::Null);
    assert_eq!(row["port"], Value::Null);
    assert_eq!(row["protocol"], "file");
    assert_eq!(row["served"]["key_proof"], "file");
    assert_eq!(row["served"]["tls_version"], Value::Null);
    for property in ["correct", "chained", "trusted", "hostname_match"] {
        assert_eq!(row[property], true, "{property}");
    }
    for client in ["openssl", "gnutls", "go", "java", "chromium", "rustls"] {
        assert_eq!(row["clients"][client]["accepts"], true, "{client}");
    }
}

#[test]
fn without_names_the_name_is_not_judged() {
    let bench = Bench::new();
    let (code, codes, row) = bench.judged(&[], &bench.fullchain());
    assert_eq!((code, codes), (0, vec![]));
    assert_eq!(row["hostname_match"], Value::Null);
    assert_eq!(row["trusted"], true);
    assert_eq!(row["clients"]["go"]["accepts"], true);
}

#[test]
fn every_name_must_match() {
    let bench = Bench::new();
    let names = [
        "--hostname",
        HOST,
        "--hostname",
        "a.example",
        "--hostname",
        "192.0.2.1",
    ];
    let (code, codes, row) = bench.judged(&names, &bench.fullchain());
    assert_eq!(
        (code, codes.join(" ").as_str()),
        (2, "hostname_mismatch hostname_mismatch")
    );
    assert_eq!(row["hostname_match"], false);
    assert_eq!(row["trusted"], false);
    assert_eq!(row["clients"]["openssl"]["accepts"], false);
}

#[test]
fn silent_pipe_is_an_error_after_the_timeout() {
    let bench = Bench::new();
    for flag in ["--key", "--cert-password-file", "--cert"] {
        let pipe = bench.pki.path(flag);
        run(Command::new("mkfifo").arg(&pipe));
        let mut command = command();
        command
            .args(["verify", "--timeout", "200ms", flag])
            .arg(&pipe);
        let run: Run = command.arg(bench.fullchain()).output().unwrap().into();
        assert_eq!(run.code, 3, "{flag}: {run:?}");
        let says = "the pipe or device did not end within 0.2 s";
        assert!(run.stderr.contains(says), "{flag}: {run:?}");
    }
}

#[test]
fn a_gap_a_wrong_order_and_an_unknown_root_are_found() {
    let bench = Bench::new();
    let (leaf, intermediate) = (&bench.leaf.certificate, &bench.pki.intermediate.certificate);
    let root = &bench.pki.root.certificate;
    for (certificates, wanted) in [
        (vec![leaf], "2 missing_intermediate"),
        (vec![intermediate, leaf], "1 chain_out_of_order"),
        (
            vec![root, intermediate, leaf],
            "1 chain_out_of_order root_included",
        ),
        (
            vec![leaf, root, intermediate],
            "1 chain_out_of_order root_included",
        ),
        (vec![leaf, intermediate, leaf], "0 duplicate_certificate"),
    ] {
        let (code, codes, _) = bench.judged(&["--hostname", HOST], &bench.pem(&certificates));
        assert_eq!(format!("{code} {}", codes.join(" ")), wanted);
    }
    let mut command = command();
    command
        .args(["verify", "--format", "json"])
        .arg(bench.fullchain());
    let (code, codes, _) = one(command.output().unwrap().into());
    assert_eq!((code, codes.join(" ").as_str()), (2, "untrusted_root"));
}

#[test]
fn dates_are_judged_as_of_the_given_time() {
    let bench = Bench::new();
    let file = bench.fullchain();
    let (code, codes, _) = bench.judged(&["--at", "2100-01-01T00:00:00Z"], &file);
    assert_eq!(code, 2);
    assert!(codes.contains(&"expired".to_owned()), "{codes:?}");
    let (code, codes, _) = bench.judged(&["--warn", "80d", "--crit", "1d"], &file);
    assert_eq!((code, codes.join(" ").as_str()), (1, "expiring"));
    let (code, _, _) = bench.judged(&["--warn", "80d", "--fail-on", "critical"], &file);
    assert_eq!(code, 0);
}

#[test]
fn the_expected_certificate_is_compared() {
    let bench = Bench::new();
    let file = bench.fullchain();
    let other = bench.pem(&[&bench.pki.leaf(&[HOST]).certificate]);
    let own = bench.pem(&[&bench.leaf.certificate]);
    let (code, codes, row) = bench.judged(&["--cert", other.to_str().unwrap()], &file);
    assert_eq!(
        (code, row["correct"].as_bool()),
        (2, Some(false)),
        "{codes:?}"
    );
    let (code, codes, row) = bench.judged(&["--cert", own.to_str().unwrap()], &file);
    assert_eq!(
        (code, row["correct"].as_bool()),
        (0, Some(true)),
        "{codes:?}"
    );
    let fingerprint = bench.leaf.certificate.sha256().to_string();
    let (code, _, _) = bench.judged(&["--fingerprint", &fingerprint], &file);
    assert_eq!(code, 0);
    let key = bench
        .leaf
        .certificate
        .public_key_hash()
        .unwrap()
        .to_string();
    assert_eq!(bench.judged(&["--pubkey-hash", &key], &file).0, 0);
    assert_eq!(bench.judged(&["--pubkey-hash", &fingerprint], &file).0, 2);
}

#[test]
fn a_file_that_cannot_be_judged_is_unknown_with_the_reason() {
    let bench = Bench::new();
    let two = bench.pem(&[
        &bench.leaf.certificate,
        &bench.pki.leaf(&["b.example"]).certificate,
    ]);
    for (file, wanted) in [
        (bench.pki.path("none.pem"), "No such file"),
        (bench.pki.path("*.none"), "no file matches"),
        (bench.pki.file(""), "the file is empty"),
        (bench.leaf.key.clone(), "only a private key"),
        (bench.pki.path(""), "Is a directory"),
        (two, "2 certificates that may be the leaf"),
    ] {
        let (code, codes, row) = bench.judged(&[], &file);
        assert_eq!((code, codes), (3, vec![]), "{row}");
        assert_eq!(row["status"], "internal_error");
        assert_eq!(row["severity"], "unknown");
        let error = row["error"].as_str().unwrap();
        assert!(error.contains(wanted), "{error}");
        assert!(
            error.contains("give a file") || error.contains("check the pattern"),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_no_server_reads_is_not_ok() {
    let bench = Bench::new();
    let leaf = bench.leaf.certificate.to_pem();
    let intermediate = bench.pki.intermediate.certificate.to_pem();
    let chain = format!("{leaf}{intermediate}");
    let utf16: Vec<u8> = chain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let key = fs::read_to_string(&bench.leaf.key).unwrap();
    let refused = [
        format!("{}{intermediate}", leaf.trim_end()).into_bytes(),
        chain.replace('\n', "\r").into_bytes(),
        chain.replace("\nM", "\n\nM").into_bytes(),
        utf16,
    ];
    for content in refused {
        let file = bench.pki.file(&content);
        let (code, codes, row) = bench.judged(&[], &file);
        assert_eq!((code, codes.len()), (3, 0), "{row}");
        let message = row["error"].as_str().unwrap();
        assert!(message.contains("servers cannot read"), "{message}");
    }
    for (between, wanted) in [
        (
            intermediate.replace(" CERT", " TRUSTED CERT"),
            "servers skip the block `TRUSTED CERTIFICATE`",
        ),
        (
            "-----BEGIN DH PARAMETERS-----\nM\n-----END DH PARAMETERS-----\n".into(),
            "servers cannot decode the block `DH PARAMETERS`",
        ),
    ] {
        let file = bench.pki.file(format!("{leaf}{between}{intermediate}"));
        let (code, codes, row) = bench.judged(&[], &file);
        assert_eq!((code, codes.len()), (3, 0), "{row}");
        let message = row["error"].as_str().unwrap();
        assert!(message.contains(wanted), "{message}");
    }
    let other_key = fs::read_to_string(bench.pki.leaf(&[HOST]).key).unwrap();
    let two_keys = bench.pki.file(format!("{other_key}{key}"));
    let run = bench.verify(&["--key", two_keys.to_str().unwrap()], &bench.fullchain());
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("2 private keys"), "{run:?}");
}

#[test]
fn a_bad_file_does_not_hide_the_others() {
    let bench = Bench::new();
    let mut command = bench.command(&[]);
    command
        .arg(bench.pki.path("none.pem"))
        .arg(bench.fullchain());
    let run: Run = command.output().unwrap().into();
    assert_eq!(run.code, 3);
    let summary = &run.json()["summary"];
    assert_eq!(
        (summary["ok"].as_u64(), summary["unknown"].as_u64()),
        (Some(1), Some(1))
    );
}

#[test]
fn standard_input_is_a_file() {
    let bench = Bench::new();
    let mut command = bench.command(&["-"]);
    command.stdin(fs::File::open(bench.fullchain()).unwrap());
    let (code, _, row) = one(command.output().unwrap().into());
    assert_eq!((code, row["hostname"].as_str()), (0, Some("-")));

    let mut command = bench.command(&["-"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let bytes = fs::read(bench.fullchain()).unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &bytes).unwrap();
    let (code, codes, _) = one(child.wait_with_output().unwrap().into());
    assert_eq!((code, codes), (0, vec![]));
}

#[test]
fn a_key_of_another_certificate_is_critical() {
    let bench = Bench::new();
    let file = bench.fullchain();
    let other = bench.pki.leaf(&[HOST]);
    let (own_key, other_key) = (
        bench.leaf.key.to_str().unwrap(),
        other.key.to_str().unwrap(),
    );
    let (code, codes, row) = bench.judged(&["--key", other_key], &file);
    assert_eq!((code, codes.join(" ").as_str()), (2, "key_mismatch"));
    let detail = &row["findings"][0]["detail"];
    let hash = |leaf: &Leaf| leaf.certificate.public_key_hash().unwrap().to_string();
    assert_eq!(detail["pubkey_hash"], hash(&bench.leaf));
    assert_eq!(detail["key_pubkey_hash"], hash(&other));
    // One of several keys is enough.
    let (code, _, _) = bench.judged(&["--key", other_key, "--key", own_key], &file);
    assert_eq!(code, 0);
}

#[test]
fn a_key_that_cannot_be_read_is_an_error_that_says_what_to_do() {
    let bench = Bench::new();
    for (key, wanted) in [
        (bench.pki.path("none.key"), "No such file"),
        (bench.fullchain(), "only a certificate"),
        (bench.pki.file("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"), "openssl pkey -in FILE"),
    ] {
        let run = bench.verify(&["--key", key.to_str().unwrap()], &bench.fullchain());
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        assert!(run.stderr.contains(wanted), "{}", run.stderr);
    }
}

/// Keys and containers as openssl writes them.
#[test]
fn files_of_openssl_are_read() {
    let bench = Bench::new();
    for kind in [
        "rsa:2048",
        "ec -pkeyopt ec_paramgen_curve:secp256k1",
        "ed25519",
    ] {
        let leaf = bench.pki.openssl(kind, "");
        let key = leaf.key.to_str().unwrap();
        let chain = [&leaf.certificate, &bench.pki.intermediate.certificate];
        let file = bench.pem(&chain);
        let mut forms = vec![
            bench.openssl(&["pkey", "-in", key]),
            bench.openssl(&["pkey", "-in", key, "-outform", "DER"]),
        ];
        if !kind.starts_with("ed") {
            forms.push(bench.openssl(&["pkey", "-in", key, "-traditional"]));
        }
        for form in &forms {
            let (_, codes, _) = bench.judged(&["--key", form.to_str().unwrap()], &file);
            assert!(
                !codes.contains(&"key_mismatch".to_owned()),
                "{kind}: {codes:?}"
            );
            let (_, codes, _) =
                bench.judged(&["--key", form.to_str().unwrap()], &bench.fullchain());
            assert!(
                codes.contains(&"key_mismatch".to_owned()),
                "{kind}: {codes:?}"
            );
        }
    }
    let (own, key) = (
        bench.pem(&[&bench.leaf.certificate]),
        bench.leaf.key.to_str().unwrap(),
    );
    let own = own.to_str().unwrap();
    let intermediate = bench.pki.path("intermediate.pem");
    let intermediate = intermediate.to_str().unwrap();
    // In these, the order of the certificates has no meaning.
    for container in [
        bench.openssl(&[
            "crl2pkcs7",
            "-nocrl",
            "-certfile",
            intermediate,
            "-certfile",
            own,
        ]),
        bench.openssl(&[
            "crl2pkcs7",
            "-nocrl",
            "-certfile",
            intermediate,
            "-certfile",
            own,
            "-outform",
            "DER",
        ]),
    ] {
        let (code, codes, _) = bench.judged(&["--hostname", HOST, "--key", key], &container);
        assert_eq!((code, codes), (0, vec![]));
    }
    let export = |password: &str| {
        let mut arguments = vec!["pkcs12", "-export", "-in", own, "-inkey", key];
        arguments.extend(["-certfile", intermediate, "-passout", password]);
        bench.openssl(&arguments)
    };
    let p12 = export("pass:secret");
    let (code, _, row) = bench.judged(&[], &p12);
    assert_eq!(code, 3);
    assert!(
        row["error"]
            .as_str()
            .unwrap()
            .contains("--cert-password-file"),
        "{row}"
    );
    let password = bench.pki.file("secret\n");
    let (code, codes, _) =
        bench.judged(&["--cert-password-file", password.to_str().unwrap()], &p12);
    assert_eq!((code, codes), (0, vec![]));
    // The empty password.
    let p12 = export("pass:");
    for empty in ["", "\n"] {
        let password = bench.pki.file(empty);
        let flag = ["--cert-password-file", password.to_str().unwrap()];
        let (code, codes, row) = bench.judged(&flag, &p12);
        assert_eq!((code, codes), (0, vec![]), "{row}");
    }
}

#[test]
fn a_file_is_a_target_of_check_beside_servers() {
    let bench = Bench::new();
    let folder = bench.pki.path("with space#");
    fs::create_dir(&folder).unwrap();
    fs::copy(bench.fullchain(), folder.join("a.pem")).unwrap();
    let url = format!(
        "file://{}/with%20space%23/a.pem",
        bench.pki.path("").display()
    );
    let url = url.replacen("//with", "/with", 1);
    let check = |arguments: &[&str]| -> Run {
        let mut command = command();
        command
            .args([
                "check",
                "--no-system-roots",
                "--format",
                "json",
                "--ca-file",
            ])
            .arg(bench.pki.path("root.pem"))
            .args(arguments);
        command.output().unwrap().into()
    };
    let (code, codes, row) = one(check(&[&url]));
    assert_eq!((code, codes), (0, vec![]), "{row}");
    assert!(
        row["hostname"]
            .as_str()
            .unwrap()
            .ends_with("with space#/a.pem")
    );
    let fingerprint = bench.pki.root.certificate.sha256().to_string();
    let (code, codes, _) = one(check(&["--fingerprint", &fingerprint, &url]));
    assert_eq!((code, codes.join(" ").as_str()), (2, "wrong_certificate"));
    let run = check(&["file://host/a.pem"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("write file:///PATH"), "{}", run.stderr);
}

#[test]
fn formats_show_a_file_without_address_and_port() {
    let bench = Bench::new();
    let file = bench.pem(&[&bench.leaf.certificate]);
    let path = file.to_str().unwrap();
    for format in ["human", "jsonl", "junit", "github", "nagios", "prometheus"] {
        let run = bench.verify(&["--format", format], &file);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stdout.contains(path), "{format}: {}", run.stdout);
        assert!(!run.stdout.contains("port 0"), "{format}: {}", run.stdout);
    }
    let run = bench.verify(&["--format", "prometheus"], &file);
    let labels = format!("hostname=\"{path}\",ip=\"\",port=\"\"");
    assert!(run.stdout.contains(&labels), "{}", run.stdout);
    assert!(
        !run.stdout.contains("certvigil_hostname_addresses{"),
        "{}",
        run.stdout
    );
}

/// A certificate decides on the number of its names. The outputs list some of them and count the rest.
#[test]
fn outputs_about_a_certificate_with_5000_names_are_bounded() {
    const NAMES: usize = 5_000;
    /// Maximum names in JSON (`src/report/json.rs`) and in the detail of a finding.
    const LISTED: (usize, usize) = (1_000, 16);
    /// Maximum length of an output without the list of names.
    const MAX_TEXT: usize = 16 << 10;
    let bench = Bench::new();
    let names: Vec<String> = (0..NAMES).map(|n| format!("h{n}.example.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let leaf = bench.pki.leaf(&names);
    let file = bench.pem(&[&leaf.certificate, &bench.pki.intermediate.certificate]);
    let mismatch = ["--hostname", "other.example"];
    let (code, codes, row) = bench.judged(&mismatch, &file);
    assert_eq!((code, codes.join(" ").as_str()), (2, "hostname_mismatch"));
    let served = &row["served"]["leaf"];
    assert_eq!(served["sans"].as_array().unwrap().len(), LISTED.0);
    assert_eq!(served["sans_omitted"], NAMES - LISTED.0);
    let detail = &row["findings"][0]["detail"];
    assert_eq!(detail["names"].as_array().unwrap().len(), LISTED.1);
    assert_eq!(detail["name_count"], NAMES);
    assert!(row["served"]["chain"][0]["sans_omitted"].is_null());
    for format in ["human", "junit", "github", "nagios", "prometheus"] {
        let run = bench.verify(&["--hostname", "other.example", "--format", format], &file);
        assert_eq!(run.code, 2, "{}", run.stderr);
        let text = run.stdout;
        assert!(text.len() < MAX_TEXT, "{format}: {} bytes", text.len());
    }
}
