//! Certificate files as people have them, made by the real openssl: `check --cert`, `--ca-file` and `chain`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use certvigil::certificate::parse_certificates;

use crate::fixture::check::{Check, rows};
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::run;
use crate::openssl::s_server;
use crate::support::{Run, command};

/// A leaf with its chain, in files of every form.
struct Bench {
    pki: Pki,
    leaf: Leaf,
    leaf_pem: PathBuf,
    intermediate: PathBuf,
    full_chain: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[HOST]);
        Self {
            leaf_pem: pki.chain(&[&leaf.certificate]),
            intermediate: pki.path("intermediate.pem"),
            full_chain: pki.full_chain(&leaf),
            pki,
            leaf,
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.full_chain).unwrap()
    }

    /// Runs openssl, whose output is a new file; `@leaf`, `@key`, `@intermediate` and `@chain` name files.
    fn openssl(&self, args: &str) -> PathBuf {
        let out = self.pki.file("");
        let mut command = Command::new("openssl");
        for arg in args.split(' ') {
            match arg {
                "@leaf" => command.arg(&self.leaf_pem),
                "@key" => command.arg(&self.leaf.key),
                "@intermediate" => command.arg(&self.intermediate),
                "@chain" => command.arg(&self.full_chain),
                other => command.arg(other),
            };
        }
        run(command.arg("-out").arg(&out));
        out
    }

    fn joined(&self, files: &[&Path]) -> PathBuf {
        let all: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        self.pki.file(all.concat())
    }

    /// Files with the leaf and its chain that need no password.
    fn forms(&self) -> Vec<(&'static str, PathBuf)> {
        let text = self.text();
        let write = |bytes: &[u8]| self.pki.file(bytes);
        let utf16 = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
            let units: Vec<u8> = text.encode_utf16().flat_map(unit).collect();
            write(&[mark, &units].concat())
        };
        let root = self.pki.path("root.pem");
        let trusted = self.openssl("x509 -in @leaf -addtrust serverAuth -trustout");
        let with_text = self.openssl("x509 -in @leaf -text");
        vec![
            ("PEM", self.full_chain.clone()),
            (
                "UTF-8 byte order mark",
                write(&["\u{feff}".as_bytes(), text.as_bytes()].concat()),
            ),
            ("UTF-16LE", utf16(&[0xff, 0xfe], u16::to_le_bytes)),
            ("UTF-16BE", utf16(&[0xfe, 0xff], u16::to_be_bytes)),
            ("UTF-16 without a mark", utf16(&[], u16::to_le_bytes)),
            ("CRLF", write(text.replace('\n', "\r\n").as_bytes())),
            ("indented", write(text.replace('\n', "\n      ").as_bytes())),
            (
                "END and BEGIN on one line",
                write(
                    text.replace("-----\n-----BEGIN", "----------BEGIN")
                        .as_bytes(),
                ),
            ),
            (
                "escaped line breaks",
                write(text.replace('\n', "\\n").as_bytes()),
            ),
            (
                "X509 CERTIFICATE",
                write(text.replace(" CERTIFICATE", " X509 CERTIFICATE").as_bytes()),
            ),
            (
                "TRUSTED CERTIFICATE",
                self.joined(&[&trusted, &self.intermediate]),
            ),
            (
                "openssl x509 -text",
                self.joined(&[&with_text, &self.intermediate]),
            ),
            (
                "authority first",
                self.joined(&[&root, &self.intermediate, &self.leaf_pem]),
            ),
            (
                "key first",
                self.joined(&[&self.leaf.key, &self.leaf_pem, &self.intermediate]),
            ),
            ("DER joined", {
                let leaf = self.openssl("x509 -in @leaf -outform DER");
                let intermediate = self.openssl("x509 -in @intermediate -outform DER");
                self.joined(&[&leaf, &intermediate])
            }),
            (
                "PKCS #7 PEM",
                self.openssl("crl2pkcs7 -nocrl -certfile @chain"),
            ),
            (
                "PKCS #7 DER",
                self.openssl("crl2pkcs7 -nocrl -certfile @chain -outform DER"),
            ),
            (
                "PKCS #12, not encrypted",
                self.openssl(
                    "pkcs12 -export -in @leaf -inkey @key -certfile @intermediate -passout pass: -certpbe NONE -keypbe NONE",
                ),
            ),
        ]
    }

    fn chain(&self, file: &Path, more: &[&str]) -> Run {
        let mut command = command();
        command.args(["chain", "--no-system-roots", "--ca-file"]);
        command.arg(self.pki.path("root.pem"));
        command.arg("--cert").arg(file).args(more);
        command.output().unwrap().into()
    }

    fn assert_refused(&self, form: &str, file: &Path, says: &str) {
        let output = self.pki.file("as it was");
        let run = self.chain(file, &["--output", output.to_str().unwrap()]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{form}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{form}: {run:?}");
        assert!(run.stderr.contains(says), "{form}: no `{says}` in {run:?}");
        assert_eq!(fs::read_to_string(&output).unwrap(), "as it was", "{form}");
        let check = Check::new(&self.pki).expect(file).run();
        assert_eq!(check.code, 3, "{form}: {check:?}");
        assert!(
            check.stderr.contains(says),
            "{form}: no `{says}` in {check:?}"
        );
    }
}

