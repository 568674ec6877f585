//! The recorded answers: `data/cases.jsonl`, `data/certificates.jsonl.gz` and `data/versions.json`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::spec::Case;

/// Length in hexadecimal digits of the short SHA-256 fingerprints by which cases refer to
/// certificates.
const SHORT: usize = 12;
const LINE_OF_PEM: usize = 64;

/// A case with the answer of each client: `ok` or its message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) id: String,
    pub(crate) host: String,
    /// Time of the recording, RFC 3339.
    pub(crate) at: String,
    /// Short fingerprints, in the order of the handshake.
    pub(crate) served: Vec<String>,
    pub(crate) roots: Vec<String>,
    pub(crate) clients: BTreeMap<String, String>,
}

impl Recorded {
    pub(crate) fn at(&self) -> OffsetDateTime {
        OffsetDateTime::parse(&self.at, &Rfc3339).unwrap()
    }
}

#[derive(Default)]
pub(crate) struct Record {
    pub(crate) cases: Vec<Recorded>,
    pub(crate) certificates: HashMap<String, Vec<u8>>,
    /// The clients' versions.
    pub(crate) versions: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    h: String,
    der: String,
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/servers/clients/data")
        .join(file)
}

pub(crate) fn short(der: &[u8]) -> String {
    let hash = digest(&SHA256, der);
    let hex: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    hex[..SHORT].to_owned()
}

pub(crate) fn pem(certificates: &[Vec<u8>]) -> String {
    let mut out = String::new();
    for der in certificates {
        out.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(der).as_bytes().chunks(LINE_OF_PEM) {
            out.push_str(std::str::from_utf8(line).unwrap());
            out.push('\n');
        }
        out.push_str("-----END CERTIFICATE-----\n");
    }
    out
}

impl Record {
    pub(crate) fn read() -> Self {
        let lines = |file: &str| BufReader::new(File::open(path(file)).unwrap());
        let cases = lines("cases.jsonl")
            .lines()
            .map(|l| serde_json::from_str(&l.unwrap()).unwrap())
            .collect();
        let certificates = BufReader::new(GzDecoder::new(lines("certificates.jsonl.gz")))
            .lines()
            .map(|l| serde_json::from_str(&l.unwrap()).unwrap())
            .map(|l: Line| (l.h, STANDARD.decode(l.der).unwrap()))
            .collect();
        let versions = serde_json::from_reader(lines("versions.json")).unwrap();
        Self {
            cases,
            certificates,
            versions,
        }
    }

    /// Adds certificates and returns their short fingerprints.
    pub(crate) fn keep(&mut self, certificates: &[Vec<u8>]) -> Vec<String> {
        certificates
            .iter()
            .map(|der| {
                let h = short(der);
                let known = self.certificates.insert(h.clone(), der.clone());
                assert!(known.is_none_or(|k| k == *der), "two certificates are {h}");
                h
            })
            .collect()
    }

    /// Returns certificates by their short fingerprints.
    pub(crate) fn pick(&self, fingerprints: &[String]) -> Vec<Vec<u8>> {
        fingerprints
            .iter()
            .map(|h| self.certificates[h].clone())
            .collect()
    }

    /// Adds the cases of another record, in the order of the corpus, and removes those that the
    /// corpus lacks.
    ///
    /// # Panics
    ///
    /// If a client has another version than in the record: then all cases must be recorded again.
    pub(crate) fn merge(&mut self, new: Self, corpus: &[Case]) {
        assert_eq!(
            self.versions, new.versions,
            "run `make clients` without `new`"
        );
        self.certificates.extend(new.certificates);
        self.cases.extend(new.cases);
        let place = |id: &str| corpus.iter().position(|c| c.id == id);
        self.cases.retain(|c| place(&c.id).is_some());
        self.cases.sort_by_key(|c| place(&c.id));
    }

    pub(crate) fn write(&self) {
        let folder = path("");
        fs::create_dir_all(folder).unwrap();
        let mut cases = String::new();
        for case in &self.cases {
            cases.push_str(&serde_json::to_string(case).unwrap());
            cases.push('\n');
        }
        fs::write(path("cases.jsonl"), cases).unwrap();
        let file = File::create(path("certificates.jsonl.gz")).unwrap();
        let mut gz = GzBuilder::new().mtime(0).write(file, Compression::best());
        let mut written = std::collections::HashSet::new();
        for h in self
            .cases
            .iter()
            .flat_map(|c| c.served.iter().chain(&c.roots))
        {
            if written.insert(h) {
                let der = STANDARD.encode(&self.certificates[h]);
                let line = serde_json::to_string(&Line { h: h.clone(), der }).unwrap();
                writeln!(gz, "{line}").unwrap();
            }
        }
        gz.finish().unwrap();
        let versions = serde_json::to_string_pretty(&self.versions).unwrap();
        fs::write(path("versions.json"), format!("{versions}\n")).unwrap();
    }
}
