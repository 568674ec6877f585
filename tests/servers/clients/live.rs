//! Serves cases to the real clients and collects their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Instant;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clients::implementations::{self, ACCEPTED, Job};
use crate::clients::keys::Keys;
use crate::clients::record::{Record, Recorded, pem};
use crate::clients::serve::Servers;
use crate::clients::spec::Case;

/// The clients to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// The fast clients.
    Fast,
}

/// The answers of one client, and their total time.
struct Answers {
    client: &'static str,
    version: String,
    answers: Vec<String>,
    seconds: f64,
}

/// Serves the cases and returns the clients' answers.
pub(crate) fn ask(cases: &[Case], which: Which) -> Record {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let at = now.format(&Rfc3339).unwrap();
    let start = Instant::now();
    let (keys, folder, mut servers) = (Keys::new(), tempfile::tempdir().unwrap(), Servers::new());
    let mut jobs = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let built = case.build(&keys, now);
        let own = folder.path().join(number.to_string());
        fs::create_dir(&own).unwrap();
        let roots_file = own.join("roots.pem");
        fs::write(&roots_file, pem(&built.roots)).unwrap();
        jobs.push(Job {
            id: case.id.clone(),
            host: case.host.clone(),
            port: servers.serve(case, &built, &keys, &own),
            served: built.served,
            roots: built.roots,
            roots_file,
        });
    }
    println!(
        "{} cases are served after {:.1} s",
        jobs.len(),
        start.elapsed().as_secs_f64()
    );
    let all = ask_all(&jobs, which, now, folder.path());
    let mut record = Record::default();
    for answers in &all {
        let (client, version, seconds) = (answers.client, &answers.version, answers.seconds);
        let accepted = answers.answers.iter().filter(|a| *a == ACCEPTED).count();
        println!("{client}: {version}, {accepted} accepted, {seconds:.1} s");
        record.versions.insert(client.to_owned(), version.clone());
    }
    for (index, job) in jobs.iter().enumerate() {
        let answer = |a: &Answers| (a.client.to_owned(), a.answers[index].clone());
        let (served, roots) = (record.keep(&job.served), record.keep(&job.roots));
        record.cases.push(Recorded {
            id: job.id.clone(),
            host: job.host.clone(),
            at: at.clone(),
            served,
            roots,
            clients: all.iter().map(answer).collect(),
        });
    }
    record
}

fn ask_all(
    jobs: &[Job],
    which: Which,
    now: OffsetDateTime,
    folder: &std::path::Path,
) -> Vec<Answers> {
    let each = |one: fn(&Job) -> String| jobs.iter().map(one).collect::<Vec<_>>();
    let rustls = || {
        let one = |j: &Job| implementations::rustls::ask(&j.host, &j.served, &j.roots, now);
        jobs.iter().map(one).collect()
    };
    std::thread::scope(|scope| {
        let mut asked = vec![
            scope.spawn(move || {
                timed("openssl", implementations::openssl::version(), || {
                    each(implementations::openssl::ask)
                })
            }),
            scope.spawn(move || {
                timed("gnutls", implementations::gnutls::version(), || {
                    each(implementations::gnutls::ask)
                })
            }),
            scope.spawn(move || {
                timed("go", implementations::go::version(folder), || {
                    implementations::go::ask(jobs, folder)
                })
            }),
            scope.spawn(move || timed("rustls", implementations::rustls::version(), rustls)),
        ];
        if which == Which::All {
            asked.push(scope.spawn(|| {
                timed("java", implementations::java::version(), || {
                    implementations::java::ask(jobs)
                })
            }));
            asked.push(scope.spawn(|| {
                timed("chromium", implementations::chromium::version(), || {
                    implementations::chromium::ask(jobs)
                })
            }));
        }
        asked.into_iter().map(|a| a.join().unwrap()).collect()
    })
}

fn timed(client: &'static str, version: String, ask: impl FnOnce() -> Vec<String>) -> Answers {
    let start = Instant::now();
    let answers = ask();
    Answers {
        client,
        version,
        answers,
        seconds: start.elapsed().as_secs_f64(),
    }
}

/// Prints the number of cases on which the clients agree.
pub(crate) fn summarize(record: &Record) {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for case in &record.cases {
        assert!(ids.insert(&case.id), "two cases are {}", case.id);
        let accepted = case.clients.values().filter(|a| *a == ACCEPTED).count();
        *counts.entry(accepted).or_default() += 1;
    }
    println!(
        "{} cases, {} certificates",
        record.cases.len(),
        record.certificates.len()
    );
    for (accepted, cases) in counts {
        println!("{cases} cases are accepted by {accepted} clients");
    }
}
