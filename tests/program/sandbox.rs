//! `certvigil sandbox` as a user starts it: its output, its files, its account after a restart.

use crate::support::assert_one_line;
use crate::support::certvigil;

#[test]
fn mistakes_are_reported_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.yml");
    std::fs::write(&file, "certificates:\n  - {cn: www.example.com}\n").unwrap();
    let missing = folder.path().join("missing.yml");
    let (file, missing) = (file.to_str().unwrap(), missing.to_str().unwrap());
    for (args, words) in [
        (vec!["--listen", "nowhere"], &["not a listen address"][..]),
        (vec!["--approval-delay", "soon"], &["not a duration"]),
        (vec!["--lifetime", "0s"], &["at least 1s"]),
        (vec!["--api-key", "a:b"], &["no colon"]),
        (vec!["--user", "ann"], &["NAME:PASSWORD"]),
        (vec!["--webhook", "no url"], &["--webhook"]),
        (vec!["--scenario", missing], &["cannot read", "missing.yml"]),
        (
            vec!["--scenario", file],
            &["scenario.yml:2: certificates[0]", "`key` is missing"],
        ),
        (
            vec!["--state-dir", "/dev/null/x"],
            &["cannot create the folder /dev/null/x"],
        ),
    ] {
        let mut all = vec!["sandbox", "--listen", "127.0.0.1:0"];
        if args[0] == "--listen" {
            all.truncate(1);
        }
        all.extend(&args);
        let run = certvigil(all);
        assert_eq!(run.code, 3, "{args:?}: {run:?}");
        assert_one_line(&run, words, &args);
    }
}
