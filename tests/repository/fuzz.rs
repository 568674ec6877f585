//! What `make fuzz` needs beside the fuzz targets.

use std::fs;
use std::path::Path;

#[test]
fn every_fuzz_target_has_seeds_and_a_dictionary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut count = 0;
    for target in fs::read_dir(folder.join("fuzz_targets")).unwrap() {
        let path = target.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let seeds = fs::read_dir(folder.join("seeds").join(name)).unwrap();
        assert!(seeds.count() > 0, "{name} has no seed");
        // libFuzzer refuses a dictionary that is missing or empty.
        let dictionary = folder.join("dictionaries").join(format!("{name}.dict"));
        let words = fs::read_to_string(dictionary).unwrap_or_default();
        assert!(!words.trim().is_empty(), "{name} has no dictionary");
        count += 1;
    }
    assert!(count > 10, "{count}");
}
