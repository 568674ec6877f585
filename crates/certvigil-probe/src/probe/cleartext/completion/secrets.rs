//! Secrets of TLS 1.2: master secret, key block, and the content of the Finished messages (RFC 5246,
//! sections 5, 6.3, 7.4.9 and 8.1; RFC 7627, section 4).

use aws_lc_rs::digest::{self, SHA256, SHA384};
use aws_lc_rs::tls_prf::{P_SHA256, P_SHA384, Secret};

use super::super::hello::Random;
use super::super::reader::ServerHello;

/// Length of the master secret, in bytes.
const MASTER: usize = 48;
/// Length of the content of a Finished message, in bytes.
pub(super) const VERIFY_DATA: usize = 12;

/// Hash of a cipher suite's pseudorandom function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    fn of(self, messages: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
        };
        digest::digest(algorithm, messages)
    }

    /// Derives bytes with the pseudorandom function. `None` if the library fails.
    fn derive(self, secret: &[u8], label: &[u8], seed: &[u8], length: usize) -> Option<Vec<u8>> {
        let algorithm = match self {
            Self::Sha256 => &P_SHA256,
            Self::Sha384 => &P_SHA384,
        };
        let secret = Secret::new(algorithm, secret).ok()?;
        let derived = secret.derive(label, seed, length).ok()?;
        Some(derived.as_ref().to_vec())
    }
}

/// Side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// Master secret, with the randoms of the handshake.
pub(super) struct Master<'a> {
    hash: Hash,
    secret: Vec<u8>,
    client: &'a Random,
    server: &'a Random,
}

impl<'a> Master<'a> {
    /// Derives the master secret from the premaster secret. `messages` are the messages of the
    /// handshake up to the ClientKeyExchange.
    pub(super) fn derive(
        hash: Hash,
        premaster: &[u8],
        client: &'a Random,
        hello: &'a ServerHello,
        messages: &[u8],
    ) -> Option<Self> {
        let server = &hello.random;
        let secret = if hello.extended_master_secret {
            let session = hash.of(messages);
            let label = b"extended master secret";
            hash.derive(premaster, label, session.as_ref(), MASTER)?
        } else {
            let seed = [&client[..], server].concat();
            hash.derive(premaster, b"master secret", &seed, MASTER)?
        };
        Some(Self {
            hash,
            secret,
            client,
            server,
        })
    }

    /// Returns the key block, of this length in bytes.
    pub(super) fn key_block(&self, length: usize) -> Option<Vec<u8>> {
        let seed = [&self.server[..], self.client].concat();
        self.hash
            .derive(&self.secret, b"key expansion", &seed, length)
    }

    /// Returns the secret that derives the Finished messages.
    pub(super) fn finished(&self) -> Finished {
        Finished {
            hash: self.hash,
            secret: self.secret.clone(),
        }
    }
}

/// Secret that derives the Finished messages.
pub(super) struct Finished {
    hash: Hash,
    secret: Vec<u8>,
}

impl Finished {
    /// Returns the content of a side's Finished after these messages of the handshake.
    pub(super) fn of(&self, side: Side, messages: &[u8]) -> Option<Vec<u8>> {
        let label: &[u8] = match side {
            Side::Client => b"client finished",
            Side::Server => b"server finished",
        };
        let seen = self.hash.of(messages);
        self.hash
            .derive(&self.secret, label, seen.as_ref(), VERIFY_DATA)
    }
}
