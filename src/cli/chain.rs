//! `certvigil chain`: prints the certificate file that a server needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgGroup;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::certificate::{Certificate, Facts, Link, certifies, read_certificates};
use crate::config::{Inventory, SourceSettings, SslmateSettings};
use crate::error::Cause;
use crate::instance::State;
use crate::judge::{Bundle, ChainEnd, TrustStore};
use crate::model::Timestamp;
use crate::source::{IssuerError, Requests, SourceError, Sources};
use crate::trust;
use certvigil_probe::io::{read_certificate_file, read_password};

use super::error::{Error, FlagsError};
use super::flags::{parse_positive, parse_url};
use super::{Code, block_on, now, output, plan};

/// Maximum issuers fetched for one file. Chains have one to three intermediates.
const MAX_FETCHED: usize = 8;

/// Print the certificate file that a server needs: the leaf, then its chain
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("source").args(["cert", "sslmate", "download"]).required(true))]
pub(super) struct Args {
    /// Path to the leaf certificate, with none, some or all of its chain, in any order: PEM, DER, PKCS #7
    /// or PKCS #12
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// Path to a file with the password of a PKCS #12 file of --cert, in its first line
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_password_file: Option<PathBuf>,

    /// Common name of the certificate in the SSLMate account (its active instance)
    #[arg(long, value_name = "CN")]
    sslmate: Option<String>,

    /// SSLMate download URL (current_download) of the certificate
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    download: Option<String>,

    /// Path to the configuration file with the SSLMate account and the trusted roots
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Path to a file with additional trusted roots: PEM, DER, PKCS #7 or PKCS #12; repeatable
    #[arg(long, value_name = "FILE")]
    ca_file: Vec<PathBuf>,

    /// Do not trust the system's root certificates
    #[arg(long)]
    no_system_roots: bool,

    /// Maximum duration of all downloads together
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_positive)]
    timeout: Duration,

    /// Write to this file instead of stdout; - is stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Code {
    let written = block_on(async {
        let destination = output::Destination::of(output::file(args.output.as_deref()))?;
        let pem = chain(args).await?;
        Ok(destination.finish(&pem, Code::Ok)?)
    });
    written.unwrap_or_else(|error| output::fail(&error))
}

async fn chain(args: &Args) -> Result<String, Error> {
    let deadline = Instant::now() + args.timeout;
    let mut inventory = match &args.config {
        Some(file) => plan::read_inventory(file)?,
        None => Inventory::default(),
    };
    if args.sslmate.is_some() && inventory.sslmate.is_none() {
        inventory.sslmate = Some(SslmateSettings::default());
    }
    inventory.trust.system &= !args.no_system_roots;
    inventory
        .trust
        .ca_files
        .extend(args.ca_file.iter().cloned());
    let trust = trust::load(&inventory.trust).map_err(Error::resource)?;
    let sources = Sources::new(&inventory, &plan::environment(), Requests::default())?;

    let given = match (&args.cert, &args.sslmate, &args.download) {
        (Some(file), _, _) => {
            let password = args.cert_password_file.as_deref().map(read_password);
            let password = password.transpose().map_err(Error::resource)?;
            Given::of_file(file, password, trust)?
        }
        (_, Some(cn), _) => {
            let source = SourceSettings::Sslmate(cn.to_ascii_lowercase());
            Given::of_source(&sources, cn, &source, trust, deadline).await?
        }
        (_, _, Some(url)) => {
            let source = SourceSettings::Download(url.clone());
            // The URL may be a secret, so errors do not name it.
            Given::of_source(&sources, "the download", &source, trust, deadline).await?
        }
        (None, None, None) => return Err(FlagsError::NoCertificate.into()),
    };
    let name = given.name.clone();
    let completed = given.complete(&sources, deadline, now()).await;
    let bundle = completed.map_err(|reason| ChainError {
        name,
        reason: reason.into(),
    })?;
    Ok(bundle.to_pem())
}

/// Reason why the chain of a certificate cannot be completed.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub(super) struct ChainError {
    /// Name of the file or source.
    name: String,
    reason: Box<ChainReason>,
}

