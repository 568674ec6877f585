//! Cost of the pure core: reading certificates and judging observations, counted in instructions,
//! which do not depend on the load of the machine.
//!
//! Only Rust code is counted, in the unoptimised build of the tests. C and assembler are excluded:
//! hashes and signatures, which select their instructions by processor, and the copying and
//! allocation of the C library. The figure is a ratio to a fixed piece of work in the same run, so
//! that another compiler changes it little.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;

use certvigil::certificate::{Certificate, parse_certificates};
use certvigil::finding::Severity;
use certvigil::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use certvigil::judge::{Judged, Rules, TrustStore, judge};
use certvigil::model::{KeyType, Protocol, Target, Timestamp, Timings, Vantage};
use certvigil::observation::{KeyProof, Observation, Outcome, Revocation, Served, TlsVersion};

use crate::support::{REWRITE, recorded};

/// File with the recorded figures.
const BASELINE: &str = "tests/instructions.txt";
/// Maximum relative difference from the baseline, in either direction: an improvement should be
/// recorded, too. Compilers differ by some per cent, and hash maps by some tenths of a per cent at
/// every run.
const TOLERANCE: f64 = 0.15;
const ROUNDS: usize = 20;
/// Time as of which the corpus is judged.
const NOW: &str = "2030-01-01T00:00:00Z";

/// Chains as servers send them, each with its root: correct ones and ones with various faults.
const CHAINS: [(&[&str], &str); 14] = [
    (&["leaf", "intermediate"], "root"),
    (&["leaf"], "root"),
    (&["leaf", "intermediate", "root"], "root"),
    (&["leaf", "root", "intermediate", "intermediate"], "root"),
    (
        &["leaf", "intermediate", "rsa-root", "selfsigned-ca"],
        "rsa-root",
    ),
    (&["rsa1024", "intermediate"], "root"),
    (&["v1"], "root"),
    (&["no-san"], "root"),
    (&["negative-serial"], "root"),
    (&["critical-extension"], "root"),
    (&["nul-in-name"], "root"),
    (&["two-faults"], "root"),
    (&["below-pss"], "pss-root"),
    (&["below-v1", "v1-intermediate"], "root"),
];

struct Corpus {
    ders: Vec<Vec<u8>>,
    looks: Vec<(Arc<Expected>, Observation, TrustStore)>,
    rules: Rules,
    now: Timestamp,
}

impl Corpus {
    fn new() -> Self {
        let looks: Vec<_> = CHAINS
            .iter()
            .map(|(chain, root)| look(chain, root))
            .collect();
        let all = CHAINS.iter().flat_map(|(chain, _)| *chain);
        let corpus = Self {
            ders: all.map(|name| read(name).der().to_vec()).collect(),
            looks,
            rules: Rules::default(),
            now: NOW.parse().unwrap(),
        };
        // From here on signature results are cached. The first judgement is not counted.
        judge_all(&corpus);
        corpus
    }
}

fn read(name: &str) -> Certificate {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/certvigil-core/src/judge/testdata");
    let pem = fs::read(folder.join(format!("{name}.pem"))).unwrap();
    parse_certificates(&pem).unwrap().remove(0)
}

fn look(chain: &[&str], root: &str) -> (Arc<Expected>, Observation, TrustStore) {
    let mut trust = TrustStore::default();
    trust.add(&read(root)).unwrap();
    let mut served: Vec<_> = chain.iter().map(|name| read(name)).collect();
    let expected = Instance::from_chain(vec![read("leaf"), read("intermediate")]).unwrap();
    let expected = Expected {
        source: SourceKind::Pem,
        what: Expectation::Instances(Box::new(Instances::only(expected))),
    };
    let observation = Observation {
        target: Target {
            certificate: "web".into(),
            hostname: "www.example.com".parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        }
        .into(),
        ip: Some("192.0.2.1".parse().unwrap()),
        key_type: KeyType::Any,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome: Outcome::Served(Box::new(Served {
            leaf: served.remove(0),
            rest: served,
            tls_version: TlsVersion::Tls13,
            cipher_suite: "TLS_AES_256_GCM_SHA384".into(),
            alpn: None,
            revocation: Revocation::default(),
            key_proof: KeyProof::Handshake,
            parameters: Default::default(),
            failure: None,
            ech: None,
        })),
    };
    (Arc::new(expected), observation, trust)
}

#[inline(never)]
fn reading(corpus: &Corpus) -> Vec<Certificate> {
    let mut read = Vec::new();
    for der in &corpus.ders {
        read.push(Certificate::from_der(der.clone()));
    }
    read
}

#[inline(never)]
fn judging(corpus: &Corpus) -> Vec<Judged> {
    judge_all(corpus)
}

/// The common case: a leaf, one intermediate and a known root.
#[inline(never)]
fn common(corpus: &Corpus) -> Vec<Judged> {
    judge_some(corpus, 1)
}

fn judge_all(corpus: &Corpus) -> Vec<Judged> {
    judge_some(corpus, corpus.looks.len())
}

fn judge_some(corpus: &Corpus, count: usize) -> Vec<Judged> {
    let mut judged = Vec::new();
    for (expected, observation, trust) in corpus.looks.iter().take(count) {
        let observation = observation.clone();
        judged.push(judge(
            Some(expected),
            observation,
            trust,
            &corpus.rules,
            corpus.now,
        ));
    }
    judged
}

