//! `certvigil inspect`: shows the certificate chain of a server and whether clients accept it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ValueEnum, ValueHint};

use crate::config::Inventory;
use crate::judge::{Judged, TrustStore};
use crate::model::{RevocationCheck, Timestamp};
use crate::observation::Outcome;
use crate::report;
use crate::report::inspect::{addresses, by_chain};
use crate::source::{Requests, Sources};

use super::error::Error;
use super::flags::{HowArgs, RootArgs, WhereArgs, parse_positive, revocation_word};
use super::plan::{self, Wanted};
use super::time::At;
use super::{Code, block_on, now, output, targets};

/// Maximum concurrent probes, which are those of the addresses of one name.
const CONCURRENCY: usize = 32;

/// Show the chain that a server sends, up to its root, and whether clients accept it
#[derive(Debug, clap::Args)]
#[expect(
    rustdoc::broken_intra_doc_links,
    reason = "`[:port]` is text of the help, not a link"
)]
pub(super) struct Args {
    /// Target to probe: host[:port], [IPv6][:port], a URL such as https://, h3://, smtp:// or imaps://, or
    /// mx:DOMAIN[:port] for the mail servers of a domain
    #[arg(value_name = "TARGET", value_hint = ValueHint::Hostname)]
    target: String,

    #[command(flatten)]
    places: WhereArgs,

    #[command(flatten)]
    options: HowArgs,

    #[command(flatten)]
    roots: RootArgs,

    /// Maximum duration of one probe, including name resolution
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_positive, help_heading = "Limits")]
    timeout: Duration,

    /// How to check revocation: stapled OCSP response (staple), also the issuer's revocation list (crl), or
    /// also the OCSP responder if no list is available (full) [default: staple]
    #[arg(long, value_name = "HOW", value_parser = revocation_word(), help_heading = "Judging")]
    revocation: Option<RevocationCheck>,

    /// Judge as of this time: RFC 3339 (2027-03-01T00:00:00Z), a date, or +30d
    #[arg(long, value_name = "TIME", help_heading = "Judging")]
    at: Option<At>,

    /// Output format
    #[arg(long, value_enum, default_value = "human", help_heading = "Output")]
    format: Format,

    /// Show one line per certificate, the result of clients and the findings
    #[arg(long, conflicts_with_all = ["pem", "format"], help_heading = "Output")]
    brief: bool,

    /// Print the served certificates as PEM, each preceded by a comment with its subject
    #[arg(long, conflicts_with = "format", help_heading = "Output")]
    pem: bool,

    /// Write the result to this file instead of stdout; - is stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Drawing of the chain, for people
    Human,
    /// The JSON of `certvigil check`
    Json,
}

pub(super) fn run(args: &Args) -> Code {
    block_on(inspect(args)).unwrap_or_else(|error| output::fail(&error))
}

async fn inspect(args: &Args) -> Result<Code, Error> {
    let destination = output::Destination::of(output::file(args.output.as_deref()))?;
    let mut inventory = Inventory {
        certificates: entries(args)?,
        ..Inventory::default()
    };
    inventory.defaults.timeout = args.timeout;
    args.roots.apply(&mut inventory);
    let sources = Sources::new(&inventory, &plan::environment(), Requests::default())?;
    args.places.apply(&mut inventory);
    let resolver = args.places.resolver(&inventory);
    let scanner = plan::scanner(sources, resolver, &inventory, CONCURRENCY)?;
    let options = plan::options(&inventory)?;
    let now = args.at.map_or_else(now, |at| at.from(now()));
    let scan = plan::probe_once(&scanner, &inventory, &options, now).await?;
    let results = &scan.results;
    let is_shown = |j: &Judged| matches!(j.observation.outcome, Outcome::Served(_));
    let code = if results.iter().any(is_shown) {
        Code::Ok
    } else {
        Code::Unknown
    };
    let text = match args.format {
        _ if args.pem => pem(results),
        Format::Human => human(args, results, &options.trust, now),
        Format::Json => report::json_of_run(results, scan.complete),
    };
    Ok(destination.finish(&text, code)?)
}

/// Returns the entry for the target, without an expected certificate.
fn entries(args: &Args) -> Result<Vec<crate::config::Entry>, Error> {
    let target = targets::all(std::slice::from_ref(&args.target), None)?;
    let targets = args.options.parse_targets(&target)?;
    let protocol = args.options.starttls.unwrap_or_default();
    let mut entries = plan::entries(&Wanted::TrustOnly, &targets, protocol)?;
    for entry in &mut entries {
        entry.revocation = args.revocation.unwrap_or(entry.revocation);
        args.options.apply(entry)?;
    }
    args.options.names_are_used(&entries)?;
    Ok(entries)
}

fn human(args: &Args, results: &[Judged], trust: &TrustStore, now: Timestamp) -> String {
    let to_stdout = output::file(args.output.as_deref()).is_none();
    let style = report::Style {
        width: output::width_of_stdout(),
        colour: to_stdout && output::colour_on_stdout(),
        now,
    };
    output::for_log(report::inspect::inspect(results, trust, &style, args.brief))
}

/// Formats the chain that most addresses serve, in the order that they send. Other chains are only
/// reported on stderr, because a file with two chains is not a valid chain.
fn pem(results: &[Judged]) -> String {
    let groups = by_chain(results);
    let failed = results.iter().filter_map(|j| match &j.observation.outcome {
        Outcome::Failed(error) => Some((addresses([j]), error)),
        Outcome::Served(_) | Outcome::Reported(_) => None,
    });
    for (address, error) in failed {
        output::note(&format!("{address} served no certificate: {error}"));
    }
    for other in groups.iter().skip(1) {
        output::note(&format!(
            "{} serves a different chain, which is not printed; inspect it separately with --resolve",
            addresses(other.results.iter().copied())
        ));
    }
    let mut text = String::new();
    if let Some(group) = groups.first() {
        let rest = &group.served.rest;
        for certificate in std::iter::once(&group.served.leaf).chain(rest) {
            let _ = write!(
                text,
                "# {}\n{}",
                certificate.subject(),
                certificate.to_pem()
            );
        }
    }
    text
}
