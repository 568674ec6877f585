//! `certvigil check`: probes once, or until all targets are healthy, and reports findings.

mod rounds;
mod setup;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, ValueEnum, ValueHint};
use tokio::time::Instant;

use crate::certificate::{Fingerprint, PublicKeyHash};
use crate::model::{RevocationCheck, Threshold, parse_duration};
use crate::report;
use crate::tlsa::DaneCheck;

use super::error::Error;
use super::exit::FailOn;
use super::flags::{
    HowArgs, RootArgs, WhereArgs, parse_count, parse_positive, parse_url, revocation_word,
};
use super::progress::Reporter;
use super::rendering::{Format, Rendering};
use super::time::At;
use super::{Code, block_on, output};
use rounds::{Seen, until_ok};
use setup::Plan;

/// Probe every address and report what is wrong
#[derive(Debug, clap::Args)]
#[expect(
    rustdoc::broken_intra_doc_links,
    reason = "`[:port]` is text of the help, not a link"
)]
#[command(
    group = ArgGroup::new("expected").args(["cert", "fingerprint", "pubkey_hash", "sslmate", "download"]),
    after_help = EXAMPLES
)]
pub(super) struct Args {
    /// Targets to probe: host[:port], [IPv6][:port], a URL such as https://, h3://, smtp:// or imaps://,
    /// mx:DOMAIN[:port] for the mail servers of a domain, srv:_SERVICE._tcp.DOMAIN for the hosts of its SRV
    /// records, or file:///PATH for a certificate file; with --config, certificate names or hosts of
    /// the inventory
    #[arg(value_name = "TARGET", value_hint = ValueHint::Hostname)]
    targets: Vec<String>,

    /// Read more TARGETs from this file, or from stdin (-): one a line, # begins a comment
    #[arg(long = "targets", value_name = "FILE", value_hint = ValueHint::FilePath)]
    target_list: Option<PathBuf>,

    /// Path to the configuration file; checks its whole inventory or only the given TARGETs
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["cert", "fingerprint", "pubkey_hash", "download"])]
    config: Option<PathBuf>,

    /// Path to the expected certificate, optionally with its chain: PEM, DER, PKCS #7 or PKCS #12; repeat for a
    /// pair of an RSA and an ECDSA certificate
    #[arg(long, value_name = "FILE", help_heading = "Expected certificate")]
    cert: Vec<PathBuf>,

    /// Path to a file with the password of a PKCS #12 file of --cert, in its first line
    #[arg(
        long,
        value_name = "FILE",
        requires = "cert",
        help_heading = "Expected certificate"
    )]
    cert_password_file: Option<PathBuf>,

    /// SHA-256 fingerprint of the expected certificate, colons allowed, or the line that openssl prints;
    /// repeat to accept any of several
    #[arg(long, value_name = "HEX", value_hint = ValueHint::Other, help_heading = "Expected certificate")]
    fingerprint: Vec<Fingerprint>,

    /// SHA-256 hash of the expected public key (SubjectPublicKeyInfo)
    #[arg(long, value_name = "HEX", value_hint = ValueHint::Other, help_heading = "Expected certificate")]
    pubkey_hash: Option<PublicKeyHash>,

    /// Common name of the expected certificate in the SSLMate account (its active instance); without
    /// TARGETs, all its hostnames are probed
    #[arg(long, value_name = "CN", value_hint = ValueHint::Other, help_heading = "Expected certificate")]
    sslmate: Option<String>,

    /// SSLMate download URL (current_download) of the expected certificate
    #[arg(long, value_name = "URL", value_parser = parse_url, value_hint = ValueHint::Url, help_heading = "Expected certificate")]
    download: Option<String>,

    #[command(flatten)]
    places: WhereArgs,

    #[command(flatten)]
    options: HowArgs,

    /// Validate against the TLSA records (DANE) of each host and port too; `required` also reports hosts
    /// without records that DNSSEC authenticates
    #[arg(
        long,
        value_enum,
        value_name = "CHECK",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on",
        help_heading = "Judging"
    )]
    dane: Option<DaneFlag>,

    /// Vantages to probe from, comma-separated [default: local, and sslmate if an account is configured]
    #[arg(long, value_name = "NAMES", value_hint = ValueHint::Other, help_heading = "Where to probe")]
    vantage: Option<String>,

    #[command(flatten)]
    roots: RootArgs,

    /// Maximum duration of one probe, including name resolution [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = parse_positive, help_heading = "Limits")]
    timeout: Option<Duration>,

    /// Maximum concurrent probes
    #[arg(long, value_name = "N", default_value = "256", value_parser = parse_count, help_heading = "Limits")]
    concurrency: usize,

    /// Maximum concurrent probes of one IP address and port [default: 4]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Limits")]
    per_address: Option<usize>,

    /// Report expiry within this as a warning: a share of the lifetime, a duration, or the smaller of both [default: 25%,30d]
    #[arg(long, value_name = "THRESHOLD", help_heading = "Judging")]
    warn: Option<Threshold>,

    /// Report expiry within this as critical [default: 10%,7d]
    #[arg(long, value_name = "THRESHOLD", help_heading = "Judging")]
    crit: Option<Threshold>,

    /// How to check revocation: stapled OCSP response (staple), also the issuer's revocation list (crl), or
    /// also the OCSP responder if no list is available (full) [default: staple]
    #[arg(long, value_name = "HOW", value_parser = revocation_word(), help_heading = "Judging")]
    revocation: Option<RevocationCheck>,

    /// Path to a revocation list (CRL) of the issuer, PEM or DER, which counts before those of its URL; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Judging")]
    crl_file: Vec<PathBuf>,

    /// Judge as of this time: RFC 3339 (2027-03-01T00:00:00Z), a date, or +30d
    #[arg(long, value_name = "TIME", help_heading = "Judging")]
    at: Option<At>,

    /// Repeat until every certificate is correct and its chain complete, for at most this long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Judging")]
    wait: Option<Duration>,

    /// Pause between two attempts of --wait
    #[arg(long, value_name = "DURATION", default_value = "5s", requires = "wait", value_parser = parse_positive, help_heading = "Judging")]
    every: Duration,

    /// Output format
    #[arg(long, value_enum, default_value = "human", help_heading = "Output")]
    format: Format,

    /// Write the result to this file instead of stdout; - is stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Print nothing but errors; the exit code is the result
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Show every row on a terminal too, where ok rows are one line otherwise
    #[arg(long, help_heading = "Output")]
    all: bool,

    /// When to use colour
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    color: output::Colour,

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

