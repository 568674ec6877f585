//! The monitor, as a process of its own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// The program itself, killed on drop.
pub(crate) struct Monitor {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Monitor {
    /// Starts it in a folder, where its configuration is.
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
        let began = Instant::now();
        let address = loop {
            let text = fs::read_to_string(&log).unwrap();
            let told = text
                .split_once("listening on ")
                .and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((address, _)) = told {
                break address.trim().parse().unwrap();
            }
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{text}");
            thread::sleep(Duration::from_millis(10));
        };
        Self {
            child,
            address,
            log,
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The body of an answer; `None` where it is not a good one.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        self.ask("GET", path)
    }

    pub(crate) fn reload(&self) {
        let answer = self.ask("POST", "/-/reload");
        assert!(answer.is_some(), "a reload failed: {}", self.log());
    }

    fn ask(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
