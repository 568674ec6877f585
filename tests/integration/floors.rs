//! The walls of the house: one crate has none between its floors, so this reads who uses whom.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::markdown::{code_spans, document};

/// The ground: pure. Each room with the rooms that it may use.
const GROUND: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("certificate", &["model"]),
    ("instance", &["certificate", "model"]),
    ("observation", &["certificate", "model"]),
    ("tlsa", &[]),
    (
        "finding",
        &["certificate", "instance", "model", "observation", "tlsa"],
    ),
    (
        "judge",
        &[
            "certificate",
            "finding",
            "instance",
            "model",
            "observation",
            "tlsa",
        ],
    ),
    ("guard", &["model"]),
    ("config", &["certificate", "guard", "model"]),
    (
        "report",
        &[
            "certificate",
            "finding",
            "instance",
            "judge",
            "model",
            "observation",
        ],
    ),
];

/// The rim: each room with the rooms of the rim that it may use. All of the ground is open to it.
const RIM: [(&str, &[&str]); 8] = [
    // Files are read by one hand, which has a bound.
    ("trust", &["source"]),
    // A source is asked over HTTPS, which needs roots; an account is a place to look from too.
    ("source", &["remote", "trust"]),
    ("resolve", &[]),
    // The files of a client's certificate are read by the same hand.
    ("look", &["source"]),
    // The test API is a part of the API that sources are asked by.
    ("remote", &["source"]),
    // Lists and responders are asked by the client that sources are asked by.
    ("revocation", &["source"]),
    ("web", &["source"]),
    // What a source said is kept.
    ("store", &["source"]),
];

/// The engine may use the ground and the rim; the faces may use all of that, and those before them here.
const ENGINE: [&str; 2] = ["scan", "schedule"];
const FACES: [&str; 3] = ["lab", "serve", "cli"];

/// What touches the outside, or remembers.
const OUTSIDE: [&str; 16] = [
    "tokio",
    "reqwest",
    "hyper",
    "hickory_resolver",
    "rusqlite",
    "std::fs",
    "std::env::",
    "std::io::stdin",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "SystemTime",
    "Instant",
    "now_utc",
];

fn allowed(room: &str) -> BTreeSet<&'static str> {
    let ground = GROUND.iter().map(|(name, _)| *name);
    let rim = RIM.iter().map(|(name, _)| *name);
    let of = |floor: &[(&str, &'static [&'static str])]| {
        let found = floor.iter().find(|(name, _)| *name == room);
        found.map(|(_, uses)| uses.iter().copied())
    };
    if let Some(uses) = of(&GROUND) {
        return uses.collect();
    }
    if let Some(uses) = of(&RIM) {
        return ground.chain(uses).collect();
    }
    let below = ground.chain(rim);
    if ENGINE.contains(&room) {
        return below.collect();
    }
    let before = FACES.iter().take_while(|face| **face != room);
    below.chain(ENGINE).chain(before.copied()).collect()
}

fn rooms() -> BTreeSet<&'static str> {
    let floors = GROUND.iter().chain(&RIM).map(|(name, _)| *name);
    floors.chain(ENGINE).chain(FACES).collect()
}

/// A source file of a room: what is compiled outside of tests, without comments.
struct Source {
    room: String,
    path: PathBuf,
    lines: Vec<(usize, String)>,
}

impl Source {
    /// Whether `super` means the crate here.
    fn is_front_door(&self) -> bool {
        let at_root = self.path.parent() == Some(Path::new("src"));
        at_root || self.path.ends_with(Path::new(&self.room).join("mod.rs"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = |stem| stem == "tests" || stem == "fuzzing";
            if path.file_stem().is_some_and(is_test) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_owned();
                let inside = path.strip_prefix("src").unwrap();
                let first = inside.components().next().unwrap().as_os_str();
                let room = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
                if !["lib", "main"].contains(&room.as_str()) {
                    sources.push(Source {
                        lines: without_tests(&text),
                        room,
                        path,
                    });
                }
            }
        }
    }
    assert!(sources.len() > rooms().len(), "the sources are not found");
    sources
}

