//! Runs the program as a user would, away from the user's own files and variables.

use std::process::{Command, Output, Stdio};

/// How a run ended and what it wrote.
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

/// The program, with nothing of the user's surroundings that could change what it does.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certvigil"));
    command
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("SSLMATE_API_KEY")
        .env_remove("COLUMNS")
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

/// What a shell says for 64 MiB of data, which is the heap and what threads have for themselves, and as many threads as
/// a small machine has.
pub(crate) const LITTLE_MEMORY: &str = "export TOKIO_WORKER_THREADS=2 && ulimit -d 65536";

/// Runs the program to its end.
pub(crate) fn certvigil<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    command().args(args).output().unwrap().into()
}

/// A loopback port at which nothing listens, and which nobody else gets as long as this lives: it is bound,
/// but does not listen.
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