impl Args {
    /// Returns true if only errors are reported.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns when colour is used.
    pub(super) fn colour(&self) -> output::Colour {
        self.color
    }

    /// Returns the file for the result. `None` is stdout.
    fn file(&self) -> Option<&Path> {
        output::file(self.output.as_deref())
    }
}

/// The most common uses. The lines fit a terminal of 80 columns.
const EXAMPLES: &str = "\
Examples:
  certvigil check www.example.com                       valid and trusted?
  certvigil check --cert fullchain.pem www.example.com  this certificate?
  certvigil check --sslmate www.example.com --wait 5m   wait for all addresses
  certvigil check imaps://mail.example.com mx:example.com
  certvigil check --config certvigil.yml                the whole inventory";

/// Value of `--dane`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DaneFlag {
    /// Compare the records of hosts that have some
    On,
    /// Also report hosts without authenticated records
    Required,
}

impl From<DaneFlag> for DaneCheck {
    fn from(flag: DaneFlag) -> Self {
        match flag {
            DaneFlag::On => Self::On,
            DaneFlag::Required => Self::Required,
        }
    }
}

pub(super) fn run(args: Args, verbose: u8) -> Code {
    let fail_on = args.fail_on;
    // Programs that run monitoring plugins show only the plugin's stdout, so errors go there too.
    let tells_on_stdout =
        matches!(args.format, Format::Nagios) && args.file().is_none() && !args.quiet;
    match block_on(async move {
        // As a task of the runtime, so that finished probes wake it without waking another thread.
        let ended = tokio::spawn(check(args, verbose)).await;
        ended.unwrap_or_else(|e| Err(Error::Task(e)))
    }) {
        Ok(code) => code,
        Err(error) => {
            output::fail(&error);
            let code = fail_on.error();
            if tells_on_stdout {
                let error = output::without_secrets(&error.to_string());
                return output::print(&report::nagios_error(&error, code.severity()), code);
            }
            code
        }
    }
}

async fn check(args: Args, verbose: u8) -> Result<Code, Error> {
    let destination = output::Destination::of(args.file())?;
    let plan = Plan::new(&args)?;
    let begun = Instant::now();
    let give_up = args.wait.map(|wait| begun + wait);
    let may_draw = args.file() != Some(Path::new("/dev/stderr")) && !args.quiet;
    let mut reporter = Reporter::new(may_draw, verbose, give_up);
    let ended = until_ok(&args, &plan, give_up, &mut reporter).await;
    reporter.end();
    let seen = ended?;
    report_end(&args, &reporter, &seen, begun.elapsed(), verbose);
    let gap = seen.gap();
    let Seen { scan, now, .. } = seen;
    if let (Some(gap), Some(file)) = (&gap, args.file())
        && matches!(args.format, Format::Prometheus)
        && destination.is_replaced()
    {
        // Without the missing results, their alerts would resolve.
        let (gap, file) = (gap.clone(), file.to_owned());
        return Err(Error::Kept { gap, file });
    }
    let code = args.fail_on.code(&scan.results, gap.is_none());
    let rendering = Rendering {
        format: args.format,
        file: args.file(),
        is_folded: !args.all,
        fail_on: args.fail_on,
        code,
        thresholds: plan.thresholds(),
        gap,
        now,
    };
    let destination = match args.quiet && destination.is_stdout() {
        true => output::Destination::Nowhere,
        false => destination,
    };
    let interrupted = args.fail_on.code(&scan.results, false);
    let write = |out: &mut dyn std::io::Write| rendering.write(&scan.results, out);
    Ok(destination.write_unless_stopped(code, interrupted, write)?)
}

/// Reports on stderr what is not part of the result: that it is incomplete, how long the probes
/// took, and the summary if the user does not see it in the result.
fn report_end(args: &Args, reporter: &Reporter, seen: &Seen, took: Duration, verbose: u8) {
    let scan = &seen.scan;
    let is_table = matches!(args.format, Format::Human) && args.file().is_none();
    let is_table_seen = is_table && std::io::stdout().is_terminal();
    if !scan.complete {
        // The table itself ends with it.
        if !is_table || args.quiet {
            output::note(report::INCOMPLETE);
        }
    } else if scan.results.is_empty() && seen.failures.is_empty() {
        output::note(
            "nothing was probed: no host was given, or none that the selected vantages can probe",
        );
    } else if seen.failures.is_empty()
        && let Some(waited) = reporter.waited(&scan.results, took)
    {
        output::note(&waited);
    }
    let is_seen = is_table && (!reporter.is_drawn() || is_table_seen);
    if !is_seen && (reporter.is_drawn() || verbose > 0) {
        let seconds = took.as_secs_f64();
        let summary = report::summary(&scan.results, !reporter.is_drawn());
        output::note(&format!("{summary}; in {seconds:.1} s"));
    }
}
