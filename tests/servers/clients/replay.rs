//! Comparison of results that this process computes with the record.

use std::collections::BTreeMap;

use certvigil::finding::{Client, Code, Detail, Finding, Refused, Severity};
use certvigil::judge::{Clients, Flags, Judged, Opinion, Verdict};

use crate::clients::divergence::{self, Divergence};
use crate::clients::implementations;
use crate::clients::judged::judged;
use crate::clients::record::{Record, Recorded};

/// Minimum number of cases in the record.
const LEAST_CASES: usize = 400;
/// Minimum percentage of correct answers of the models.
const LEAST_RIGHT: usize = 99;
/// Number of refusing clients from which on a path counts as untrusted.
const MANY_CLIENTS: usize = 5;

#[test]
fn record_is_complete() {
    let record = Record::read();
    assert!(record.cases.len() >= LEAST_CASES, "{}", record.cases.len());
    for case in &record.cases {
        let clients: Vec<&str> = case.clients.keys().map(String::as_str).collect();
        let all = ["chromium", "gnutls", "go", "java", "openssl", "rustls"];
        assert_eq!(clients, all, "{}", case.id);
    }
}

#[test]
fn webpki_answers_as_recorded() {
    let record = Record::read();
    for case in &record.cases {
        let (served, roots) = (record.pick(&case.served), record.pick(&case.roots));
        let answer = implementations::rustls::ask(&case.host, &served, &roots, case.at());
        assert_eq!(answer, case.clients["rustls"], "{}", case.id);
    }
}

#[test]
fn models_answer_as_recorded() {
    let record = Record::read();
    let known = divergence::read();
    let mut found = Vec::new();
    let mut scores = Scores::default();
    for case in &record.cases {
        let judged = judged(&record, case);
        for (client, opinion) in models(&judged).iter() {
            let is_right = opinion.accepts() == Some(accepts(case, client));
            scores.count(client, opinion, is_right);
            if !is_right {
                found.push(Divergence::new(&case.id, client.name(), opinion));
            }
        }
    }
    print!("{scores}");
    let is_listed = |d: &&Divergence| known.iter().any(|k| k.is_of(d));
    let new: Vec<_> = found.iter().filter(|d| !is_listed(d)).collect();
    assert!(new.is_empty(), "not in divergences.jsonl: {new:#?}");
    let gone: Vec<_> = known
        .iter()
        .filter(|k| !found.iter().any(|d| k.is_of(d)))
        .collect();
    assert!(gone.is_empty(), "no divergence any more: {gone:#?}");
    let (right, all) = scores.total();
    assert!(right * 100 >= all * LEAST_RIGHT, "{right} of {all}");
}

/// Most chains have no trait, and no model evaluates them.
#[test]
fn a_chain_without_traits_is_accepted_by_all() {
    let record = Record::read();
    let mut without = 0;
    for case in &record.cases {
        let judged = judged(&record, case);
        let clients = models(&judged);
        let is_accepted = clients.iter().all(|(_, o)| *o == Opinion::Accepts);
        // The client was given another name than certvigil: see divergences.jsonl.
        if is_accepted && clients.traits().is_empty() && case.id != "host-trailing-dot-host" {
            assert_eq!(refusing(case), [], "{}", case.id);
            without += 1;
        }
    }
    assert!(without > LEAST_CASES / 2, "{without}");
}

#[test]
fn chain_refused_by_a_client_is_not_ok() {
    let record = Record::read();
    let known = divergence::read();
    for case in &record.cases {
        let refusing = refusing(case);
        let is_listed = |c: &Client| {
            known
                .iter()
                .any(|k| k.case == case.id && k.client == c.name())
        };
        if refusing.iter().all(is_listed) {
            continue;
        }
        let severity = judged(&record, case).severity();
        assert_ne!(severity, Severity::Ok, "{}: {refusing:?} refuse", case.id);
    }
}

#[test]
fn chain_accepted_by_all_clients_is_trusted_without_critical_findings() {
    let record = Record::read();
    for case in record.cases.iter().filter(|c| refusing(c).is_empty()) {
        let judged = judged(&record, case);
        let expiry = [Code::Expiring, Code::ChainExpiring];
        let mut findings = judged.findings.iter();
        let critical =
            findings.find(|f| f.severity == Severity::Critical && !expiry.contains(&f.code()));
        assert!(critical.is_none(), "{}: {critical:?}", case.id);
        assert_eq!(flags(&judged).trusted, Some(true), "{}", case.id);
        assert_eq!(refusals(&judged), 0, "{}", case.id);
    }
}

