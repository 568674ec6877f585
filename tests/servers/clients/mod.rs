//! Certificate paths that real clients verify on loopback, and the record of their answers.
//!
//! `make clients` records the answers; `cargo test` replays the record; `make test` runs the fast
//! clients on a sample and compares.

mod corpus;
mod der;
mod divergence;
mod implementations;
mod judged;
mod keys;
mod live;
mod page;
mod record;
mod replay;
mod run;
mod serve;
mod spec;

use live::Which;
use record::Record;

/// Environment variable, set by `make clients`: the test writes the record. Otherwise the test
/// compares a sample with it.
const RECORD: &str = "CLIENTS_RECORD";
/// Environment variable with a part of the cases' names: only these are run, and their answers are
/// printed.
const FILTER: &str = "CLIENTS_CASES";
/// The sample has one of this many cases.
const SAMPLE: usize = 17;

#[test]
#[ignore = "needs openssl, gnutls-bin and golang-go; with CLIENTS_RECORD also openjdk-17-jdk-headless, chromium and libnss3-tools"]
fn clients_answer_as_recorded() {
    let cases = corpus::cases();
    if let Ok(part) = std::env::var(FILTER) {
        let some: Vec<_> = cases.into_iter().filter(|c| c.id.contains(&part)).collect();
        for case in live::ask(&some, Which::All).cases {
            println!("{}", case.id);
            for (client, answer) in case.clients {
                println!("    {client:9} {answer}");
            }
        }
        return;
    }
    if std::env::var_os(RECORD).is_some() {
        let record = live::ask(&cases, Which::All);
        live::summarize(&record);
        record.write();
        return;
    }
    let sample: Vec<_> = cases.into_iter().step_by(SAMPLE).collect();
    compare(&live::ask(&sample, Which::Fast), &Record::read());
}

/// Fails if a client's answer differs from the record, and prints the versions of the clients.
fn compare(now: &Record, recorded: &Record) {
    let mut differences = Vec::new();
    for case in &now.cases {
        let before = recorded.cases.iter().find(|c| c.id == case.id);
        let before =
            before.unwrap_or_else(|| panic!("{}: not in the record; run `make clients`", case.id));
        for (client, answer) in &case.clients {
            if *answer != before.clients[client] {
                let (version, old) = (&now.versions[client], &recorded.versions[client]);
                differences.push(format!(
                    "{}: {version} answers {answer:?}, and {old} answered {:?}",
                    case.id, before.clients[client]
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
