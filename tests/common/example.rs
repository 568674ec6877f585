//! The files of the documentation's examples.

use crate::fixture::pki::{HOST, Pki};
use crate::fixture::tls::{self, Server};
use crate::support::{Run, command};
use std::fs;
use std::path::Path;

/// Files for the documentation's examples: a renewed certificate, and a server that still serves
/// the old one. The server stops when the result is dropped.
pub(crate) fn example(folder: &Path) -> Server {
    let pki = Pki::new();
    let (old, new) = (pki.older_leaf(&[HOST]), pki.leaf(&[HOST]));
    for (name, file) in [
        ("root.pem", pki.path("root.pem")),
        ("intermediate.pem", pki.path("intermediate.pem")),
        ("cert.pem", pki.chain(&[&new.certificate])),
        ("fullchain.pem", pki.full_chain(&new)),
        ("old.pem", pki.full_chain(&old)),
    ] {
        fs::copy(file, folder.join(name)).unwrap();
    }
    Server::tls("127.0.0.1", tls::config(&pki, &old))
}

pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = example(folder.path());
        Self { server, folder }
    }

    /// Checks the server against this file of expected certificates.
    pub(crate) fn check(&self, expected: &str, more: &[&str]) -> Run {
        let place = format!("{HOST}:{}", self.server.port());
        let mut command = command();
        command
            .current_dir(self.folder.path())
            .args(["check", "--no-system-roots", "--ca-file", "root.pem"])
            .args(["--cert", expected, &place, "--resolve"])
            .arg(format!("{place}:127.0.0.1"))
            .args(more);
        command.output().unwrap().into()
    }
}

pub(crate) const WRONG: &str = "fullchain.pem";

pub(crate) const RIGHT: &str = "old.pem";