#[test]
fn chain_refused_by_most_clients_is_not_trusted() {
    let record = Record::read();
    for case in &record.cases {
        if refusing(case).len() >= MANY_CLIENTS {
            let judged = judged(&record, case);
            assert_eq!(flags(&judged).trusted, Some(false), "{}", case.id);
        }
    }
}

/// Refusals are one finding, which names exactly the refusing clients.
#[test]
fn refusals_are_one_finding_that_names_the_clients() {
    let record = Record::read();
    for case in &record.cases {
        let judged = judged(&record, case);
        let is_of_it = |f: &&Finding| f.code() == Code::RefusedByClients;
        let of_it: Vec<_> = judged.findings.iter().filter(is_of_it).collect();
        assert!(of_it.len() <= 1, "{}: {of_it:?}", case.id);
        let Some(finding) = of_it.first() else {
            continue;
        };
        let Detail::RefusedByClients(Refused::Chain {
            refusals,
            accepted_by,
        }) = &finding.detail
        else {
            panic!("{}: {finding:?}", case.id);
        };
        let message = finding.message();
        assert!(message.ends_with(" it"), "{message}");
        for (client, opinion) in models(&judged).iter() {
            let title = client.title();
            match opinion {
                Opinion::Refuses(refusal) => {
                    let mut of_client = refusals.iter().filter(|r| r.clients.contains(&client));
                    assert_eq!(of_client.next().map(|r| &r.refusal), Some(refusal));
                    assert!(of_client.next().is_none(), "{title}: {finding:?}");
                    assert!(message.contains(&refusal.reason), "{message}");
                }
                Opinion::Accepts => assert!(accepted_by.contains(&client), "{title}: {finding:?}"),
                Opinion::Unknown => {}
            }
        }
    }
}

fn models(judged: &Judged) -> &Clients {
    judged.clients.as_ref().unwrap()
}

fn flags(judged: &Judged) -> &Flags {
    match &judged.verdict {
        Verdict::Conclusive(flags) => flags,
        Verdict::Inconclusive(error) => panic!("{error}"),
    }
}

fn refusals(judged: &Judged) -> usize {
    models(judged).refusals().count()
}

fn accepts(case: &Recorded, client: Client) -> bool {
    case.clients[client.name()] == "ok"
}

fn refusing(case: &Recorded) -> Vec<Client> {
    let all = Client::ALL.into_iter();
    all.filter(|client| !accepts(case, *client)).collect()
}

/// Correct answers of each client's model.
#[derive(Default)]
pub(crate) struct Scores(BTreeMap<Client, Score>);

#[derive(Clone, Copy, Default)]
struct Score {
    right: usize,
    wrong: usize,
    unknown: usize,
}

impl Scores {
    /// The models' scores for the record.
    pub(crate) fn of(record: &Record) -> Self {
        let mut scores = Self::default();
        for case in &record.cases {
            for (client, opinion) in models(&judged(record, case)).iter() {
                let is_right = opinion.accepts() == Some(accepts(case, client));
                scores.count(client, opinion, is_right);
            }
        }
        scores
    }

    fn count(&mut self, client: Client, opinion: &Opinion, is_right: bool) {
        let score = self.0.entry(client).or_default();
        match opinion {
            _ if is_right => score.right += 1,
            Opinion::Unknown => score.unknown += 1,
            _ => score.wrong += 1,
        }
    }

    /// The number of correct answers, and of all.
    fn total(&self) -> (usize, usize) {
        let right = self.0.values().map(|s| s.right).sum();
        let all = self.0.values().map(|s| s.right + s.wrong + s.unknown).sum();
        (right, all)
    }
}

/// Formats a Markdown table.
impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| client | right | wrong | unknown |")?;
        writeln!(f, "| --- | --- | --- | --- |")?;
        for (client, score) in &self.0 {
            let Score {
                right,
                wrong,
                unknown,
            } = score;
            writeln!(f, "| {client} | {right} | {wrong} | {unknown} |")?;
        }
        Ok(())
    }
}
