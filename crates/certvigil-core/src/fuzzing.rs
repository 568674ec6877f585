//! Fuzz targets of `fuzz/` that read files. Compiled for fuzzing and for the test that replays the
//! seeds.

/// Fuzz target for PKCS #7 and PKCS #12 files.
pub fn keystore(data: &[u8]) {
    crate::certificate::fuzz_keystore(data);
}

/// Fuzz target: accepts any bytes, and panics if a parser breaks its contract.
pub type Drive = fn(&[u8]);

/// Fuzz targets with the names of their files in `fuzz/fuzz_targets`.
pub const TARGETS: [(&str, Drive); 1] = [("keystore", keystore)];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::TARGETS;

    #[test]
    fn no_seed_panics_a_core_fuzz_target() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (name, target) in TARGETS {
            let mut replayed = 0;
            for entry in std::fs::read_dir(seeds.join(name)).expect(name) {
                let path = entry.unwrap().path();
                let seed = std::fs::read(&path).unwrap();
                let end = std::panic::catch_unwind(|| target(&seed));
                assert!(end.is_ok(), "{name} panics on {}", path.display());
                replayed += 1;
            }
            assert!(replayed > 0, "{name} has no seeds");
        }
    }
}
