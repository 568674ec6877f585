//! The command line of `check`: lists of targets, flags given twice, output, and common slips.

use crate::common::client_auth::Guard;
use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Leaf, Pki, now};
use crate::fixture::process::signal;
use crate::fixture::tls::{Server, config, stay_silent};
use crate::support::assert_one_line;
use crate::support::{Run, certvigil, command, for_each_concurrently};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

const OTHER_HOST: &str = "other.example.com";

/// A server with a right certificate for two names, and a folder for files.
struct Bench {
    pki: Pki,
    leaf: Leaf,
    server: Server,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[HOST, OTHER_HOST]);
        let server = Server::tls("127.0.0.1", config(&pki, &leaf));
        let folder = tempfile::tempdir().unwrap();
        Self {
            pki,
            leaf,
            server,
            folder,
        }
    }

    fn place(&self) -> String {
        format!("{HOST}:{}", self.server.port())
    }

    /// `check` without a target and a format. Every host is the server.
    fn check(&self, more: &[&str]) -> Command {
        let mut command = command();
        command.current_dir(self.folder.path());
        command.args(["check", "--no-system-roots", "--ca-file"]);
        command.arg(self.pki.path("root.pem"));
        let resolve = format!("*:{}:127.0.0.1", self.server.port());
        command.args(["--resolve", &resolve]).args(more);
        command
    }

    fn run(&self, more: &[&str]) -> Run {
        self.check(more).output().unwrap().into()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

fn hosts(run: &Run) -> Vec<String> {
    let json = run.json();
    let rows = json["result"].as_array().unwrap().iter();
    rows.map(|row| row["hostname"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn targets_come_from_a_file_and_from_stdin() {
    let bench = Bench::new();
    let port = bench.server.port();
    let list = format!(
        "\u{feff}# the shop\r\n\r\n  {HOST}:{port}\t# web\r\n{HOST}:{port}\nhttps://{OTHER_HOST}:{port}/x#y\r\n"
    );
    bench.write("hosts", &list);
    let utf16: Vec<u8> = list.encode_utf16().flat_map(u16::to_le_bytes).collect();
    bench.write("utf16", utf16);
    for file in ["hosts", "utf16"] {
        let run = bench.run(&["--format", "json", "--targets", file]);
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(hosts(&run), [OTHER_HOST, HOST], "{file}");
    }
    let mut child = bench.check(&["--format", "json", "--targets", "-", &bench.place()]);
    let child = child
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let line = format!("{OTHER_HOST}:{port}");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(line.as_bytes())
        .unwrap();
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(hosts(&run), [OTHER_HOST, HOST], "{run:?}");
}

#[test]
fn an_error_in_a_list_of_targets_names_its_line() {
    let bench = Bench::new();
    for (text, says) in [
        ("# a\n\na.example:0 # b\n", "list:3: `0` is not a port"),
        (
            "a.example 8443\n",
            "list:1: `a.example 8443` contains white space",
        ),
        ("a.example\n8443\n", "did you mean `a.example:8443`?"),
        (
            "a.example\r\nb.example,c.example",
            "list:2: `b.example,c.example` contains a comma",
        ),
        (
            "https://u:secret@a.example",
            "list:1: `https://***@a.example`",
        ),
        (
            "-----BEGIN CERTIFICATE-----\n",
            "list:1: this is a PEM file",
        ),
        ("", "list: there is no target in it"),
        ("# nothing\n\n", "list: there is no target in it"),
    ] {
        bench.write("list", text);
        let run = bench.run(&["--targets", "list"]);
        assert_one_line(&run, &[says], &text);
        assert_eq!(run.code, 3);
        assert!(!run.stderr.contains("secret"), "{run:?}");
    }
    bench.write("latin1", [b'a', 0xe4]);
    for (file, says) in [
        (".", "it is a directory"),
        ("missing", "No such file"),
        ("latin1", "not UTF-8"),
        ("/dev/zero", "larger than"),
    ] {
        assert_one_line(&bench.run(&["--targets", file]), &[file, says], &file);
    }
    // An empty list is an error beside a target too: its command may have failed.
    bench.write("empty", "# nothing\n");
    let run = bench.run(&["--targets", "empty", &bench.place()]);
    assert_one_line(&run, &["empty: there is no target"], &"target");
    // The whole inventory is never meant by an empty list.
    bench.write("empty", "\n");
    let config = "certificates:\n  - {trust: true, hostnames: [a.example]}\n";
    bench.write("c.yml", config);
    let run = bench.run(&["-c", "c.yml", "--targets", "empty"]);
    assert_one_line(&run, &["there is no target"], &"config");
}

#[test]
fn of_a_flag_given_twice_the_last_counts() {
    let bench = Bench::new();
    let place = bench.place();
    let run = bench.run(&[
        &*place,
        "--format",
        "human",
        "--format",
        "json",
        "--timeout",
        "1ms",
        "--timeout",
        "20s",
        "--at",
        "2020-01-01",
        "--at",
        "+1d",
        "--fail-on",
        "never",
        "--fail-on",
        "critical",
        "--output",
        "unused",
        "--output",
        "-",
        "--all",
        "--all",
        "--warn",
        "1000d",
        "--warn",
        "1d",
    ]);
    assert_eq!((run.code, hosts(&run).len()), (0, 1), "{run:?}");
    assert!(!bench.folder.path().join("unused").exists());
}

#[test]
fn quiet_prints_errors_only() {
    let bench = Bench::new();
    let place = bench.place();
    for format in ["human", "json", "nagios"] {
        let run = bench.run(&["-q", "--format", format, &place]);
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (0, "", "")
        );
        let run = bench.run(&["--quiet", "--format", format, "--at", "+100d", &place]);
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (2, "", "")
        );
    }
    let run = bench.run(&["-q", "--cert", "missing.pem", &place]);
    assert_one_line(&run, &["missing.pem"], &"quiet");
    let run = bench.run(&["-q", "--output", "out", &place]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    assert!(bench.read("out").contains("1 ok"));
}

#[test]
fn colour_is_as_the_flag_and_the_environment_say() {
    const COLOUR: &str = "\x1b[32m";
    let bench = Bench::new();
    let place = bench.place();
    for (flag, environment, has_colour) in [
        ("always", vec![], true),
        ("always", vec![("NO_COLOR", "1")], true),
        ("auto", vec![], false),
        ("auto", vec![("CLICOLOR_FORCE", "1")], true),
        ("auto", vec![("CLICOLOR_FORCE", "0")], false),
        (
            "auto",
            vec![("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
            false,
        ),
        ("never", vec![("CLICOLOR_FORCE", "1")], false),
    ] {
        let mut check = bench.check(&["--color", flag, &place]);
        let run: Run = check.envs(environment.clone()).output().unwrap().into();
        assert_eq!(
            run.stdout.contains(COLOUR),
            has_colour,
            "{flag} {environment:?} {run:?}"
        );
    }
}

#[test]
fn a_dash_is_stdout_and_a_file_keeps_its_mode() {
    let bench = Bench::new();
    let place = bench.place();
    let run = bench.run(&["--output", "-", &place]);
    assert!(run.stdout.contains(HOST), "{run:?}");
    assert!(!bench.folder.path().join("-").exists());
    for mode in [0o640, 0o600, 0o664] {
        bench.write("out", "old");
        let file = bench.folder.path().join("out");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(bench.run(&["--output", "out", &place]).code, 0);
        assert!(bench.read("out").contains(HOST));
        let now = fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
        assert_eq!(now, mode, "{now:o}");
    }
    // `chain` and `inspect` write in the same way.
    let chain = bench.pki.full_chain(&bench.leaf);
    let root = bench.pki.path("root.pem");
    let mut chain_of = command();
    chain_of
        .current_dir(bench.folder.path())
        .args(["chain", "--output", "-", "--ca-file"]);
    let run: Run = chain_of
        .arg(&root)
        .arg("--cert")
        .arg(&chain)
        .output()
        .unwrap()
        .into();
    assert_eq!(run.stdout, fs::read_to_string(&chain).unwrap(), "{run:?}");
    let at_server = format!("{place}:127.0.0.1");
    let run = certvigil(["inspect", "--output", "-", "--resolve", &at_server, &place]);
    assert!(run.stdout.contains(HOST), "{run:?}");
}

#[test]
fn a_certificate_is_judged_as_of_a_date_or_a_later_day() {
    let bench = Bench::new();
    let place = bench.place();
    // The leaf expires in 60 days.
    let date = certvigil::model::Timestamp(now().0 + 70 * 86_400).date();
    for (at, code) in [("+1d", 0), ("+70d", 2), (&*date, 2), ("+58d", 2)] {
        let run = bench.run(&["--at", at, &place]);
        assert_eq!(run.code, code, "{at}: {run:?}");
    }
}

#[test]
fn a_fingerprint_is_read_as_openssl_prints_it() {
    let bench = Bench::new();
    let place = bench.place();
    let hex = bench.leaf.certificate.sha256().to_string().to_uppercase();
    let pairs: Vec<&str> = (0..32).map(|at| &hex[2 * at..2 * at + 2]).collect();
    let pairs = pairs.join(":");
    for label in ["sha256 Fingerprint=", "SHA256 Fingerprint="] {
        let run = bench.run(&["--fingerprint", &format!("{label}{pairs}"), &place]);
        assert_eq!(run.code, 0, "{label}: {run:?}");
    }
    let run = bench.run(&[
        "--fingerprint",
        &format!("SHA1 Fingerprint={pairs}"),
        &place,
    ]);
    assert_one_line(&run, &["of sha1, not SHA-256"], &"sha1");
}

/// `check` of the bench's server and of one that never answers, interrupted after the first result.
fn interrupted(bench: &Bench, by: &str, more: &[&str]) -> Run {
    let silent = Server::start("127.0.0.1", stay_silent);
    let port = silent.port();
    let check = Check::new(&bench.pki)
        .at(HOST, &["127.0.0.1"], bench.server.port())
        .at(OTHER_HOST, &["127.0.0.1"], port)
        .args(&["-v", "--timeout", "10m"])
        .args(more);
    let mut running = check.start();
    running.wait_for(HOST);
    signal(&running.child, by);
    running.end()
}

#[test]
fn an_interrupted_run_prints_what_is_known_and_that_it_is_partial() {
    let bench = Bench::new();
    for by in ["INT", "TERM"] {
        let run = interrupted(&bench, by, &[]);
        let json = run.json();
        assert_eq!(run.code, 3, "{run:?}");
        assert_eq!(json["complete"], false, "{json}");
        assert_eq!(hosts(&run), [HOST]);
    }
    for (format, says) in [
        ("human", "interrupted: the result is incomplete"),
        ("jsonl", "{\"complete\":false}\n"),
        ("junit", "<error type=\"interrupted\""),
        ("github", "interrupted: the result is incomplete"),
        (
            "nagios",
            "CERTVIGIL UNKNOWN - interrupted: the result is incomplete; 1 endpoint",
        ),
        ("prometheus", "# interrupted: the result is incomplete\n"),
    ] {
        let run = interrupted(&bench, "TERM", &["--format", format]);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stdout.contains(says), "{format}: {run:?}");
        let is_twice = run.stderr.contains("the result is incomplete");
        assert!(format != "human" || !is_twice, "{run:?}");
        // GitHub has annotations of findings only, Nagios a summary.
        let has_row = run.stdout.contains(HOST) || matches!(format, "github" | "nagios");
        assert!(has_row, "{format}: {run:?}");
    }
    let run = bench.run(&["--format", "json", &bench.place()]);
    assert_eq!(run.json()["complete"], true);
}

#[test]
fn an_interrupted_run_keeps_a_file_of_metrics() {
    let bench = Bench::new();
    let file = bench.pki.file("of the last run\n");
    let to_file = ["--format", "prometheus", "--output", file.to_str().unwrap()];
    let run = interrupted(&bench, "TERM", &to_file);
    assert_eq!(run.code, 3, "{run:?}");
    let says = format!(
        "error: interrupted: {} keeps its previous results",
        file.display()
    );
    assert!(run.stderr.contains(&says), "{run:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "of the last run\n");
    // Other formats state that the result is partial.
    let run = interrupted(
        &bench,
        "TERM",
        &["--format", "json", "--output", to_file[3]],
    );
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .contains("\"complete\": false")
    );
}

#[test]
fn a_pipe_without_a_writer_is_an_error_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    crate::fixture::process::run(Command::new("mkfifo").arg(&pipe));
    let run = certvigil(["check", "--config", pipe.to_str().unwrap()]);
    assert_one_line(
        &run,
        &["the pipe or device did not end within 10 s"],
        &"pipe",
    );
}

/// A pipe without a reader, and stdout whose reader takes nothing.
#[test]
fn signal_ends_a_command_while_its_output_is_blocked() {
    let bench = Bench::new();
    let pipe = bench.folder.path().join("pipe");
    crate::fixture::process::run(Command::new("mkfifo").arg(&pipe));
    let file = bench.pki.full_chain(&bench.leaf);
    let mut verify = command();
    verify.current_dir(bench.folder.path());
    verify.args(["verify", "--no-system-roots", "--ca-file"]);
    verify.arg(bench.pki.path("root.pem"));
    verify.args(["--output", "pipe"]).arg(file);
    // More rows than a pipe holds.
    let many: Vec<String> = (0..400)
        .map(|n| format!("file:///missing/{n}.pem"))
        .collect();
    bench.write("many", many.join("\n"));
    let commands = [
        bench.check(&["--output", "pipe", &bench.place()]),
        verify,
        bench.check(&["--format", "json", "--targets", "many"]),
    ];
    for_each_concurrently(commands, |mut run| {
        let run = run.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = run.spawn().unwrap();
        let pause = |ms| std::thread::park_timeout(std::time::Duration::from_millis(ms));
        // The result is known by then.
        pause(2_000);
        assert!(child.try_wait().unwrap().is_none(), "{run:?}");
        crate::fixture::process::wait_until("the end", || {
            signal(&child, "TERM");
            pause(100);
            child.try_wait().unwrap()
        });
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(3), "{run:?}");
    });
}

#[test]
fn wait_that_is_shorter_than_the_pause_ends_with_an_attempt() {
    let bench = Bench::new();
    let old = bench.pki.leaf(&[HOST]);
    bench.server.serve(config(&bench.pki, &old));
    let check = Check::of(&bench.pki, &bench.leaf, &["127.0.0.1"], bench.server.port());
    let mut check = check.args(&["-v", "--wait", "5s"]).start();
    check.wait_for("addresses serve it");
    bench.server.serve(config(&bench.pki, &bench.leaf));
    let run = check.end();
    assert_eq!(run.code, 0, "{run:?}");
}

/// The first connection is answered too late only because the client did not run.
#[test]
fn timeout_of_a_stopped_process_is_no_result() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (serves, first) = (
        config(&pki, &leaf),
        std::sync::atomic::AtomicBool::new(true),
    );
    let server = Server::start("127.0.0.1", move |stream| {
        match first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            true => stay_silent(stream),
            false => crate::fixture::tls::complete_handshake(stream, &serves),
        }
    });
    let bench = Bench::new();
    let resolve = format!("{HOST}:{}:127.0.0.1", server.port());
    let place = format!("{HOST}:{}", server.port());
    let root = pki.path("root.pem");
    let root = root.to_str().unwrap();
    let arguments = [
        "--ca-file",
        root,
        "--timeout",
        "2s",
        "--resolve",
        &resolve,
        &place,
    ];
    let child = bench
        .check(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    crate::fixture::process::wait_until("the first attempt", || {
        (server.connections() > 0).then_some(())
    });
    signal(&child, "STOP");
    std::thread::park_timeout(std::time::Duration::from_secs(5));
    signal(&child, "CONT");
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.code, 0, "{run:?}");
    assert!(server.connections() >= 2);
}

