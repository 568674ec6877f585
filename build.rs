//! Compresses the files that the program contains: pages of the documentation for the status page,
//! and the dashboards and rules that `certvigil dashboards export` writes.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::DeflateEncoder;

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let docs = ["docs/alerts.md", "docs/errors.md", "docs/findings.md"].map(PathBuf::from);
    let mut docs = Vec::from(docs);
    files_below(Path::new("docs/findings"), &mut docs)?;
    embed(&docs, "docs", &out)?;
    let mut dashboards = Vec::new();
    files_below(Path::new("dashboards"), &mut dashboards)?;
    embed(&dashboards, "dashboards", &out)
}

/// Adds all files below a directory of the source tree.
fn files_below(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", directory.display());
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes an expression to include: the files' paths below a directory, in their order, each with
/// its content as raw DEFLATE data (RFC 1951).
fn embed(files: &[PathBuf], directory: &str, out: &Path) -> io::Result<()> {
    let mut entries = Vec::new();
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.strip_prefix(directory).unwrap_or(file);
        let name = name.to_string_lossy().replace('\\', "/");
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&fs::read(file)?)?;
        entries.push((name, encoder.finish()?));
    }
    entries.sort();
    let mut list = String::from("&[\n");
    for (name, compressed) in entries {
        let _ = writeln!(list, "({name:?}, b\"{}\"),", compressed.escape_ascii());
    }
    list.push(']');
    fs::write(out.join(format!("{directory}.rs")), list)
}