/// Fault of a certificate, or of its chain.
#[derive(Debug, thiserror::Error)]
enum ChainReason {
    /// The file has no certificate.
    #[error("{0}; give a file with the certificate")]
    File(Cause),
    /// The source returned no certificate yet.
    #[error("no certificate has been issued yet; try again after it is issued")]
    NotIssued,
    /// The source failed.
    #[error("{0}")]
    Source(SourceError),
    /// The certificates are no chain.
    #[error("{0}")]
    Arrange(Cause),
    /// A certificate cannot be parsed.
    #[error("{0}")]
    Malformed(Cause),
    /// The chain ends at a root that is not trusted.
    #[error(
        "the chain ends at `{0}`, which is not a trusted root; if clients trust it, give it with --ca-file"
    )]
    UntrustedRoot(String),
    /// The chain is a loop.
    #[error("the chain is a loop without a trusted root; give the root with --ca-file")]
    Loop,
    /// The chain is too long.
    #[error(
        "no trusted root found after {MAX_FETCHED} downloaded certificates; give the root with --ca-file"
    )]
    TooMany,
    /// An issuer is missing.
    #[error(
        "`{issuer}`, the issuer of `{subject}`, is missing{why}; append its PEM to the file, or give the root with --ca-file"
    )]
    MissingIssuer {
        /// Distinguished name of the issuer.
        issuer: String,
        /// Distinguished name of the certificate.
        subject: String,
        /// Reason why it could not be fetched.
        why: IssuerFault,
    },
}

/// Reason why an issuer could not be fetched. It continues a sentence.
#[derive(Debug, thiserror::Error)]
enum IssuerFault {
    /// The certificate has no caIssuers URL.
    #[error(
        ": it is neither in the file nor a trusted root, and the certificate has no URL for it"
    )]
    NoUrl,
    /// The request failed.
    #[error(" and cannot be fetched from {url}: {error}")]
    Fetch {
        /// URL of the request.
        url: String,
        /// Failure of the request.
        error: IssuerError,
    },
    /// The signature has an algorithm that cannot be verified.
    #[error(": certvigil cannot verify that the certificate at {url} is the issuer")]
    Unverifiable {
        /// URL of the request.
        url: String,
    },
    /// The response has other certificates.
    #[error(": {url} has {}, which did not sign it", names.join(", "))]
    Others {
        /// URL of the request.
        url: String,
        /// Their quoted distinguished names.
        names: Vec<String>,
    },
}

/// Certificates and trusted roots from which the chain is built.
struct Given {
    /// Name of the file or source in errors.
    name: String,
    certificates: Vec<Certificate>,
    trust: TrustStore,
    /// True if the source supplied the chain. It is then accepted as it is, even if it does not
    /// lead to a trusted root.
    is_whole: bool,
}

impl Given {
    fn of_file(
        file: &Path,
        password: Option<SecretString>,
        trust: TrustStore,
    ) -> Result<Self, ChainError> {
        let name = file.display().to_string();
        let password = password.as_ref().map(ExposeSecret::expose_secret);
        let unusable = |cause| ChainError {
            name: name.clone(),
            reason: ChainReason::File(cause).into(),
        };
        let bytes = read_certificate_file(file).map_err(|e| unusable(e.into()))?;
        let certificates = read_certificates(&bytes, password);
        let certificates = certificates.map_err(|e| unusable(e.to_string().into()))?;
        Ok(Self {
            name,
            certificates,
            trust,
            is_whole: false,
        })
    }

    /// Reads the certificate from a source that also supplies its chain and its root.
    async fn of_source(
        sources: &Sources,
        name: &str,
        source: &SourceSettings,
        mut trust: TrustStore,
        deadline: Instant,
    ) -> Result<Self, ChainError> {
        let instance = sources.instance(source, deadline).await;
        let instance = instance.map_err(|error| ChainError {
            name: name.to_owned(),
            reason: Box::new(match error {
                SourceError::NotIssued(_) => ChainReason::NotIssued,
                other => ChainReason::Source(other),
            }),
        })?;
        if instance.state == State::Pending {
            output::note("this is a temporary certificate; no certificate has been issued yet");
        }
        if let Some(root) = &instance.root {
            // A root that cannot be parsed matters only if the chain is missing too.
            let _ = trust.add(root);
        }
        let is_whole = !instance.chain.is_empty();
        let mut certificates = vec![instance.leaf];
        certificates.extend(instance.chain);
        Ok(Self {
            name: name.to_owned(),
            certificates,
            trust,
            is_whole,
        })
    }