#[test]
fn output_creates_the_file_to_which_a_link_leads() {
    let bench = Bench::new();
    fs::create_dir(bench.folder.path().join("sub")).unwrap();
    let link = bench.folder.path().join("link");
    std::os::unix::fs::symlink("sub/result", &link).unwrap();
    let run = bench.run(&["--output", "link", &bench.place()]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(bench.read("sub/result").contains(HOST));
    // A file that is there is replaced through the link too.
    bench.write("sub/result", "");
    assert_eq!(bench.run(&["--output", "link", &bench.place()]).code, 0);
    assert!(bench.read("sub/result").contains(HOST));
    std::os::unix::fs::symlink("missing/result", bench.folder.path().join("lost")).unwrap();
    let run = bench.run(&["--output", "lost", &bench.place()]);
    assert_one_line(&run, &["missing does not exist"], &"link");
}

#[test]
fn output_does_not_replace_a_link_in_a_loop_of_links() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    for (link, target) in [("one", "two"), ("two", "one")] {
        std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
    }
    let run = bench.run(&["--output", "one", &bench.place()]);
    assert_one_line(&run, &["symbolic links lead to each other"], &"loop");
    assert!(folder.join("one").symlink_metadata().unwrap().is_symlink());
}

#[test]
fn help_that_cannot_be_written_is_an_error() {
    for arguments in [&["--help"][..], &["--version"], &["check", "--help"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let mut run = command();
        let run: Run = (run.args(arguments).stdout(full.unwrap()))
            .output()
            .unwrap()
            .into();
        assert_one_line(&run, &["cannot write the help"], &arguments);
    }
}

/// A name in Latin-1. The shell's patterns match it too.
#[test]
fn files_whose_names_are_not_utf8_are_matched_by_every_pattern() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new();
    let put = |name: &[u8], text: &[u8]| {
        let path = bench.folder.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let chain = |leaf: &Leaf| fs::read(bench.pki.full_chain(leaf)).unwrap();
    put(b"tls/good.pem", &chain(&bench.pki.leaf(&[HOST])));
    let untrusted = Pki::new();
    let untrusted = fs::read(untrusted.full_chain(&untrusted.leaf(&[OTHER_HOST]))).unwrap();
    put(b"tls/caf\xe9.pem", &untrusted);
    put(b"tls/caf\xe8.pem", &untrusted);
    put(b"d\xe9/a.pem", &untrusted);
    let target = |port: u16| format!("[{{\"targets\": [\"127.0.0.1:{port}\"]}}]");
    put(b"sd/\xe9.json", target(bench.server.port()).as_bytes());
    put(
        b"inc/\xe9.yml",
        format!(
            "certificates: [{{pem_dir: \"../tls/*.pem\", ports: [{}]}}]",
            bench.server.port()
        )
        .as_bytes(),
    );
    let files = |config: &str| -> Vec<String> {
        bench.write("c.yml", config);
        let json = bench.run(&["-c", "c.yml", "--format", "json"]).json();
        let rows = json["result"].as_array().unwrap().iter();
        rows.map(|row| format!("{} {}", row["certificate"], row["hostname"]))
            .collect()
    };
    let entry =
        |pattern: &str| format!("certificates: [{{name: x, trust: true, files: {pattern:?}}}]");
    for (config, has) in [
        (
            entry("tls/*.pem"),
            &["good.pem", "caf\\\\xE9.pem", "caf\\\\xE8.pem"][..],
        ),
        (entry("d*/*.pem"), &["d\\\\xE9/a.pem"]),
        ("file_sd: sd/*.json".into(), &["127.0.0.1"]),
        (
            "include: inc/*.yml".into(),
            &["good", "caf\\\\xE9", "caf\\\\xE8"],
        ),
    ] {
        let rows = files(&config);
        assert_eq!(rows.len(), has.len(), "{config}: {rows:?}");
        for name in has {
            assert!(
                rows.iter().any(|row| row.contains(name)),
                "{config}: {rows:?}"
            );
        }
    }
    bench.write("c.yml", entry("tls/*.pem"));
    assert_eq!(bench.run(&["-c", "c.yml"]).code, 2);
}

#[test]
fn control_characters_in_names_of_files_do_not_reach_a_terminal() {
    let bench = Bench::new();
    let name = "a\u{1b}[2K\r\nok  forged.example\u{202e}.pem";
    bench.write(name, fs::read(bench.pki.full_chain(&bench.leaf)).unwrap());
    bench.write(
        "c.yml",
        "certificates: [{name: x, trust: true, files: \"*.pem\"}]",
    );
    let run = bench.run(&["-c", "c.yml", "-v", "--all"]);
    for text in [&run.stdout, &run.stderr] {
        let is_raw = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
        assert!(!text.contains(is_raw), "{text:?}");
        assert!(!text.contains("\nok  forged"), "{text:?}");
    }
    assert!(run.stdout.contains("forged.example"), "{run:?}");
}

#[test]
fn misread_arguments_are_explained() {
    let bench = Bench::new();
    for (arguments, says) in [
        (&["--at", "-30d"][..], "--at=-30d"),
        (&["--timeout", "-1s"], "--timeout=-1s"),
        (&["file:x.pem"], "file:///PATH"),
    ] {
        let run = bench.run(arguments);
        assert_one_line(&run, &[says], &says);
        assert!(!run.stderr.contains("-- -"), "{run:?}");
    }
}

/// HAProxy's file has the private key beside the certificates.
#[test]
fn output_does_not_replace_a_private_key() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let mut content = fs::read_to_string(pki.full_chain(&leaf)).unwrap();
    content += &fs::read_to_string(&leaf.key).unwrap();
    let file = pki.file(&content);
    let path = file.to_str().unwrap();
    let root = pki.path("root.pem");
    let root = root.to_str().unwrap();
    let run = certvigil(["chain", "--cert", path, "--ca-file", root, "--output", path]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("has a private key"), "{run:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), content);

    // Windows' editors write UTF-16, and Java its own stores.
    let utf16: Vec<u8> = content.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let store = [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 0];
    for content in [[&[0xff, 0xfe], utf16.as_slice()].concat(), store.to_vec()] {
        let other = pki.file(&content);
        let other = other.to_str().unwrap();
        let run = certvigil([
            "chain",
            "--cert",
            path,
            "--ca-file",
            root,
            "--output",
            other,
        ]);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stderr.contains("has a private key"), "{run:?}");
        assert_eq!(fs::read(other).unwrap(), content);
    }
}

