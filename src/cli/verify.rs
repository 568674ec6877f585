//! `certvigil verify`: judges certificate files before they are installed, without a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use certvigil_probe::io::{is_stream, read_certificate_file_within, read_password_within};
use clap::{ArgGroup, ValueHint};

use crate::certificate::{Fingerprint, KeyOfFile, PublicKeyHash, read_private_keys};
use crate::config::{FoundPlace, Inventory, SslmateSettings};
use crate::model::{Hostname, RevocationCheck, Threshold, Thresholds};
use crate::report::{self, Gap};
use crate::source::{Requests, Sources};

use super::error::{Error, FlagsError};
use super::exit::FailOn;
use super::flags::{RootArgs, parse_positive};
use super::plan::{self, Wanted};
use super::rendering::{Format, Rendering};
use super::time::At;
use super::{Code, block_on, now, output};

/// Maximum files that are read concurrently.
const CONCURRENCY: usize = 32;

/// Judge certificate files before they are installed
#[derive(Debug, clap::Args)]
#[command(
    group = ArgGroup::new("expected").args(["cert", "fingerprint", "pubkey_hash", "sslmate"]),
    after_help = EXAMPLES
)]
pub(super) struct Args {
    /// Certificate files, each with a certificate followed by its chain: PEM, DER, PKCS #7 or PKCS #12; - is stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Name that the certificate of every FILE must match; repeatable
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Hostname, help_heading = "Judging")]
    hostname: Vec<Hostname>,

    /// Path to the private key (PEM or DER: PKCS #1, PKCS #8 or SEC 1, unencrypted); repeat for a pair of an
    /// RSA and an ECDSA certificate: each FILE must belong to one of the keys
    #[arg(long, value_name = "FILE", help_heading = "Judging")]
    key: Vec<PathBuf>,

    /// Path to the expected certificate, optionally with its chain; repeat to accept any of several
    #[arg(long, value_name = "FILE", help_heading = "Expected certificate")]
    cert: Vec<PathBuf>,

    /// SHA-256 fingerprint of the expected certificate, colons allowed; repeat to accept any of several
    #[arg(long, value_name = "HEX", value_hint = ValueHint::Other, help_heading = "Expected certificate")]
    fingerprint: Vec<Fingerprint>,

    /// SHA-256 hash of the expected public key (SubjectPublicKeyInfo)
    #[arg(long, value_name = "HEX", value_hint = ValueHint::Other, help_heading = "Expected certificate")]
    pubkey_hash: Option<PublicKeyHash>,

    /// Common name of the expected certificate in the SSLMate account (its active instance); the only flag
    /// that uses the network
    #[arg(long, value_name = "CN", value_hint = ValueHint::Other, help_heading = "Expected certificate")]
    sslmate: Option<String>,

    /// Path to a file with the password of PKCS #12 files, in its first line
    #[arg(long, value_name = "FILE", help_heading = "Judging")]
    cert_password_file: Option<PathBuf>,

    #[command(flatten)]
    roots: RootArgs,

    /// Maximum duration of reading one file, and of a request to SSLMate
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_positive, help_heading = "Limits")]
    timeout: Duration,

    /// Report expiry within this as a warning: a share of the lifetime, a duration, or the smaller of both [default: 25%,30d]
    #[arg(long, value_name = "THRESHOLD", help_heading = "Judging")]
    warn: Option<Threshold>,

    /// Report expiry within this as critical [default: 10%,7d]
    #[arg(long, value_name = "THRESHOLD", help_heading = "Judging")]
    crit: Option<Threshold>,

    /// Judge as of this time: RFC 3339 (2027-03-01T00:00:00Z), a date, or +30d
    #[arg(long, value_name = "TIME", help_heading = "Judging")]
    at: Option<At>,

    /// Output format
    #[arg(long, value_enum, default_value = "human", help_heading = "Output")]
    format: Format,

    /// Write the result to this file instead of stdout; - is stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Lowest severity that makes the exit code non-zero
    #[arg(
        long,
        value_enum,
        value_name = "SEVERITY",
        default_value = "warning",
        help_heading = "Output"
    )]
    fail_on: FailOn,
}

/// The most common uses. The lines fit a terminal of 80 columns.
const EXAMPLES: &str = "\
Examples:
  certvigil verify fullchain.pem                     complete, in order, trusted?
  certvigil verify --key key.pem --hostname www.example.com fullchain.pem
  certvigil verify --cert-password-file pass.txt site.p12";

