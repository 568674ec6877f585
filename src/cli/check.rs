//! `certvigil check`: probes once, or until all targets are healthy, and reports findings.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use certvigil_probe::io::read_password;
use clap::{ArgGroup, ValueEnum, ValueHint};
use tokio::time::Instant;

use crate::certificate::{Fingerprint, PublicKeyHash};
use crate::config::{Inventory, SslmateSettings, VantageKind};
use crate::judge::Judged;
use crate::model::{
    Hostname, RevocationCheck, Threshold, Timestamp, Vantage, did_you_mean, parse_duration,
};
use crate::remote::remotes;
use crate::report;
use crate::resolve::Override;
use crate::revocation::Revocations;
use crate::scan::{Job, ProbeOptions, Scan, Scanner, prepare};
use crate::source::{Environment, Requests, Sources};
use crate::tlsa::DaneCheck;

use super::exit::FailOn;
use super::flags::{
    HowArgs, RootArgs, WhereArgs, parse_count, parse_positive, parse_url, revocation_word,
};
use super::plan::{self, Selection, Wanted};
use super::progress::{Reporter, is_ok};
use super::time::At;
use super::{Code, now, output, runtime, targets};

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
  certvigil check www.example.com                       valid, for the name, trusted?
  certvigil check --cert fullchain.pem www.example.com  is this one served, everywhere?
  certvigil check --sslmate www.example.com --wait 5m   wait until it is everywhere
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

/// Output format of judged probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Table for people, most severe last on a terminal and first elsewhere
    Human,
    /// One JSON object, a superset of SSLMate's test response
    Json,
    /// One JSON object per line and result
    Jsonl,
    /// JUnit XML, for GitLab, Jenkins and others
    Junit,
    /// GitHub Actions annotations, and a job summary
    Github,
    /// Monitoring plugin output, for Nagios, Icinga and others
    Nagios,
    /// Metrics for node_exporter's textfile collector
    Prometheus,
}

impl Format {
    /// Marks a text as the result of an interrupted run. JSON has a key for it.
    fn incomplete(self, text: String) -> String {
        match self {
            Self::Human | Self::Github => text + report::INCOMPLETE + "\n",
            Self::Json | Self::Junit => text,
            Self::Jsonl => text + "{\"complete\":false}\n",
            Self::Nagios => report::nagios_incomplete(text),
            Self::Prometheus => format!("# {}\n{text}", report::INCOMPLETE),
        }
    }
}

pub(super) fn run(args: Args, verbose: u8) -> Code {
    let fail_on = args.fail_on;
    // Programs that run monitoring plugins show only the plugin's stdout, so errors go there too.
    let tells_on_stdout =
        matches!(args.format, Format::Nagios) && args.file().is_none() && !args.quiet;
    match runtime().and_then(|runtime| {
        // As a task of the runtime, so that finished probes wake it without waking another thread.
        let ended = runtime.block_on(runtime.spawn(check(args, verbose)));
        let ended = ended.unwrap_or_else(|e| Err(format!("the check task failed: {e}")));
        // Open lookups and connections that are closing are not worth waiting for.
        runtime.shutdown_background();
        ended
    }) {
        Ok(code) => code,
        Err(error) => {
            output::fail(&error);
            let code = fail_on.error();
            if tells_on_stdout {
                let error = output::without_secrets(&error);
                return output::print(&report::nagios_error(&error, code.severity()), code);
            }
            code
        }
    }
}

async fn check(args: Args, verbose: u8) -> Result<Code, String> {
    let destination = args.file().map(output::Destination::new);
    let destination = destination.transpose()?;
    let plan = Plan::new(&args)?;
    let begun = Instant::now();
    let give_up = args.wait.map(|wait| begun + wait);
    let may_draw = args.file() != Some(Path::new("/dev/stderr")) && !args.quiet;
    let mut reporter = Reporter::new(may_draw, verbose, give_up);
    let ended = until_ok(&args, &plan, give_up, &mut reporter).await;
    reporter.end();
    let seen = ended?;
    report_end(&args, &reporter, &seen, begun.elapsed(), verbose);
    let Seen {
        scan,
        now,
        is_named,
    } = seen;
    let code = args.fail_on.code(&scan.results, scan.complete && is_named);
    let rendering = Rendering {
        format: args.format,
        file: args.file(),
        is_folded: !args.all,
        fail_on: args.fail_on,
        code,
        thresholds: plan.thresholds(),
        is_complete: scan.complete,
        now,
    };
    let text = rendering.text(&scan.results);
    match destination {
        Some(destination) => destination.write(&text).map(|()| code),
        None if args.quiet => Ok(code),
        None => Ok(output::print(&text, code)),
    }
}

