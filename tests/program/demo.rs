//! The demo, including that its self-check can fail.

use std::net::IpAddr;
use std::path::Path;

use certvigil::model::Timestamp;
use certvigil::testbed::Scenario;

use crate::fixture::exporter::Exporter;
use crate::support::certvigil;

#[test]
fn demo_reports_every_planted_fault_and_no_other() {
    let run = certvigil(["demo"]);
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert!(
        run.stdout
            .ends_with("planted faults were found, and nothing else was reported.\n"),
        "{}",
        run.stdout
    );
    assert_eq!(run.stderr, "");
    for host in Scenario::demo().unwrap().hosts {
        assert!(
            run.stdout.contains(&host.name.to_string()),
            "{} is not told of",
            host.name
        );
    }
}

#[test]
fn demo_that_serves_names_its_status_page_and_no_requests() {
    let demo = Exporter::demo(&[]);
    demo.wait_until_ready();
    let log = std::fs::read_to_string(demo.folder.path().join("log")).unwrap();
    let port = demo.address.port();
    let page = format!("INFO status page: url=http://localhost:{port}/");
    let (start, rest) = log.split_once(&page).unwrap_or_else(|| panic!("{log}"));
    assert!(start.trim_end().ends_with(&format!(":{port}")), "{log}");
    assert!(rest.starts_with('\n'), "{log}");
    assert!(!log.contains("request: "), "{log}");
}

#[test]
fn help_of_the_demo_has_its_own_listen_address() {
    for (command, default) in [("demo", "localhost:10843"), ("serve", ":10843")] {
        let help = certvigil([command, "--help"]).stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let default = format!("[default: {default}]");
        assert!(help.contains(&default), "{command}: {help}");
    }
}

#[test]
fn demo_reports_an_unprobed_host_as_a_difference() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _guard = runtime.enter();
    let text = "hosts:\n  - host: a.demo.example\n    servers: [{at: 127.0.0.91, serve: nothing, findings: unreachable}]\n";
    let scenario = Scenario::parse(text, Path::new("x.yml")).unwrap();
    let lab = runtime
        .block_on(certvigil::testbed::start(
            scenario,
            Timestamp(1_800_000_000),
        ))
        .unwrap();
    let at: IpAddr = "127.0.0.91".parse().unwrap();
    assert_eq!(
        lab.differences(&[]),
        [format!("a.demo.example at {at} was not probed")]
    );
}