#[test]
fn fail_on_never_applies_to_usage_errors_of_its_own_commands_only() {
    for (arguments, code) in [
        (&["check", "--bogus", "--fail-on", "never"][..], 0),
        (&["check", "--fail-on=never", "--bogus"], 0),
        (&["verify", "--bogus", "--fail-on", "never"], 0),
        (&["check", "--bogus", "--", "--fail-on", "never"], 3),
        (&["check", "--bogus", "--ehlo", "--fail-on=never"], 3),
        (&["check", "--bogus", "-c", "--fail-on=never"], 3),
        (&["check", "--bogus", "--ehlo", "--fail-on", "never"], 3),
        (&["check", "--bogus", "--dane", "--fail-on=never"], 0),
        (
            &[
                "check",
                "--fail-on",
                "never",
                "--fail-on=warning",
                "--bogus",
            ],
            3,
        ),
        (&["chain", "--bogus", "--fail-on", "never"], 3),
        (&["history", "--fail-on", "never"], 3),
        (&["--fail-on", "never"], 3),
        (&["unknown", "--fail-on", "never"], 3),
    ] {
        let run = certvigil(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {run:?}");
    }
}

/// The path of a download URL is a secret.
#[test]
fn download_url_with_a_slip_is_not_repeated() {
    for url in [
        "https://certs.example:99999/secret",
        "htps://certs.example/secret",
        "certs.example/secret",
    ] {
        for command in ["check", "chain"] {
            let run = certvigil([command, "--download", url]);
            assert_eq!(run.code, 3, "{run:?}");
            assert!(run.stderr.contains("--download"), "{run:?}");
            assert!(!run.stderr.contains("secret"), "{run:?}");
        }
    }
}

#[test]
fn a_run_that_ends_before_its_first_result_is_an_empty_result() {
    let pki = Pki::new();
    let silent = Server::start("127.0.0.1", stay_silent);
    let check = Check::new(&pki).at(HOST, &["127.0.0.1"], silent.port());
    let running = check.args(&["--timeout", "10m"]).start();
    crate::fixture::process::wait_until("a connection", || {
        (silent.connections() > 0).then_some(())
    });
    signal(&running.child, "TERM");
    let run = running.end();
    let json = run.json();
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(
        (&json["complete"], &json["summary"]["endpoints"]),
        (&false.into(), &0.into())
    );
}

#[test]
fn a_user_name_and_password_are_never_repeated() {
    let bench = Bench::new();
    let url = "https://user:geheim-7@a.example/x";
    let offline = ["--dns", "127.0.0.1:1", "--timeout", "100ms"];
    for args in [
        vec!["check", url],
        vec!["check", "https//user:geheim-7@a.example"],
        vec!["check", "htps://user:geheim-7@a.example"],
        vec!["check", "https:/user:geheim-7@a.example"],
        vec!["check", "user:geheim-7@a.example:443"],
        vec!["check", "user:geheim-7@a.example:notaport"],
        vec!["check", "https://geheim-7@a.example"],
        vec!["check", "https://user:ge/geheim-7@a.example"],
        vec!["check", "mx:user:geheim-7@a.example"],
        vec!["check", "-v", "a.example", url],
        vec!["check", "--format", "nagios", url],
        vec!["check", "--download", "ftp://user:geheim-7@a.example"],
        vec![
            "check",
            "--download",
            "https:/user:geheim-7@a.example",
            "a.example",
        ],
        vec!["check", "--dns", "user:geheim-7@192.0.2.1", "a.example"],
        vec![
            "check",
            "--resolve",
            "user:geheim-7@a.example:443:x",
            "a.example",
        ],
        vec!["check", "--sni", "user:geheim-7@a.example", "a.example"],
        vec!["check", "--vantage", url, "a.example"],
        vec!["check", "--cert", url, "a.example"],
        vec!["check", "--format", url, "a.example"],
        vec![
            "check",
            "--nonsense=https://user:geheim-7@a.example",
            "a.example",
        ],
        vec!["check", "--output", "/missing/user:geheim-7@a", "a.example"],
        vec!["check", "--fingerprint", url, "a.example"],
        vec!["inspect", url],
        vec!["inspect", url, "b.example"],
        vec!["chain", "--download", "htps://user:geheim-7@a.example"],
        vec!["serve", url],
        vec![url],
        vec!["user:geheim-7@a.example"],
        vec!["--cert", url, url],
    ] {
        let mut command = command();
        command.current_dir(bench.folder.path()).args(&args);
        if matches!(args.first(), Some(&"check" | &"inspect")) {
            command.args(offline);
        }
        let run: Run = command.output().unwrap().into();
        assert_eq!(run.code, 3, "{args:?}: {run:?}");
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(!all.contains("geheim-7"), "{args:?}: {run:?}");
    }
    for entry in [
        "{trust: true, hostnames: ['https://user:geheim-7@a.example/']}",
        "{trust: true, hostnames: [a.example], ports: ['user:geheim-7@a']}",
        "{trust: true, mx: ['user:geheim-7@a.example']}",
        "{download: 'htps://user:geheim-7@a.example', hostnames: [a.example]}",
        "{sha256: ['user:geheim-7@a'], hostnames: [a.example]}",
        "{name: x, trust: true, hostnames: [a.example], sni: 'user:geheim-7@a'}",
    ] {
        bench.write("c.yml", format!("certificates:\n  - {entry}\n"));
        for args in [["check", "-c", "c.yml"], ["config", "check", "c.yml"]] {
            let mut command = command();
            let run: Run = command
                .current_dir(bench.folder.path())
                .args(args)
                .output()
                .unwrap()
                .into();
            assert_eq!(run.code, 3, "{entry}: {run:?}");
            assert!(!run.stderr.contains("geheim-7"), "{entry}: {run:?}");
        }
    }
    bench.write("c.yml", "dns: ['user:geheim-7@192.0.2.1']\ncertificates:\n  - {trust: true, hostnames: [a.example]}\n");
    let run = bench.run(&["-c", "c.yml"]);
    assert!(run.code == 3 && !run.stderr.contains("geheim-7"), "{run:?}");
}

#[test]
fn verbose_reports_what_is_not_probed() {
    let bench = Bench::new();
    let leaf = bench.pki.leaf(&[HOST, "*.example.com", "a b.example.com"]);
    let chain = bench.pki.full_chain(&leaf);
    let chain = chain.to_str().unwrap();
    let unused = format!("{OTHER_HOST}:444:127.0.0.1");
    let refused = "www.example.com:443:127.0.0.9";
    let run = bench.run(&[
        "--cert",
        chain,
        "-v",
        "--resolve",
        &unused,
        "--resolve",
        refused,
    ]);
    for says in [
        "`*.example.com`",
        "`a b.example.com`",
        "wildcard",
        &unused,
        "not used",
    ] {
        assert!(run.stderr.contains(says), "{says}: {run:?}");
    }
    assert!(!run.stderr.contains(&format!("`{refused}`")), "{run:?}");
    let run = bench.run(&["--resolve", &unused, &bench.place()]);
    assert_eq!(run.stderr, "", "only with -v");
}

#[test]
fn each_slip_has_a_message_that_fits() {
    let bench = Bench::new();
    let chain = bench.pki.full_chain(&bench.leaf);
    fs::copy(chain, bench.folder.path().join("fullchain.pem")).unwrap();
    fs::copy(
        bench.folder.path().join("fullchain.pem"),
        bench.folder.path().join("certificate"),
    )
    .unwrap();
    bench.write("hosts.txt", "a.example\n");
    let in_folder = |args: &[&str]| -> Run {
        let mut command = command();
        command
            .current_dir(bench.folder.path())
            .args(args)
            .output()
            .unwrap()
            .into()
    };
    for (args, says) in [
        ("a.example", "did you mean `certvigil check a.example`?"),
        (
            "a.example:8443",
            "did you mean `certvigil check a.example:8443`?",
        ),
        (
            "https://a.example/",
            "did you mean `certvigil check https://a.example/`?",
        ),
        (
            "mx:a.example",
            "did you mean `certvigil check mx:a.example`?",
        ),
        ("localhost", "did you mean `certvigil check localhost`?"),
        (
            "https://u:p@a.example",
            "did you mean `certvigil check https://a.example`?",
        ),
        (
            "--cert x.pem a.example",
            "did you mean `certvigil check --cert x.pem a.example`?",
        ),
        (
            "-q a.example",
            "did you mean `certvigil check -q a.example`?",
        ),
        ("fullchain.pem", "`certvigil verify fullchain.pem`"),
        ("check fullchain.pem", "`certvigil verify fullchain.pem`"),
        (
            "check ./fullchain.pem",
            "`certvigil verify ./fullchain.pem`",
        ),
        ("check certificate", "`certvigil verify certificate`"),
        ("check hosts.txt", "`certvigil check --targets hosts.txt`"),
        ("check ./", "is a directory"),
        ("inspect fullchain.pem", "`certvigil verify fullchain.pem`"),
        ("check a.example 443", "did you mean `a.example:443`?"),
        (
            "check https://a.example 8443",
            "did you mean `https://a.example:8443`?",
        ),
        ("check 443", "`443` is a port without a host"),
        ("check :443", "has no host"),
        ("check a.example:", "empty port"),
        (
            "check https//a.example",
            "did you mean `https://a.example`?",
        ),
        (
            "check https:\\\\a.example",
            "did you mean `https://a.example`?",
        ),
        ("check https://", "has no host"),
        (
            "check http://a.example:80/",
            "did you mean `https://a.example`?",
        ),
        (
            "check a.example:443,b.example:443",
            "did you mean `a.example:443 b.example:443`?",
        ),
        ("check a.example,", "contains a comma"),
        ("check user@a.example", "contains a user name"),
        ("check mx://a.example", "did you mean `mx:a.example`?"),
        ("check a.example --port 443", "as HOST:PORT"),
        ("check a.example -p 443", "as HOST:PORT"),
        ("check --host a.example", "without a flag"),
        ("check a.example -servername b", "--sni"),
        ("check a.example --cacert x", "--ca-file"),
        ("check a.example --json", "--format json"),
        ("check a.example -o x", "--output"),
        ("check a.example -k", "continues"),
        ("check -f hosts.txt", "--targets"),
        ("check a.example --days 30", "--warn 30d"),
        ("check a.example:0", "write 1 to 65535"),
        ("check a.example:65536", "write 1 to 65535"),
        ("check 127.0.0.1:99999", "write 1 to 65535"),
        ("check a.example --timeout 10", "write it as 10s"),
        ("check a.example --cert", "a value is required"),
        ("check a.example --targets", "a value is required"),
        ("check a.example --at", "a value is required"),
        ("check a.example --at tomorrow", "or as +30d"),
        ("check a.example --color sometimes", "auto, always, never"),
        ("check a.example --cert ./", "directory"),
        ("check a.example --ca-file ./", "directory"),
        ("check a.example --crl-file ./", "directory"),
        (
            "check a.example --crl-file fullchain.pem",
            "has no revocation list",
        ),
        (
            "check a.example --crl-file hosts.txt",
            "give a file with a revocation list",
        ),
        ("check a.example -c ./", "directory"),
        ("check a.example --output ./", "directory"),
        (
            "check a.example --client-cert fullchain.pem --client-key ./",
            "directory",
        ),
        ("check 2001:db8::1%eth0", "only link-local addresses"),
        (
            "check fe80::1%no-such-interface",
            "no network interface `no-such-interface`",
        ),
        ("check [fe80::1%25nosuch0]:443", "zone"),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let run = in_folder(&args);
        assert_one_line(&run, &[says], &args);
        assert_eq!(run.code, 3, "{args:?}");
    }
    let pin = "ab".repeat(32);
    let run = in_folder(&["check", "a.example", "--cert", "x", "--fingerprint", &pin]);
    assert_one_line(
        &run,
        &["'--cert <FILE>'", "cannot be used with", "'--fingerprint"],
        &"both",
    );
    // The configuration of a host may have the host's name.
    bench.write("other.example.com", "server {}\n");
    let place = format!("{OTHER_HOST}:{}", bench.server.port());
    assert_eq!(bench.run(&[&place]).code, 0);
    let resolve = format!("{OTHER_HOST}:443:127.0.0.9");
    let run = bench.run(&["--resolve", &resolve, OTHER_HOST]);
    assert!(run.stdout.contains("connect_refused"), "{run:?}");
}

#[test]
fn names_that_clients_accept_are_probed() {
    let pki = Pki::new();
    let names = ["xn--a.example.com", "a_b.example.com"];
    let leaf = pki.leaf(&names);
    let server = Server::tls("127.0.0.1", config(&pki, &leaf));
    for name in names {
        let row = Check::new(&pki)
            .at(name, &["127.0.0.1"], server.port())
            .row();
        assert_eq!(row.flag("trusted"), Some(true), "{row:?}");
        assert_eq!(row.text("/hostname"), name);
    }
    let target = format!("A_B.Example.COM.:{}\r", server.port());
    let resolve = format!("*:{}:127.0.0.1", server.port());
    let row = Check::new(&pki)
        .arg(target)
        .args(&["--resolve", &resolve])
        .row();
    assert_eq!(row.text("/hostname"), "a_b.example.com");
}

/// A client certificate file in an order that is not that of TLS.
#[test]
fn a_client_certificate_may_be_anywhere_in_its_file() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let client = pki.leaf(&["client.example.com"]);
    let [root, lower, own] = [
        &pki.root.certificate,
        &pki.intermediate.certificate,
        &client.certificate,
    ];
    for order in [
        vec![root, lower, own],
        vec![lower, own],
        vec![own, root, lower],
    ] {
        let guard = std::sync::Arc::new(Guard::default());
        let server = Server::tls(
            "127.0.0.1",
            crate::common::client_auth::asking(&pki, &leaf, guard.clone()),
        );
        let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port())
            .arg("--client-cert")
            .arg(pki.chain(&order))
            .arg("--client-key")
            .arg(&client.key)
            .row();
        row.assert_right(&[]);
        guard.assert_saw(&client);
    }
    let other = pki.leaf(&["other.example.com"]);
    let run = Check::of(&pki, &leaf, &["127.0.0.1"], 1)
        .arg("--client-cert")
        .arg(pki.chain(&[own, lower]))
        .arg("--client-key")
        .arg(&other.key)
        .run();
    assert!(
        run.stderr
            .contains("the key is not that of the certificate"),
        "{run:?}"
    );
}
