//! A rollout: one of two servers still serves the old certificate.

use crate::fixture::check::Check;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::free_port;
use crate::fixture::tls::{Server, config};

/// A renewed certificate, a server that has it and one that does not.
pub(crate) struct Rollout {
    pub(crate) pki: Pki,
    pub(crate) new: Leaf,
    pub(crate) servers: [Server; 2],
    pub(crate) port: u16,
}

pub(crate) const ADDRESSES: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

impl Rollout {
    pub(crate) fn new() -> Self {
        let pki = Pki::new();
        let (old, new) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
        let port = free_port();
        let at = |address: &str, leaf: &Leaf| {
            let listener = std::net::TcpListener::bind((address, port)).unwrap();
            Server::tls_at(listener, config(&pki, leaf))
        };
        let servers = [at(ADDRESSES[0], &new), at(ADDRESSES[1], &old)];
        Self {
            servers,
            pki,
            new,
            port,
        }
    }

    pub(crate) fn check(&self) -> Check {
        Check::of(&self.pki, &self.new, &ADDRESSES, self.port)
    }

    /// The same command as a shell line.
    pub(crate) fn words(&self) -> String {
        format!(
            "check --no-system-roots --ca-file {} --cert {} {HOST}:{port} --resolve {HOST}:{port}:{}",
            self.pki.path("root.pem").display(),
            self.pki.full_chain(&self.new).display(),
            ADDRESSES.join(","),
            port = self.port
        )
    }

    pub(crate) fn finish(&self) {
        self.servers[1].serve(config(&self.pki, &self.new));
    }
}