#[test]
#[ignore = "needs openssl"]
fn chain_is_expected_and_written_from_every_file_format() {
    let bench = Bench::new();
    let server = s_server(&bench.pki, &bench.leaf, &bench.intermediate, "");
    let written = bench.text();
    for (form, file) in bench.forms() {
        let check = Check::new(&bench.pki).expect(&file);
        let row = check.at(HOST, &["127.0.0.1"], server.port).row();
        assert_eq!(row.flag("correct"), Some(true), "{form}: {row:?}");
        assert_eq!(row.flag("chained"), Some(true), "{form}: {row:?}");
        let run = bench.chain(&file, &[]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{form}: {run:?}");
        assert_eq!(run.stdout, written, "{form}");
    }
    let der = bench.openssl("x509 -in @leaf -outform DER");
    let check = Check::new(&bench.pki).expect(&der);
    let row = check.at(HOST, &["127.0.0.1"], server.port).row();
    assert_eq!(row.flag("correct"), Some(true), "{row:?}");
}

#[test]
#[ignore = "needs openssl"]
fn roots_are_trusted_from_every_file_format() {
    let bench = Bench::new();
    let server = s_server(&bench.pki, &bench.leaf, &bench.intermediate, "");
    let root = bench.pki.path("root.pem");
    let text = fs::read_to_string(&root).unwrap();
    let root = root.to_str().unwrap();
    let other = bench.pki.file(Pki::new().root.certificate.to_pem());
    let trusted = bench.openssl(&format!("x509 -in {root} -addtrust serverAuth -trustout"));
    for (form, file) in [
        (
            "DER",
            bench.openssl(&format!("x509 -in {root} -outform DER")),
        ),
        (
            "PKCS #7",
            bench.openssl(&format!("crl2pkcs7 -nocrl -certfile {root}")),
        ),
        ("TRUSTED CERTIFICATE", bench.joined(&[&trusted, &other])),
        ("byte order mark", bench.pki.file(format!("\u{feff}{text}"))),
    ] {
        let mut command = command();
        command
            .args(["check", "--no-system-roots", "--ca-file"])
            .arg(&file);
        let at = format!("{HOST}:{}", server.port);
        command.args([&at, "--resolve", &format!("{at}:127.0.0.1")]);
        let run: Run = command.output().unwrap().into();
        assert_eq!(run.code, 0, "{form}: {run:?}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_file_without_a_readable_leaf_is_refused_and_never_written() {
    let bench = Bench::new();
    let text = bench.text();
    let write = |text: String| bench.pki.file(text);
    let second = bench.pki.leaf(&["mail.example.com"]);
    let malformed = certvigil::certificate::Certificate::from_der(vec![0x30, 0]);
    for (form, file, says) in [
        (
            "no BEGIN",
            write(text.replacen("-----BEGIN CERTIFICATE-----\n", "", 1)),
            "has no `-----BEGIN CERTIFICATE-----` before it",
        ),
        (
            "no END",
            write(text.replacen("-----END CERTIFICATE-----\n", "", 1)),
            "line 1: the line `-----END CERTIFICATE-----` is missing",
        ),
        (
            "four hyphens",
            write(text.replacen("-----BEGIN", "----BEGIN", 1)),
            "line 1: `----BEGIN CERTIFICATE-----` is not a boundary",
        ),
        (
            "no base64",
            write(text.replacen("-----\nM", "-----\n*", 1)),
            "line 1: the block `CERTIFICATE` has characters that are not base64",
        ),
        (
            "malformed leaf",
            write(text.replace(&bench.leaf.certificate.to_pem(), &malformed.to_pem())),
            "certificate 1 of the file is malformed",
        ),
        (
            "malformed leaf below its authority",
            write(bench.pki.intermediate.certificate.to_pem() + &malformed.to_pem()),
            "certificate 2 of the file is malformed",
        ),
        (
            "two leaves",
            write(text.clone() + &second.certificate.to_pem()),
            "`www.example.com` (serial ",
        ),
        (
            "two leaves, the other",
            write(text + &second.certificate.to_pem()),
            "`mail.example.com` (serial ",
        ),
        (
            "encrypted key",
            bench.openssl("pkcs8 -topk8 -in @key -passout pass:x"),
            "only an encrypted private key",
        ),
        (
            "signing request",
            bench.openssl("req -new -key @key -subj /CN=www.example.com"),
            "only a certificate signing request",
        ),
        (
            "PKCS #12 with a password",
            bench.openssl("pkcs12 -export -in @leaf -inkey @key -passout pass:x"),
            "needs a password: give it in a file with --cert-password-file",
        ),
        (
            "Java keystore",
            bench.pki.file([0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]),
            "keytool -list -rfc",
        ),
    ] {
        bench.assert_refused(form, &file, says);
    }
}

#[test]
#[ignore = "needs openssl"]
fn a_password_file_opens_pkcs12() {
    let bench = Bench::new();
    let server = s_server(&bench.pki, &bench.leaf, &bench.intermediate, "");
    let right = bench.pki.file("geheim\n");
    let wrong = bench.pki.file("other\n");
    let [right, wrong] = [&right, &wrong].map(|file| {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        ["--cert-password-file", file.to_str().unwrap()]
    });
    let export =
        "pkcs12 -export -in @leaf -inkey @key -certfile @intermediate -passout pass:geheim";
    for options in [
        "",
        " -legacy",
        " -nokeys",
        " -certpbe PBE-SHA1-RC2-40 -legacy",
    ] {
        let file = bench.openssl(&format!("{export}{options}"));
        let expect = |args: &[&str]| {
            let check = Check::new(&bench.pki).expect(&file).args(args);
            check.at(HOST, &["127.0.0.1"], server.port)
        };
        let row = expect(&right).row();
        assert_eq!(row.flag("correct"), Some(true), "{options}: {row:?}");
        let run = bench.chain(&file, &right);
        assert_eq!((run.code, run.stdout), (0, bench.text()), "{options}");
        let says = "the password does not open the PKCS #12 file";
        for run in [expect(&wrong).run(), bench.chain(&file, &wrong)] {
            assert_eq!(
                (run.code, run.stdout.as_str()),
                (3, ""),
                "{options}: {run:?}"
            );
            assert!(run.stderr.contains(says), "{options}: {run:?}");
        }
    }
    let alone = Check::new(&bench.pki).args(&right).run();
    assert!(alone.stderr.contains("--cert <FILE>"), "{alone:?}");
}

/// The name in the certificate that keytool makes.
const JAVA_HOST: &str = "java.example";
const JAVA_PASSWORD: &str = "changeit";

/// Runs keytool in a folder with these options and the password of its keystores.
fn keytool(folder: &Path, options: &str) -> String {
    let mut command = Command::new("keytool");
    command.current_dir(folder).args(options.split(' '));
    run(command.args(["-storepass", JAVA_PASSWORD]))
}

/// Keystores of keytool with a self-signed certificate, its DER, and its PEM.
fn java_files(folder: &Path) {
    for kind in ["JKS", "JCEKS", "PKCS12"] {
        keytool(
            folder,
            &format!(
                "-genkeypair -alias a -keyalg EC -validity 90 -dname CN={JAVA_HOST} -ext san=dns:{JAVA_HOST} \
                 -storetype {kind} -keypass {JAVA_PASSWORD} -keystore {kind}"
            ),
        );
    }
    // The same certificate in each.
    keytool(folder, "-exportcert -alias a -keystore PKCS12 -file der");
    keytool(
        folder,
        "-exportcert -rfc -alias a -keystore PKCS12 -file pem",
    );
}

#[test]
#[ignore = "needs openjdk-17-jre-headless"]
fn files_of_keytool_are_read() {
    let pki = Pki::new();
    let folder = pki.path("");
    java_files(&folder);
    let password = pki.file(JAVA_PASSWORD);
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let pem = fs::read_to_string(folder.join("pem")).unwrap();
    let expected = parse_certificates(pem.as_bytes()).unwrap();
    let verify = |file: &str, more: &[&str]| -> Run {
        let mut command = command();
        command.args(["verify", "--no-system-roots", "--ca-file"]);
        command.arg(folder.join("pem"));
        command.args(["--format", "json", "--hostname", JAVA_HOST, "--cert"]);
        command.arg(folder.join("pem")).arg(folder.join(file));
        command.args(more).output().unwrap().into()
    };
    let with_password = ["--cert-password-file", password.to_str().unwrap()];
    for (file, more) in [("pem", &[][..]), ("der", &[]), ("PKCS12", &with_password)] {
        let run = verify(file, more);
        let row = &rows(&run)[0];
        assert_eq!(row.flag("correct"), Some(true), "{file}: {run:?}");
        assert_eq!(
            row.text("/served/leaf/sha256_fingerprint"),
            expected[0].sha256().to_string(),
            "{file}"
        );
    }
    let run = verify("PKCS12", &[]);
    let row = &rows(&run)[0];
    assert!(
        row.text("/error").contains("--cert-password-file"),
        "{run:?}"
    );
}

#[test]
#[ignore = "needs openjdk-17-jre-headless"]
fn refused_java_keystore_is_converted_by_the_command_in_the_message() {
    let pki = Pki::new();
    let folder = pki.path("");
    java_files(&folder);
    for kind in ["JKS", "JCEKS"] {
        let check = Check::new(&pki).expect(&folder.join(kind)).run();
        assert_eq!(check.code, 3, "{kind}: {check:?}");
        let advice = check
            .stderr
            .split('`')
            .find(|part| part.starts_with("keytool "));
        let advice = advice.unwrap_or_else(|| panic!("no command: {check:?}"));
        // The password is what keytool asks for.
        let advice = format!(
            "{} -storepass {JAVA_PASSWORD}",
            advice.replace("FILE", kind)
        );
        let advice = advice.replace(
            &format!("> {kind}.pem -storepass {JAVA_PASSWORD}"),
            &format!("-storepass {JAVA_PASSWORD} > {kind}.pem"),
        );
        run(Command::new("sh")
            .args(["-ec", &advice])
            .current_dir(&folder));
        let converted = folder.join(format!("{kind}.pem"));
        let mut command = command();
        command.args(["verify", "--no-system-roots", "--ca-file"]);
        command.arg(&converted);
        command.args(["--format", "json", "--hostname", JAVA_HOST]);
        let run: Run = command.arg(&converted).output().unwrap().into();
        let row = &rows(&run)[0];
        assert_eq!(row.flag("hostname_match"), Some(true), "{kind}: {run:?}");
        assert_eq!(row.flag("trusted"), Some(true), "{kind}: {run:?}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn password_file_of_an_entry_opens_its_pkcs12_files() {
    let bench = Bench::new();
    let server = s_server(&bench.pki, &bench.leaf, &bench.intermediate, "");
    let p12 = bench.openssl(
        "pkcs12 -export -in @leaf -inkey @key -certfile @intermediate -passout pass:geheim",
    );
    let password = bench.pki.file("geheim\n");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let at = format!("*:{}:127.0.0.1", server.port);
    let check = |source: &str, more: &str| -> Run {
        let config = bench.pki.file(format!(
            "trust: {{system: false, ca_files: [root.pem]}}\ndefaults: {{port: {}}}\n\
             certificates:\n  - {{{source}: {}{more}}}\n",
            server.port,
            p12.display()
        ));
        let mut command = command();
        command
            .args(["check", "--format", "json", "--config"])
            .arg(&config);
        command.args(["--resolve", &at]).output().unwrap().into()
    };
    let key = format!(", pem_password_file: {}", password.display());
    for source in ["pem", "pem_dir"] {
        let run = check(source, &key);
        assert_eq!(run.code, 0, "{source}: {run:?}");
        let row = &rows(&run)[0];
        assert_eq!(row.flag("correct"), Some(true), "{source}: {run:?}");
        assert_eq!(check(source, "").code, 3, "{source}");
    }
}

/// certbot's folder with a link whose target is gone, one whose folder is gone, and others.
#[test]
#[ignore = "needs openssl"]
fn unreadable_pem_dir_match_is_an_unknown_row() {
    let bench = Bench::new();
    let server = s_server(&bench.pki, &bench.leaf, &bench.intermediate, "");
    let live = bench.pki.path("live");
    for folder in ["www", "mail.example.com", "empty"] {
        fs::create_dir_all(live.join(folder)).unwrap();
    }
    fs::copy(&bench.full_chain, live.join("www/fullchain.pem")).unwrap();
    fs::write(live.join("README"), "").unwrap();
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, live.join(at)).unwrap();
    link("gone.pem", "mail.example.com/fullchain.pem");
    link("gone", "old.example.com");
    // A folder that is its own target cannot be searched by any user.
    link("loop.example.com", "loop.example.com");
    let config = bench.pki.file(format!(
        "trust: {{system: false, ca_files: [root.pem]}}\ndefaults: {{port: {}}}\n\
         certificates:\n  - {{pem_dir: live/*/fullchain.pem}}\n",
        server.port
    ));
    let mut command = command();
    command
        .args(["check", "--format", "json", "--config"])
        .arg(&config);
    let at = format!("*:{}:127.0.0.1", server.port);
    let run: Run = command.args(["--resolve", &at]).output().unwrap().into();
    assert_eq!(run.code, 3, "{run:?}");
    let rows = rows(&run);
    let state = |host: &str| {
        let mut of_host = rows.iter().filter(|row| row.text("/hostname") == host);
        of_host.next().map(|row| row.flag("correct"))
    };
    assert_eq!(state(HOST), Some(Some(true)), "{rows:?}");
    for host in ["mail.example.com", "old.example.com", "loop.example.com"] {
        assert_eq!(state(host), Some(None), "{host}: {rows:?}");
    }
    assert_eq!(rows.len(), 4, "{rows:?}");
}

#[test]
#[ignore = "needs openssl"]
fn shell_pipes_are_read_once_and_devices_up_to_a_limit() {
    let bench = Bench::new();
    let server = s_server(&bench.pki, &bench.leaf, &bench.intermediate, "");
    let p12 = bench.openssl("pkcs12 -export -in @leaf -inkey @key -passout pass:geheim");
    let at = format!("{HOST}:{}", server.port);
    let bash = |script: &str| -> Run {
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).env("CV", command().get_program());
        bash.env("CHAIN", &bench.full_chain).env("P12", &p12);
        bash.env("ROOT", bench.pki.path("root.pem")).env("AT", &at);
        bash.output().unwrap().into()
    };
    let rest = "--no-system-roots --resolve $AT:127.0.0.1 $AT";
    for script in [
        format!("$CV check --cert <(cat $CHAIN) --ca-file <(cat $ROOT) {rest}"),
        format!("cat $CHAIN | $CV check --cert /dev/stdin --ca-file <(cat $ROOT) {rest}"),
        format!("$CV check --cert $P12 --cert-password-file <(echo geheim) --ca-file $ROOT {rest}"),
        "$CV chain --cert <(cat $CHAIN) --no-system-roots --ca-file <(cat $ROOT)".into(),
    ] {
        let run = bash(&script);
        assert_eq!(run.code, 0, "{script}: {run:?}");
    }
    for script in [
        "$CV chain --cert /dev/zero",
        "$CV check --cert /dev/zero",
        "$CV check --ca-file /dev/zero $AT",
    ] {
        let run = bash(script);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (3, ""),
            "{script}: {run:?}"
        );
        assert!(run.stderr.contains("larger than 16777216 bytes"), "{run:?}");
    }
}

/// Every 41st character of the file is lost or another one.
#[test]
fn damaged_file_is_refused_or_written_completely() {
    let bench = Bench::new();
    let text = bench.text();
    let whole = parse_certificates(text.as_bytes()).unwrap();
    for at in (0..text.len()).step_by(41) {
        for with in ["", "A", "-", "\n"] {
            let mut damaged = text.clone();
            damaged.replace_range(at..=at, with);
            let run = bench.chain(&bench.pki.file(damaged), &[]);
            match run.code {
                0 => {
                    let written = parse_certificates(run.stdout.as_bytes()).unwrap();
                    assert_eq!(written, whole, "{at} {with:?}");
                }
                code => assert_eq!((code, run.stdout.as_str()), (3, ""), "{at} {with:?}"),
            }
        }
    }
}
