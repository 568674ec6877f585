//! Runs the program as a user would, isolated from the user's own files and environment.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Exit status and output of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The result of `--format json`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("not JSON: {e}\n{}\n{}", self.stdout, self.stderr))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program, without anything in the user's environment that could change its behaviour.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certvigil"));
    command
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("SSLMATE_API_KEY")
        .env_remove("COLUMNS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .stdin(Stdio::null());
    for proxy in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(proxy);
    }
    command
}

/// Gives a command that starts the program, such as a shell, the isolated environment.
pub(crate) fn isolate(starter: &mut Command) -> &mut Command {
    for (name, value) in command().get_envs() {
        match value {
            Some(value) => starter.env(name, value),
            None => starter.env_remove(name),
        };
    }
    starter.stdin(Stdio::null())
}

/// A shell with the program on its PATH and the isolated environment.
pub(crate) fn shell() -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_certvigil")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    isolate(&mut shell).env("PATH", format!("{}:{path}", built.display()));
    shell
}

/// The program with its arguments, run by a shell that sets limits first, such as `ulimit -n 64`.
pub(crate) fn limited(program: &Command, limits: &str) -> Command {
    let mut shell = Command::new("sh");
    isolate(&mut shell)
        .args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")])
        .arg(program.get_program())
        .args(program.get_args());
    shell
}

/// Tests the cases concurrently, each in a thread. Fails if one of them fails.
pub(crate) fn for_each_concurrently<T: Send>(
    cases: impl IntoIterator<Item = T>,
    test: impl Fn(T) + Sync,
) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| test(case));
        }
    });
}

/// Environment variable that makes tests rewrite the files they compare with.
pub(crate) const REWRITE: &str = "CERTVIGIL_REWRITE";

/// Content of a file of the repository that a test compares with `now`. If [`REWRITE`] is set,
/// writes `now` to the file first.
pub(crate) fn recorded(path: &str, now: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&file, now).unwrap();
    }
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Shell commands that limit data to 64 MiB (the heap and thread-local data), and threads to those
/// of a small machine.
pub(crate) const LIMITED_MEMORY: &str = "export TOKIO_WORKER_THREADS=2 && ulimit -d 65536";

/// Runs the program until it exits.
pub(crate) fn certvigil<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    command().args(args).output().unwrap().into()
}

/// A loopback port at which nothing listens, and which no other process gets while this value
/// lives: it is bound, but does not listen.
pub(crate) struct Refusing(tokio::net::TcpSocket);

impl Refusing {
    pub(crate) fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn place(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }
}

pub(crate) fn assert_one_line(run: &Run, says: &[&str], args: &impl std::fmt::Debug) {
    assert_eq!(run.stdout, "", "{args:?}: {run:?}");
    assert!(run.stderr.starts_with("error: "), "{args:?}: {run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{args:?}: {run:?}");
    for part in says {
        assert!(run.stderr.contains(part), "{args:?}: {part}: {run:?}");
    }
}

pub(crate) fn hook(client: &str) -> PathBuf {
    root().join(format!("dist/hooks/{client}.sh"))
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