/// Settings of the output of judged probes.
pub(super) struct Rendering<'a> {
    pub(super) format: Format,
    /// The file that the output goes to; `None` for stdout.
    pub(super) file: Option<&'a Path>,
    /// True if a terminal shows the number of ok rows instead of the rows.
    pub(super) is_folded: bool,
    pub(super) fail_on: FailOn,
    pub(super) code: Code,
    /// Expiry thresholds, if they are the same for all.
    pub(super) thresholds: Option<report::Thresholds>,
    /// False if the run was interrupted.
    pub(super) is_complete: bool,
    /// Time as of which the results were judged.
    pub(super) now: Timestamp,
}

impl Rendering<'_> {
    /// Formats the results. For GitHub, also appends to the job summary.
    pub(super) fn text(&self, results: &[Judged]) -> String {
        let (code, now) = (self.code, self.now);
        let text = match self.format {
            Format::Human => {
                let style = report::Style {
                    width: output::width_of_stdout(),
                    colour: match self.file {
                        Some(_) => output::colour_in_files(),
                        None => output::colour_on_stdout(),
                    },
                    now,
                };
                if self.file.is_none() && std::io::stdout().is_terminal() {
                    report::human_on_terminal(results, &style, !self.is_folded)
                } else {
                    report::human(results, &style)
                }
            }
            Format::Json => report::json_of_run(results, self.is_complete),
            Format::Jsonl => report::jsonl(results),
            Format::Junit => {
                let warnings_fail = matches!(self.fail_on, FailOn::Warning);
                report::junit_of_run(results, warnings_fail, self.is_complete)
            }
            Format::Github => {
                output::append_to_job_summary(|| report::github_summary(results, self.is_complete));
                report::github(results)
            }
            Format::Nagios => report::nagios(results, code.severity(), self.thresholds, now),
            // The time when the probes finished, even if `--at` judges them as of another time.
            Format::Prometheus => report::prometheus::textfile(results, super::now()),
        };
        match self.is_complete {
            true => text,
            false => self.format.incomplete(text),
        }
    }
}