pub(super) fn run(args: Args) -> Code {
    let fail_on = args.fail_on;
    let tells_on_stdout =
        matches!(args.format, Format::Nagios) && output::file(args.output.as_deref()).is_none();
    block_on(verify(args)).unwrap_or_else(|error| {
        output::fail(&error);
        let code = fail_on.error();
        match tells_on_stdout {
            true => output::print(
                &report::nagios_error(&error.to_string(), code.severity()),
                code,
            ),
            false => code,
        }
    })
}

async fn verify(args: Args) -> Result<Code, Error> {
    let destination = output::Destination::of(output::file(args.output.as_deref()))?;
    for file in &args.cert {
        // The content of a pipe, or the error, is kept for the source that reads it next.
        if is_stream(file) {
            let _ = read_certificate_file_within(file, args.timeout);
        }
    }
    let thresholds = Thresholds::default().with(args.warn, args.crit);
    let thresholds = thresholds.map_err(FlagsError::from)?;
    let mut inventory = inventory(&args, thresholds);
    args.roots.apply(&mut inventory);
    let mut sources = Sources::new(&inventory, &plan::environment(), Requests::default())?;
    if let Some(file) = &args.cert_password_file {
        let password = read_password_within(file, args.timeout).map_err(Error::resource)?;
        sources = sources.opening_files_with(password);
    }
    sources = sources.comparing_keys(keys(&args.key, args.timeout)?);
    let resolver = crate::resolve::Resolver::new(inventory.families, Vec::new(), Vec::new());
    let scanner = plan::scanner(sources, resolver, &inventory, CONCURRENCY)?;
    let options = plan::options(&inventory)?;
    let now = args.at.map_or_else(now, |at| at.from(now()));
    let scan = plan::probe_once(&scanner, &inventory, &options, now).await?;
    let code = args.fail_on.code(&scan.results, scan.complete);
    let rendering = Rendering {
        format: args.format,
        file: output::file(args.output.as_deref()),
        is_folded: false,
        fail_on: args.fail_on,
        code,
        gap: (!scan.complete).then_some(Gap::Interrupted),
        thresholds: Some(thresholds),
        now,
    };
    let interrupted = args.fail_on.code(&scan.results, false);
    let write = |out: &mut dyn std::io::Write| rendering.write(&scan.results, out);
    Ok(destination.write_unless_stopped(code, interrupted, write)?)
}

/// Returns the files with the expected certificate as an inventory.
fn inventory(args: &Args, thresholds: Thresholds) -> Inventory {
    let wanted = Wanted::from_flags(
        &args.cert,
        &args.fingerprint,
        args.pubkey_hash,
        args.sslmate.as_deref(),
    );
    let mut files: Vec<FoundPlace> = Vec::new();
    for path in &args.files {
        let file = FoundPlace::file(path.clone(), &args.hostname);
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let mut inventory = Inventory {
        certificates: plan::entries_of_files(&wanted, &files),
        sslmate: args.sslmate.as_ref().map(|_| SslmateSettings::default()),
        ..Inventory::default()
    };
    inventory.defaults.timeout = args.timeout;
    for entry in &mut inventory.certificates {
        (entry.warn, entry.crit) = (thresholds.warn, thresholds.crit);
        // There is no handshake that could staple a response, and no request leaves the machine.
        entry.revocation = RevocationCheck::Off;
    }
    inventory
}

/// Reads the private keys with which the files are compared, each file within the timeout.
fn keys(files: &[PathBuf], timeout: Duration) -> Result<Vec<KeyOfFile>, FlagsError> {
    let mut keys = Vec::new();
    for file in files {
        keys.extend(keys_of(file, timeout)?);
    }
    Ok(keys)
}

fn keys_of(file: &Path, timeout: Duration) -> Result<Vec<KeyOfFile>, FlagsError> {
    let unusable = |cause| FlagsError::Key {
        file: file.to_owned(),
        cause,
    };
    let bytes = read_certificate_file_within(file, timeout).map_err(|e| unusable(e.into()))?;
    let mut keys = read_private_keys(&bytes).map_err(|e| unusable(e.to_string().into()))?;
    let in_file = keys.len();
    keys.dedup_by_key(|key| key.public_key_hash());
    match keys.len() {
        1 => Ok(keys),
        _ => Err(FlagsError::SeveralKeys {
            file: file.to_owned(),
            count: in_file,
        }),
    }
}
