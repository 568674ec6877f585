//! The program writes exactly the files of the folder, and overwrites no file of the user.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::support::{Run, certvigil};

/// The files of a folder and of its subfolders, by relative path.
fn files_below(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn export(to: &Path, more: &[&str]) -> Run {
    let to = to.to_str().unwrap();
    certvigil(["dashboards", "export", to].iter().chain(more))
}

#[test]
fn export_writes_all_dashboard_files() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("a/new/folder");
    let run = export(&to, &[]);
    assert_eq!(run.code, 0, "{run:?}");
    let wanted = files_below(&folder());
    assert!(files_below(&to) == wanted, "not the same: {run:?}");
    let told: BTreeSet<String> = run.stdout.lines().map(str::to_owned).collect();
    let lines = wanted
        .keys()
        .map(|name| format!("wrote {}", to.join(name).display()));
    assert_eq!(told, lines.collect::<BTreeSet<_>>());
    assert_eq!(run.stderr, "");

    let again = export(&to, &[]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        again.stdout.lines().all(|l| l.starts_with("unchanged ")),
        "{again:?}"
    );
}

#[test]
fn an_export_replaces_its_own_files_and_their_links() {
    let place = tempfile::tempdir().unwrap();
    let url = ["--external-url", "https://certs.example/monitor/"];
    for more in [
        &url[..],
        &[],
        &["--external-url", "http://[2001:db8::1]:1"],
        &url,
    ] {
        let run = export(place.path(), more);
        assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    }
    let files = files_below(place.path());
    let whole: String = files.values().map(String::as_str).collect();
    assert!(!whole.contains("localhost:10843/"), "{whole}");
    let rules = &files["prometheus/rules.yml"];
    assert!(rules.contains(" https://certs.example/monitor/docs/alerts#certvigilexpired\n"));

    // Other changes are those of the user.
    let changed = rules.replace("for: 7m", "for: 8m");
    std::fs::write(place.path().join("prometheus/rules.yml"), changed).unwrap();
    assert_eq!(export(place.path(), &url).code, 3);
    let run = export(place.path(), &["--external-url", "file:///x"]);
    assert_eq!(run.code, 3, "{run:?}");
}

#[test]
fn export_does_not_overwrite_changed_files() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("out");
    let changed = to.join("prometheus/rules.yml");
    std::fs::create_dir_all(changed.parent().unwrap()).unwrap();
    // The same beginning: the whole file and one more byte.
    let longer = text("prometheus/rules.yml") + "#";
    for mine in ["groups: []\n", &longer] {
        std::fs::write(&changed, mine).unwrap();
        let run = export(&to, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(
            run.stderr.contains("prometheus/rules.yml") && run.stderr.contains("--force"),
            "{run:?}"
        );
        assert_eq!(files_below(&to).len(), 1, "nothing is written by halves");
        assert_eq!(std::fs::read_to_string(&changed).unwrap(), mine);
    }
    let run = export(&to, &["--force"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        files_below(&to) == files_below(&folder()),
        "not the same: {run:?}"
    );
}

#[test]
fn unwritable_export_path_error_is_one_line() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let run = export(&file, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.contains(file.to_str().unwrap()), "{run:?}");
}