/// Fixed work of the same kind: text is built, sorted, searched and compared.
#[inline(never)]
fn fixed_work() -> usize {
    let mut map = BTreeMap::new();
    let mut state: u32 = 1;
    for _ in 0..500 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *map.entry(format!("{:x}", state >> 16)).or_insert(0_usize) += 1;
    }
    let mut total = 0;
    for (text, count) in &map {
        for byte in text.bytes() {
            total += usize::from(byte) * count;
        }
    }
    total
}

/// Runs the counted functions, to test that they work.
#[test]
fn the_corpus_is_read_and_judged() {
    let corpus = Corpus::new();
    in_threads([
        &|| {
            black_box(fixed_work());
        },
        &|| {
            let read = black_box(reading(&corpus));
            assert!(read.iter().all(|c| c.facts().is_ok()));
        },
        &|| {
            black_box(common(&corpus));
        },
        &|| {
            let judged = black_box(judging(&corpus));
            assert!(judged[0].severity() <= Severity::Info, "{:?}", judged[0]);
            assert!(judged[1..].iter().all(|j| !j.findings.is_empty()));
        },
    ]);
}

/// Runs each function in a thread of its own, one after the other. Callgrind counts threads
/// separately. All threads live until the end: valgrind reuses the number of one that has ended.
fn in_threads(functions: [&(dyn Fn() + Sync); 4]) {
    thread::scope(|scope| {
        let mut holds = Vec::new();
        for function in functions {
            let (hold, held) = mpsc::channel::<()>();
            let (done, is_done) = mpsc::channel();
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    function();
                }
                done.send(()).unwrap();
                // Returns an error when `holds` is dropped.
                let _ = held.recv();
            });
            holds.push(hold);
            is_done.recv().expect("the function panicked");
        }
    });
}

#[test]
#[ignore = "needs valgrind"]
fn instruction_counts_match_the_baseline() {
    let [fixed, reading, judging, common] = count(["fixed_work", "reading", "judging", "common"]);
    let figures = [
        ("reading", reading),
        ("judging", judging),
        ("common", common),
    ]
    .map(|(name, counted)| (name, counted / fixed));
    let text: String = figures
        .iter()
        .map(|(name, figure)| format!("{name} {figure:.2}\n"))
        .collect();
    let baseline = recorded(BASELINE, &text);
    let before: BTreeMap<&str, f64> = baseline
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, figure)| (name, figure.parse().unwrap()))
        .collect();
    for (name, figure) in figures {
        let change = figure / before[name] - 1.0;
        assert!(
            change.abs() <= TOLERANCE,
            "{name} costs {:+.0} % of what it did. If that is meant, write it down: \
             {REWRITE}=1 cargo test --test repository instruction_counts_match -- --ignored\n\
             {BASELINE} says:\n{baseline}counted was:\n{text}",
            100.0 * change
        );
    }
}

/// Instructions of Rust code within each of the functions above, of one run.
fn count<const N: usize>(functions: [&str; N]) -> [f64; N] {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("callgrind.out");
    let module = module_path!();
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--separate-threads=yes",
            "--compress-strings=no",
        ])
        .arg(format!("--callgrind-out-file={}", out.display()));
    for function in functions {
        // A function's name may end in a hash. A closure in it has another name, which must not end
        // the counting.
        command
            .arg(format!("--toggle-collect={module}::{function}"))
            .arg(format!("--toggle-collect={module}::{function}::h*"));
    }
    let run = command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "instructions::the_corpus_is_read_and_judged"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}");
    let threads: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    functions.map(|function| {
        let name = format!("fn={module}::{function}");
        let is_it = |line: &str| {
            let rest = line.strip_prefix(&name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::h"))
        };
        let mut counted = threads.iter().filter(|text| text.lines().any(is_it));
        let total = counted.next().map_or(0, |text| of_rust(text));
        assert!(total > 0, "{function} was not found: {told}");
        assert!(counted.next().is_none(), "{function} has several threads");
        total as f64
    })
}

/// The sum of the self costs of Rust functions, in callgrind's format: `fn=` is followed by lines
/// of a position and a cost. The one such line after `calls=` is the cost of the called function,
/// which is counted there.
fn of_rust(counted: &str) -> u64 {
    let mut total = 0;
    let (mut is_rust, mut is_call) = (false, false);
    for line in counted.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            // A path of a crate; names of C functions have none.
            is_rust = name.contains("::");
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*')) {
            let cost = line
                .split(' ')
                .nth(1)
                .and_then(|cost| cost.parse::<u64>().ok());
            if is_rust && !is_call {
                total += cost.unwrap_or_default();
            }
            is_call = false;
        }
    }
    total
}

#[test]
fn instruction_count_excludes_callees_and_foreign_code() {
    let counted = "\
version: 1
events: Ir
fn=repository::instructions::judging
10 100
calls=2 20
11 5000
+1 10
fn=aws_lc_0_1_sha256
20 4000
fn=core::slice::sort
* 7
totals: 9117
";
    assert_eq!(of_rust(counted), 117);
}
