//! The monitor in a process of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::common::{ask, is_good, listening};

/// A monitor process, killed on drop.
pub(crate) struct Monitor {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Monitor {
    /// Starts the monitor in the folder of its configuration.
    pub(crate) fn start(folder: &Path) -> Self {
        let log = folder.join("log");
        let built = env!("CARGO_BIN_EXE_certvigil").to_owned();
        let mut child = Command::new(std::env::var("SOAK_PROGRAM").unwrap_or(built))
            .args(["serve", "--config", "certvigil.yml", "--state-dir", "state"])
            .args(["--web.listen-address", "127.0.0.1:0"])
            .current_dir(folder)
            .env_remove("SSLMATE_API_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let address = listening(&mut child, &log);
        Self {
            child,
            address,
            log,
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The body of a response, or `None` if the status is not 200.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        self.ask("GET", path)
    }

    pub(crate) fn reload(&self) {
        let answer = self.ask("POST", "/-/reload");
        assert!(answer.is_some(), "a reload failed: {}", self.log());
    }

    fn ask(&self, method: &str, path: &str) -> Option<String> {
        let (head, body) = ask(self.address, method, path);
        is_good(&head).then_some(body)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