/// Reports on stderr what is not part of the result: that it is incomplete, how long the probes
/// took, and the summary if the user does not see it in the result.
fn report_end(args: &Args, reporter: &Reporter, seen: &Seen, took: Duration, verbose: u8) {
    let scan = &seen.scan;
    let is_table = matches!(args.format, Format::Human) && args.file().is_none();
    let is_table_seen = is_table && std::io::stdout().is_terminal();
    if !scan.complete {
        if !is_table_seen {
            output::note(report::INCOMPLETE);
        }
    } else if scan.results.is_empty() && seen.is_named {
        output::note(
            "nothing was probed: no host was given, or none that the selected vantages can probe",
        );
    } else if seen.is_named
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

/// Probes once, or repeats until all targets are healthy or `give_up` is reached.
async fn until_ok(
    args: &Args,
    plan: &Plan,
    give_up: Option<Instant>,
    reporter: &mut Reporter,
) -> Result<Seen, String> {
    let stop = plan::stop();
    tokio::pin!(stop);
    let over = || give_up.is_none_or(|end| Instant::now() + args.every >= end);
    let (mut known, mut is_clock_told) = (None, false);
    loop {
        let now = args.at.map_or_else(now, |at| at.from(now()));
        let last = over();
        let round = match plan.round(now, last, &mut stop, reporter).await {
            Err(error) if known.is_some() => {
                output::note(&error);
                return Ok(what_is_known(known, now));
            }
            round => round?,
        };
        if let Some(warning) = plan.scanner.sources.clock_warning(super::now())
            && !std::mem::replace(&mut is_clock_told, true)
        {
            tracing::warn!("{warning}");
        }
        match round {
            Round::Probed(seen) => {
                let results = &seen.scan.results;
                let all_ok = !results.is_empty() && results.iter().all(is_ok);
                // A round may take longer than the time that was left when it began.
                if all_ok && seen.is_named || !seen.scan.complete || last || over() {
                    return Ok(seen);
                }
                match all_ok {
                    true => reporter.wait_for_source(Instant::now()),
                    false => reporter.wait_for(&seen.scan.results, Instant::now()),
                }
                known = Some(seen);
            }
            Round::NotYet => reporter.wait_for_source(Instant::now()),
            Round::Stopped => return Ok(what_is_known(known, now)),
        }
        if !pause(args.every, &mut stop).await {
            return Ok(what_is_known(known, now));
        }
    }
}

/// Outcome of one attempt.
enum Round {
    /// All targets were probed, or those that were probed before the user interrupted.
    Probed(Seen),
    /// The only source failed to return the expected certificate, and there is time to retry.
    NotYet,
    /// The user interrupted before any target was probed.
    Stopped,
}

/// Results of one round of probes.
struct Seen {
    scan: Scan,
    /// Time as of which the results were judged.
    now: Timestamp,
    /// True if every source returned the hosts to probe. A source that failed and names no host has
    /// no row in the result, so the result alone does not show that something is unknown.
    is_named: bool,
}

/// Returns the previous round, or an empty one, marked as incomplete, if the run ends between two
/// rounds.
fn what_is_known(known: Option<Seen>, now: Timestamp) -> Seen {
    let mut seen = known.unwrap_or_else(|| Seen {
        scan: Scan {
            results: Vec::new(),
            complete: false,
        },
        now,
        is_named: false,
    });
    seen.scan.complete = false;
    seen
}

/// Waits for the next attempt. Returns false if the user interrupts.
async fn pause(duration: Duration, stop: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the user requests the pause")]
    let slept = tokio::time::sleep(duration);
    tokio::select! {
        () = slept => true,
        () = stop => false,
    }
}

/// Configuration that results from the flags and the configuration file.
struct Plan {
    inventory: Inventory,
    selection: Selection,
    scanner: Scanner,
    options: ProbeOptions,
    /// True if a failed source ends the run, because there is only one thing to check.
    alone: bool,
    /// Addresses that the user gave for names.
    overrides: Vec<Override>,
    /// True after the first round reported what is not probed.
    is_reported: AtomicBool,
}

impl Plan {
    fn new(args: &Args) -> Result<Self, String> {
        let targets = targets::all(&args.targets, args.target_list.as_deref())?;
        let mut inventory = match &args.config {
            Some(file) => plan::read_inventory_and_targets(file)?,
            None => Inventory::default(),
        };
        let selection = if args.config.is_some() && args.sslmate.is_none() {
            if args.options.starttls.is_some() {
                return Err("--starttls does not apply to an inventory; set `protocol` in its entries instead".into());
            }
            let targets = targets.iter().map(|target| target.text.trim().to_owned());
            Selection::new(&targets.collect::<Vec<_>>())
        } else {
            inventory.certificates = Self::entries(args, &targets, &inventory)?;
            Selection::new(&[])
        };
        Self::settings(args, &mut inventory)?;

        let mut sources = Sources::new(&inventory, &environment(), Requests::default())?;
        if let Some(file) = &args.cert_password_file {
            sources = sources.opening_files_with(read_password(file).map_err(|e| e.to_string())?);
        }
        let wanted = Self::vantages(args, &mut inventory)?;
        let remotes = remotes(&sources, &inventory.vantages, &wanted)?;
        args.places.apply(&mut inventory);
        let resolver = args.places.resolver(&inventory);
        let scanner = Scanner {
            local: wanted.contains(Vantage::LOCAL),
            remotes: remotes.into(),
            revocations: Arc::new(
                Revocations::new(sources.http_for_others())
                    .with_files(&args.crl_file)
                    .map_err(|e| e.to_string())?,
            ),
            ..plan::scanner(sources, resolver, &inventory, args.concurrency)?
        };
        let options = plan::options(&inventory)?;
        Ok(Self {
            alone: args.config.is_none() || args.sslmate.is_some(),
            overrides: args.places.overrides().to_vec(),
            is_reported: AtomicBool::new(false),
            inventory,
            selection,
            scanner,
            options,
        })
    }

    /// Returns the entries from flags other than `--config`, or the part of the configuration file
    /// that `--sslmate` names.
    fn entries(
        args: &Args,
        targets: &[targets::Written],
        inventory: &Inventory,
    ) -> Result<Vec<crate::config::Entry>, String> {
        let targets = args.options.parse_targets(targets)?;
        let wanted = if !args.cert.is_empty() {
            Wanted::Pem(args.cert.clone())
        } else if !args.fingerprint.is_empty() {
            Wanted::Fingerprints(args.fingerprint.clone())
        } else if let Some(key) = args.pubkey_hash {
            Wanted::PublicKey(key)
        } else if let Some(name) = &args.sslmate {
            let name = name.to_ascii_lowercase();
            if args.config.is_some() {
                let entries = plan::entries_of(inventory, &name, args.options.starttls);
                return plan::narrowed(&entries, &targets);
            }
            Wanted::Sslmate(name)
        } else if let Some(url) = &args.download {
            Wanted::Download(url.clone())
        } else {
            Wanted::TrustOnly
        };
        plan::entries(&wanted, &targets, args.options.starttls.unwrap_or_default())
    }

    /// Overrides settings of the configuration file with those of the flags.
    fn settings(args: &Args, inventory: &mut Inventory) -> Result<(), String> {
        if args.sslmate.is_some() && inventory.sslmate.is_none() {
            inventory.sslmate = Some(SslmateSettings::default());
        }
        if !args.crl_file.is_empty() && args.revocation == Some(RevocationCheck::Off) {
            return Err("--crl-file needs a revocation check; remove --revocation off".into());
        }
        args.roots.apply(inventory);
        if let Some(timeout) = args.timeout {
            inventory.defaults.timeout = timeout;
        }
        if let Some(count) = args.per_address {
            inventory.defaults.per_address = count;
        }
        for entry in &mut inventory.certificates {
            entry.warn = args.warn.unwrap_or(entry.warn);
            entry.crit = args.crit.unwrap_or(entry.crit);
            entry.revocation = args.revocation.unwrap_or(entry.revocation);
            entry.dane = entry
                .dane
                .max(args.dane.map_or(DaneCheck::Off, DaneCheck::from));
            args.options.apply(entry)?;
        }
        args.options.names_are_used(&inventory.certificates)?;
        Ok(())
    }

    /// Returns the names of the vantages to probe from. SSLMate is one of them if an account is
    /// configured.
    fn vantages(args: &Args, inventory: &mut Inventory) -> Result<BTreeSet<String>, String> {
        inventory.add_account_vantage();
        let known = || inventory.vantages.iter().map(|v| v.name.as_str());
        let Some(text) = &args.vantage else {
            let sslmate = inventory
                .vantages
                .iter()
                .filter(|v| inventory.sslmate.is_some() && v.kind == VantageKind::Sslmate);
            let mut names: BTreeSet<String> = sslmate.map(|v| v.name.clone()).collect();
            names.insert(Vantage::LOCAL.into());
            return Ok(names);
        };
        let names = plan::vantage_names(text)?;
        for name in &names {
            if name != Vantage::LOCAL && !known().any(|k| k == name) {
                let mut all = vec![Vantage::LOCAL];
                all.extend(known());
                if let Some(near) = did_you_mean(name, all.iter().copied()) {
                    return Err(format!("unknown vantage `{name}`; {near}"));
                }
                let what = if name == Vantage::SSLMATE {
                    "give --sslmate CN or a configuration with `sslmate`"
                } else {
                    "define it under `vantages` in a configuration"
                };
                return Err(format!(
                    "unknown vantage `{name}`; {what}, or use one of: {}",
                    all.join(", ")
                ));
            }
        }
        Ok(names)
    }

    /// Returns the expiry thresholds if they are the same for all selected certificates.
    fn thresholds(&self) -> Option<report::Thresholds> {
        let all = self.inventory.certificates.iter();
        let mut all = all.filter(|e| self.selection.may_want(e));
        let first = all.next()?;
        let is_same = all.all(|e| e.warn == first.warn && e.crit == first.crit);
        is_same.then_some(report::Thresholds {
            warn: first.warn,
            crit: first.crit,
        })
    }

    /// Fetches from the sources, probes all targets and judges the results, once.
    async fn round(
        &self,
        now: Timestamp,
        last: bool,
        stop: &mut (impl Future<Output = ()> + Unpin),
        reporter: &mut Reporter,
    ) -> Result<Round, String> {
        let entries: Vec<_> = self
            .inventory
            .certificates
            .iter()
            .filter(|e| self.selection.may_want(e))
            .cloned()
            .collect();
        let patience = self.options.timeout * SOURCE_PATIENCE;
        let mut jobs = tokio::select! {
            jobs = prepare(
                &self.scanner.sources,
                &self.scanner.resolver,
                &entries,
                &self.options,
                patience,
            ) => jobs,
            () = &mut *stop => return Ok(Round::Stopped),
        };
        let failed = jobs.iter().find_map(|job| job.expectation.as_ref().err());
        // A failed source also ends the run if there is no other target.
        let alone = self.alone || jobs.iter().all(|job| job.targets.is_empty());
        if let (true, Some(error)) = (alone, failed) {
            return if last {
                Err(error.clone())
            } else {
                Ok(Round::NotYet)
            };
        }
        for error in jobs.iter().filter_map(|job| job.expectation.as_ref().err()) {
            tracing::error!("{error}");
        }
        let targets = jobs.iter().flat_map(|job| &job.targets);
        if let Some(text) = self.selection.not_found(targets) {
            return Err(self.not_in_the_inventory(text, &jobs));
        }
        // With TARGETs, `not_found` has already checked that each exists.
        let is_named = !self.selection.is_everything()
            || jobs
                .iter()
                .all(|job| job.expectation.is_ok() || !job.targets.is_empty());
        for job in &mut jobs {
            job.targets.retain(|target| self.selection.wants(target));
        }
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            report_what_is_not_probed(&self.overrides, &jobs);
        }
        reporter.begin();
        let scan = self
            .scanner
            .scan(jobs, now, stop, |step| reporter.step(step, now));
        let scan = scan.await;
        Ok(Round::Probed(Seen {
            scan,
            now,
            is_named,
        }))
    }

    fn not_in_the_inventory(&self, text: &str, jobs: &[Job]) -> String {
        // Entries whose source was not fetched are named in the configuration file.
        let entries = &self.inventory.certificates;
        let mut known: Vec<String> = entries.iter().filter_map(|e| e.name.clone()).collect();
        let hostnames = entries.iter().flat_map(|e| &e.hostnames);
        known.extend(hostnames.map(ToString::to_string));
        for target in jobs.iter().flat_map(|job| &job.targets) {
            known.extend([target.certificate.clone(), target.hostname.to_string()]);
        }
        match did_you_mean(text, known.iter().map(String::as_str)) {
            Some(near) => format!("`{text}` is not in the inventory; {near}"),
            None => format!(
                "`{text}` is not in the inventory; give one of its certificate names or hosts"
            ),
        }
    }
}

