//! The Debian package: built with the tested program and checked against Debian's policy. It is
//! then installed, used and purged in its own root file system, without anything of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::fixture::process::run;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Path of the package, which is built once.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| build("deb"))
}

/// Folder with the manual pages. `cargo test --workspace` has built the generator; otherwise cargo
/// builds it now.
fn manual() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manual");
    let program = Path::new(env!("CARGO_BIN_EXE_certvigil"));
    let built = program.with_file_name(format!("xtask{}", std::env::consts::EXE_SUFFIX));
    let mut command = match built.is_file() {
        true => Command::new(built),
        false => {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.arg("xtask").current_dir(root());
            cargo
        }
    };
    run(command.arg("man").arg(&folder));
    folder
}

fn build(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    let written = run(Command::new("sh")
        .arg(root().join("dist/debian/build.sh"))
        .arg(env!("CARGO_BIN_EXE_certvigil"))
        .arg(manual())
        .arg(&folder)
        .env_remove("SOURCE_DATE_EPOCH")
        // Less compression, in less time.
        .arg("--fast"));
    PathBuf::from(written.trim())
}

#[test]
#[ignore = "needs dpkg-dev, binutils and cargo-deb"]
fn debian_package_build_is_reproducible() {
    let first = fs::read(package()).unwrap();
    let again = fs::read(build("deb-again")).unwrap();
    assert!(first == again, "{} and {} bytes", first.len(), again.len());
}

#[test]
fn debian_package_version_matches_the_program() {
    let changelog = fs::read_to_string(root().join("dist/debian/changelog")).unwrap();
    let version = format!("certvigil ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&version), "{changelog}");
}

#[test]
#[ignore = "needs lintian, dpkg-dev, binutils and cargo-deb"]
fn lintian_accepts_the_package() {
    run(Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning"])
        .arg(package()));
}

/// `tests/package.sh` fails at the first incorrect step; its output shows that it reached its end.
#[test]
#[ignore = "needs mmdebstrap, dpkg-dev, binutils, iproute2, curl, openssl and cargo-deb"]
fn package_installs_runs_and_uninstalls() {
    let script = root().join("tests/package.sh");
    let hook = format!("sh {} \"$1\" {}", script.display(), package().display());
    let release = fs::read_to_string("/etc/os-release").unwrap();
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .expect("the name of this release of Debian or Ubuntu");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("mmdebstrap")
        .args(["--variant=essential", "--include=ca-certificates"])
        // This root file system need not survive a crash.
        .args(["--dpkgopt=force-unsafe-io", "--format=null"])
        .arg(format!("--customize-hook={hook}"))
        .args([suite, "/dev/null"])
        // Its tools are in directories of root's PATH only.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    for line in [
        "certvigil_build_info{version=\"",
        "1 endpoint: 0 critical, 0 unknown, 1 warning, 0 ok",
        "All 13 planted faults were found, and nothing else was reported.",
        "systemctl try-restart certvigil.service",
        "systemctl stop certvigil.service",
        "package: nothing is left",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}