/// What is compiled for tests, or for fuzzing too.
const FOR_TESTS: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test, fuzzing))]"];

/// The lines that are neither comments nor for tests. The layout is rustfmt's: an item ends where a
/// line closes it as deep as it began.
fn without_tests(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let trimmed = line.trim_start();
        if FOR_TESTS.contains(&trimmed) {
            let indent = &line[..line.len() - trimmed.len()];
            let mut is_open = false;
            for (_, line) in lines.by_ref() {
                if !is_open && line.ends_with(';') {
                    break;
                }
                is_open |= line.ends_with('{');
                if is_open && line.strip_prefix(indent) == Some("}") {
                    break;
                }
            }
        } else if !trimmed.starts_with("//") {
            let code = line.split(" // ").next().unwrap_or_default();
            out.push((at + 1, code.to_owned()));
        }
    }
    out
}

/// The rooms that a line uses.
fn used(line: &str) -> Vec<&str> {
    let after = line.split("crate::").skip(1);
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    after
        .map(|rest| &rest[..name(rest).unwrap_or(rest.len())])
        .collect()
}

#[test]
fn a_room_uses_only_the_rooms_that_it_may() {
    let mut wrong = Vec::new();
    let mut uses = 0;
    for source in sources() {
        let allowed = allowed(&source.room);
        for (number, line) in &source.lines {
            let place = format!("{}:{number}", source.path.display());
            if source.is_front_door() && line.trim_start().starts_with("use super::") {
                wrong.push(format!(
                    "{place}: write `crate::`, so that it is seen what is used"
                ));
            }
            for room in used(line) {
                uses += 1;
                if room.is_empty() {
                    wrong.push(format!("{place}: write a line for each room"));
                } else if room != source.room && !allowed.contains(room) {
                    wrong.push(format!("{place}: `{}` may not use `{room}`", source.room));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(uses > 50, "{uses}");
}

#[test]
fn the_ground_touches_nothing_outside() {
    let ground = GROUND.map(|(room, _)| room);
    let mut wrong = Vec::new();
    for source in sources() {
        if !ground.contains(&source.room.as_str()) {
            continue;
        }
        for (number, line) in &source.lines {
            let is_global = line
                .trim_start()
                .trim_start_matches("pub ")
                .starts_with("static ");
            let touched = OUTSIDE.iter().find(|word| line.contains(**word));
            if is_global || touched.is_some() {
                let path = source.path.display();
                wrong.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_shows_every_room() {
    let lib = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let lines = without_tests(&lib);
    let modules = lines.iter().filter_map(|(_, line)| {
        let name = line
            .strip_prefix("pub mod ")
            .or(line.strip_prefix("mod "))?;
        name.strip_suffix(';')
    });
    let modules: BTreeSet<&str> = modules.collect();
    assert_eq!(modules, rooms(), "src/lib.rs, and the tables here");

    let page = document("CONTRIBUTING.md");
    let rows = page.section("The map of the house").rows();
    let shown: BTreeSet<&str> = rows
        .iter()
        .map(|row| code_spans(&row[1])[0].trim_end_matches('/'))
        .collect();
    assert_eq!(shown, modules, "the map in CONTRIBUTING.md");
}

#[test]
fn what_is_under_cfg_test_is_passed_over() {
    let text = "\
use crate::a;
#[cfg(test)]
mod tests;
use crate::b; // crate::c
// crate::d
impl X {
    #[cfg(test)]
    fn f() {
        crate::e::g();
    }
    fn h() { crate::f::g() }
}
#[cfg(test)]
mod more {
    use crate::g;
}
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
use crate::h;
";
    let lines = without_tests(text);
    let used: Vec<&str> = lines.iter().flat_map(|(_, line)| used(line)).collect();
    assert_eq!(used, ["a", "b", "f", "h"]);
}