/// Logs the names of certificates that are no hosts, and the `--resolve` entries that no target has.
fn report_what_is_not_probed(overrides: &[Override], jobs: &[Job]) {
    for loaded in jobs.iter().filter_map(|job| job.expectation.as_ref().ok()) {
        let instances = loaded.expected.instances();
        let leaf = instances.and_then(|i| i.expected.leaf.facts().ok());
        let names = leaf.into_iter().flat_map(|facts| &facts.sans);
        let skipped = names
            .map(ToString::to_string)
            .filter(|name| name.parse::<Hostname>().is_err());
        for name in skipped {
            let why = match name.starts_with("*.") {
                true => "a wildcard is not a host",
                false => "it is not a host name",
            };
            tracing::info!("name of the certificate not probed: {why}: `{name}`");
        }
    }
    let is_unused = |one: &&Override| {
        let mut targets = jobs.iter().flat_map(|job| &job.targets);
        !targets.any(|target| {
            target.port == one.port && one.hostname.as_ref().is_none_or(|h| *h == target.hostname)
        })
    };
    for unused in overrides.iter().filter(is_unused) {
        tracing::info!("--resolve entry not used, no target has its host and port: `{unused}`");
    }
}

/// Returns the process environment, for reading credentials.
pub(super) fn environment() -> Environment<'static> {
    Environment {
        variable: &|name| std::env::var(name).ok(),
        home: std::env::home_dir(),
    }
}

/// Source timeout as a multiple of the probe timeout. A source is fetched only once and may need
/// several requests.
const SOURCE_PATIENCE: u32 = 3;
