//! `certvigil demo`: everything at work against planted faults, without network, account or configuration.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::judge::TrustStore;
use crate::lab::{Lab, Scenario, environment};
use crate::look::Looker;
use crate::report;
use crate::resolve::{Families, Resolver};
use crate::scan::{Manner, Scanner, Turns, prepare};
use crate::source::{Requests, Sources};

use super::{Code, now, output, runtime};

/// Long enough for loopback, and all that the stalling server costs.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Looks at a time: the lab is small.
const CONCURRENCY: usize = 64;

/// Check planted faults on loopback, and say whether each was found
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args) -> Code {
    match runtime().and_then(|runtime| {
        let ended = runtime.block_on(demo());
        runtime.shutdown_background();
        ended
    }) {
        Ok(code) => code,
        Err(error) => output::fail(&error),
    }
}

async fn demo() -> Result<Code, String> {
    let now = now();
    let scenario = Scenario::demo().map_err(|e| e.to_string())?;
    let lab = Lab::start(scenario, now).await?;
    let inventory = lab.inventory();
    let sources = Arc::new(Sources::new(
        &inventory,
        &environment(),
        Requests::default(),
    )?);
    let wanted = inventory.vantages.iter().map(|v| v.name.clone()).collect();
    let remotes = sources.remotes(&inventory.vantages, &wanted)?;
    let mut trust = TrustStore::default();
    trust.add(lab.root())?;
    let manner = Manner {
        timeout: TIMEOUT,
        trust: Arc::new(trust),
    };
    let deadline = Instant::now() + TIMEOUT;
    let jobs = prepare(&sources, &inventory.certificates, &manner, deadline).await;
    let resolver = Resolver::new(Families::Both, lab.overrides(), Vec::new());
    let scanner = Scanner {
        sources,
        resolver: Arc::new(resolver),
        looker: Arc::new(Looker::new()?),
        local: true,
        remotes: remotes.into(),
        turns: Arc::new(Turns::new(CONCURRENCY, inventory.defaults.per_address)),
    };
    let stop = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let scan = scanner.scan(jobs, now, stop, |_| {}).await;
    let style = report::Style {
        width: output::width_of_stdout(),
        colour: output::colour_on_stdout(),
        now,
    };
    let mut text = report::human(&scan.results, &style);
    text.push('\n');
    for host in lab.left_out() {
        text.push_str(&format!(
            "Left out, since this machine lacks an address for it: {} ({})\n",
            host.name, host.fault
        ));
    }
    if !scan.complete {
        text.push_str("Stopped before its end.\n");
        return Ok(output::print(&text, Code::Unknown));
    }
    let differences = lab.differences(&scan.results);
    if differences.is_empty() {
        let faults = lab.hosts().iter().flat_map(|h| &h.servers);
        let count: usize = faults.map(|s| s.findings.len()).sum();
        text.push_str(&format!(
            "Each of the {count} planted faults was named, and nothing else was.\n"
        ));
        return Ok(output::print(&text, Code::Ok));
    }
    for difference in differences {
        text.push_str(&format!("Not as planted: {difference}\n"));
    }
    Ok(output::print(&text, Code::Warning))
}
