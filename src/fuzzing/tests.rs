//! The seeds of `fuzz/`, replayed: faults that fuzzing found stay fixed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::TARGETS;

/// Seeds of one target, at the most. What fuzzing finds beyond them is not kept in the repository.
const MAX_SEEDS: usize = 60;
/// The largest seed, in bytes.
const MAX_SEED: usize = 4096;

/// The targets of `certvigil_core::fuzzing` and `certvigil_probe::fuzzing`, whose seeds are replayed there.
const OF_OTHER_CRATES: [&str; 8] = [
    "cleartext_reader",
    "https_record",
    "keystore",
    "mssql",
    "nats",
    "rdp",
    "starttls",
    "tds",
];

fn fuzz(folder: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fuzz", folder]
        .iter()
        .collect()
}

/// The names of what is in a folder, without their extension.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(fuzz(folder)).unwrap();
    let stem = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    };
    entries.map(stem).collect()
}

#[test]
fn no_seed_panics_a_fuzz_target() {
    for (name, target) in TARGETS {
        let folder = fuzz("seeds").join(name);
        let mut seeds = 0;
        for entry in std::fs::read_dir(folder).expect(name) {
            let path = entry.unwrap().path();
            let seed = std::fs::read(&path).unwrap();
            assert!(seed.len() <= MAX_SEED, "{} is too large", path.display());
            let end = std::panic::catch_unwind(|| target(&seed));
            assert!(end.is_ok(), "{name} panics on {}", path.display());
            seeds += 1;
        }
        assert!((1..=MAX_SEEDS).contains(&seeds), "{name}: {seeds} seeds");
    }
}

#[test]
fn each_fuzz_target_has_its_file_seeds_and_dictionary() {
    let known = TARGETS.iter().map(|(name, _)| *name).chain(OF_OTHER_CRATES);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("seeds"), known);
    let manifest = std::fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    for name in &known {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        // libFuzzer refuses a dictionary that is missing or empty.
        let dictionary = fuzz("dictionaries").join(format!("{name}.dict"));
        let words = std::fs::read_to_string(dictionary).unwrap_or_default();
        assert!(!words.trim().is_empty(), "{name} has no dictionary");
        let path = fuzz("fuzz_targets").join(format!("{name}.rs"));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&format!("fuzzing::{name}(")), "{name}");
    }
}
