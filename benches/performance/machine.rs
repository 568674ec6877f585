//! The machine and the programs of a measurement.

use std::fs;
use std::process::Command;

/// A sentence about the machine, and one about the programs.
pub(crate) fn describe(packages: &[&str]) -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = || {
        let lines = processors.lines().filter(|l| l.starts_with("model name"));
        lines.filter_map(|l| l.split_once(": "))
    };
    let model = models().next().map_or("unknown", |(_, model)| model);
    let cores = models().count();
    let memory = procfs_gibibytes();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The parts after the first two numbers identify the builder.
    let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
    let kernel = kernel.join(".");

    let versions: Vec<String> = packages.iter().map(|p| version(p)).collect();
    let versions = match versions.join(", ") {
        none if none.is_empty() => none,
        versions => format!("; Debian's {versions}"),
    };
    let compiler = said(Command::new("rustc").arg("--version"));
    format!(
        "Measured on: {cores} × {model}, {memory} GiB of memory, Linux {kernel}; certvigil {} by {compiler}{versions}.\n",
        env!("CARGO_PKG_VERSION"),
    )
}

fn procfs_gibibytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = text
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<u64>().ok());
    kibibytes.unwrap_or_default().div_ceil(1 << 20)
}

fn version(package: &str) -> String {
    let format = "${Package} ${Version}";
    said(Command::new("dpkg-query").args(["-W", "-f", format, package]))
}

/// The first line of a program's output.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|o| o.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}
