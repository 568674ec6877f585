//! Judges certificate installations, without I/O: compares served certificates with expected ones,
//! validates paths, and reports findings.
//!
//! Time, trusted roots, DNS records and revocation data are arguments. The same arguments always
//! give the same findings.
//!
//! # Example
//!
//! Judges the certificates of a file against the certificate that a server should have, as of two
//! times:
//!
//! ```
//! use std::sync::Arc;
//!
//! use certvigil_core::certificate::parse_certificates;
//! use certvigil_core::finding::Code;
//! use certvigil_core::instance::{Expectation, Expected, Instance, Instances, SourceKind};
//! use certvigil_core::judge::{Judged, Rules, TrustStore, judge};
//! use certvigil_core::model::{KeyType, Protocol, Target, Timestamp, Timings, Vantage};
//! use certvigil_core::observation::{FileFacts, Observation, Outcome, Served};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/certificate/revocation/testdata");
//! let chain = parse_certificates(&std::fs::read(format!("{folder}/leaf.pem"))?)?;
//! let roots = parse_certificates(&std::fs::read(format!("{folder}/ca.pem"))?)?;
//!
//! // The roots that clients trust.
//! let mut trust = TrustStore::default();
//! for root in &roots {
//!     trust.add(root)?;
//! }
//!
//! // The certificate that the server should have, and the one that it has.
//! let expected = Instance::from_chain(chain.clone())?;
//! let expected = Arc::new(Expected {
//!     source: SourceKind::Pem,
//!     what: Expectation::Instances(Box::new(Instances::only(expected))),
//! });
//! let hostname: certvigil_core::model::Hostname = "www.example.com".parse()?;
//! let judge_at = |now: Timestamp| -> Judged {
//!     let (leaf, rest) = (chain[0].clone(), chain[1..].to_vec());
//!     let served = Served::from_file(leaf, rest, FileFacts::default());
//!     let mut target = Target::new("www", hostname.clone(), 0, Protocol::File);
//!     target.names = [hostname.clone()].into();
//!     let observation = Observation {
//!         target: target.into(),
//!         ip: None,
//!         key_type: KeyType::Any,
//!         vantage: Vantage::local(),
//!         timings: Timings::default(),
//!         outcome: Outcome::Served(Box::new(served)),
//!     };
//!     judge(Some(&expected), observation, &trust, &Rules::default(), now)
//! };
//!
//! let judged = judge_at("2027-01-01T00:00:00Z".parse()?);
//! assert!(judged.path_expiry.is_some(), "a path to a root is valid");
//!
//! let judged = judge_at("2046-02-01T00:00:00Z".parse()?);
//! for finding in &judged.findings {
//!     println!("{}: {}", finding.code().name(), finding.message());
//! }
//! assert!(judged.findings.iter().any(|finding| finding.code() == Code::Expired));
//! # Ok(())
//! # }
//! ```
//!
//! # Exhaustive enums
//!
//! Error types are `#[non_exhaustive]`. The enums that decide a result are not: [`finding::Code`],
//! [`finding::Detail`], [`observation::ErrorKind`], [`observation::Outcome`], [`judge::Verdict`] and
//! [`model::Protocol`]. A new variant must not compile until every output handles it, because a
//! catch-all could report a fault as nothing.

#[cfg(any(test, feature = "authority"))]
pub mod authority;
pub mod certificate;
mod code;
pub mod finding;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
pub mod instance;
pub mod judge;
pub mod mail;
pub mod model;
pub mod mta_sts;
pub mod observation;
pub mod tlsa;