    /// Returns the bundle without intermediates that have expired or are not yet valid, if some are
    /// and the others lead to a trusted root too.
    fn without_expired(&self, bundle: &Bundle, now: Timestamp) -> Option<Bundle> {
        let is_valid = |c: &Certificate| {
            let validity = c.facts().ok().and_then(Facts::validity);
            validity.is_none_or(|(not_before, not_after)| not_before <= now && now <= not_after)
        };
        let mut expired = bundle.chain.iter().filter(|c| !is_valid(c)).peekable();
        expired.peek()?;
        let kept = self.certificates.iter();
        let kept = kept.filter(|c| **c == bundle.leaf || is_valid(c)).cloned();
        let valid = Bundle::arrange(&kept.collect::<Vec<_>>(), &self.trust, now).ok()?;
        if valid.end != ChainEnd::Complete || valid.leaf != bundle.leaf {
            return None;
        }
        for certificate in expired {
            output::note(&format!(
                "`{}` is left out: it is not valid now, and clients do not need it",
                certificate.subject()
            ));
        }
        Some(valid)
    }

    /// Fetches issuers until a trusted root issued the last certificate. Intermediates that are not
    /// valid now are left out if the others suffice.
    async fn complete(
        mut self,
        sources: &Sources,
        deadline: Instant,
        now: Timestamp,
    ) -> Result<Bundle, ChainReason> {
        let mut fetched = 0;
        loop {
            let bundle = Bundle::arrange(&self.certificates, &self.trust, now)
                .map_err(|error| ChainReason::Arrange(error.to_string().into()))?;
            if let Some(valid) = self.without_expired(&bundle, now) {
                return Ok(valid);
            }
            let below = match &bundle.end {
                ChainEnd::Complete => return Ok(bundle),
                ChainEnd::Missing(_) | ChainEnd::Untrusted(_)
                    if self.is_whole && !bundle.chain.is_empty() =>
                {
                    return Ok(bundle);
                }
                ChainEnd::Missing(below) => below,
                ChainEnd::Untrusted(root) => {
                    return Err(ChainReason::UntrustedRoot(root.subject().to_string()));
                }
                ChainEnd::Circle => return Err(ChainReason::Loop),
            };
            if fetched == MAX_FETCHED {
                return Err(ChainReason::TooMany);
            }
            let issuer = fetch_issuer(below, sources, deadline).await?;
            self.certificates.push(issuer);
            fetched += 1;
        }
    }
}

/// Fetches the certificate's issuer from the caIssuers URLs in the certificate.
async fn fetch_issuer(
    below: &Certificate,
    sources: &Sources,
    deadline: Instant,
) -> Result<Certificate, ChainReason> {
    let facts = below.facts();
    let facts = facts.map_err(|e| ChainReason::Malformed(e.to_string().into()))?;
    let missing = |why| ChainReason::MissingIssuer {
        issuer: facts.issuer.to_string(),
        subject: facts.subject.to_string(),
        why,
    };
    let Some(url) = &facts.issuer_url else {
        return Err(missing(IssuerFault::NoUrl));
    };
    tracing::info!(
        "fetching issuer certificate: issuer=`{}` url={url}",
        facts.issuer
    );
    let found = sources.issuers(url, deadline).await;
    let found = found.map_err(|error| {
        missing(IssuerFault::Fetch {
            url: url.clone(),
            error,
        })
    })?;
    let issuer = |link| found.iter().find(|c| certifies(c, below) == link);
    if let Some(issuer) = issuer(Link::Verified) {
        return Ok(issuer.clone());
    }
    if issuer(Link::Unverifiable).is_some() {
        return Err(missing(IssuerFault::Unverifiable { url: url.clone() }));
    }
    let names: Vec<String> = found
        .iter()
        .take(MAX_LISTED_NAMES)
        .map(|c| format!("`{}`", c.subject()))
        .collect();
    Err(missing(IssuerFault::Others {
        url: url.clone(),
        names,
    }))
}

/// Maximum certificates named in the error if none of them is the issuer.
const MAX_LISTED_NAMES: usize = 3;
