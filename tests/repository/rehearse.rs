//! The commands of `docs/rehearse.md`, run in order with a real nginx.

use std::path::Path;
use std::process::Command;

use crate::fixture::process::free_port;
use crate::markdown::document;
use crate::readme::{fits, run, shown};

/// The page.
pub(crate) const PAGE: &str = "docs/rehearse.md";

/// Ports of the page: the monitor, the sandbox, and nginx at two addresses.
const PORTS: [&str; 3] = ["10843", "10844", "8443"];

/// Processes that the page started, which are stopped if a command fails.
struct Started<'a>(&'a Path);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        for file in [
            "sandbox.pid",
            "serve.pid",
            "server1/nginx.pid",
            "server2/nginx.pid",
        ] {
            if let Ok(pid) = std::fs::read_to_string(self.0.join(file)) {
                let _ = Command::new("kill").arg(pid.trim()).status();
            }
        }
    }
}

#[test]
#[ignore = "needs nginx, curl and jq"]
fn a_renewal_is_rehearsed_as_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let _started = Started(folder.path());
    let ports = PORTS.map(|_| free_port().to_string());
    let with_ports = |text: &str| {
        let pairs = PORTS.iter().zip(&ports);
        pairs.fold(text.to_owned(), |text, (port, free)| {
            text.replace(port, free)
        })
    };
    let page = document(PAGE);
    let mut commands = 0;
    for block in page.blocks() {
        if let Some((_, file)) = block.info.split_once(' ') {
            let text = with_ports(&block.lines.join("\n")) + "\n";
            std::fs::write(folder.path().join(file), text).unwrap();
            continue;
        }
        for shown in shown(&block) {
            commands += 1;
            let written = run(&with_ports(&shown.command), folder.path());
            let written: Vec<&str> = written.lines().collect();
            let log = |name: &str| {
                let text = std::fs::read_to_string(folder.path().join(name));
                text.unwrap_or_default()
            };
            assert!(
                fits(&shown.output, &written),
                "{PAGE}:{}: $ {}\n--- shown\n{}\n--- written\n{}\n--- logs\n{}{}",
                shown.line,
                shown.command,
                shown.output.join("\n"),
                written.join("\n"),
                log("sandbox.log"),
                log("serve.log"),
            );
        }
    }
    assert!(commands > 20, "{commands}");
}
