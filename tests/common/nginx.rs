//! nginx with a configuration of the test.

use crate::fixture::pki::{Leaf, Pki};
use crate::fixture::process::Process;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Starts nginx with these `server` blocks, in which `PORT` is replaced by its port.
pub(crate) fn nginx(addresses: &[&str], servers: &[String]) -> Process {
    let servers = servers.concat();
    Process::start(addresses, |folder, port| {
        let servers = servers.replace("PORT", &port.to_string());
        let config = format!(
            "daemon off; pid nginx.pid; error_log error.log info;
             events {{}}
             http {{
                 access_log off;
                 client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                 uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                 {servers}
             }}"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("nginx");
        command
            .arg("-e")
            .arg("log")
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(file);
        command
    })
}

/// A `server` block at an address that serves this chain.
pub(crate) fn server(address: &str, chain: &Path, key: &Path, more: &str) -> String {
    let certificate = pair(chain, key);
    format!("server {{ listen {address}:PORT ssl; {certificate} {more} }}\n")
}

pub(crate) fn pair(chain: &Path, key: &Path) -> String {
    let (chain, key) = (chain.display(), key.display());
    format!("ssl_certificate {chain}; ssl_certificate_key {key};")
}

/// nginx at 127.0.0.1 with this leaf and its chain, and further directives.
pub(crate) fn one(pki: &Pki, leaf: &Leaf, more: &str) -> Process {
    let block = server("127.0.0.1", &pki.full_chain(leaf), &leaf.key, more);
    nginx(&["127.0.0.1"], &[block])
}
