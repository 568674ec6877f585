//! Servers on loopback, one for each case, that send exactly the case's certificates.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::clients::keys::{Keys, Kind};
use crate::clients::record::pem;
use crate::clients::spec::{Built, Case};

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// The servers of all cases. Dropping it stops them.
pub(crate) struct Servers {
    runtime: Runtime,
    children: Vec<Child>,
}

#[derive(Debug)]
struct Chain(Arc<CertifiedKey>);

impl ResolvesServerCert for Chain {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl Servers {
    pub(crate) fn new() -> Self {
        Self {
            runtime: Runtime::new().unwrap(),
            children: Vec::new(),
        }
    }

    /// Serves a case at 127.0.0.1 and returns the port. Certificates and a key for
    /// `openssl s_server` are written to the folder.
    pub(crate) fn serve(&mut self, case: &Case, built: &Built, keys: &Keys, folder: &Path) -> u16 {
        let key = case.leaf_key();
        // rustls does not accept a trailing dot in server_name.
        let by_rustls = !case.host.ends_with('.')
            && match key.kind {
                Kind::P256 | Kind::P384 | Kind::P521 | Kind::Ed25519 => true,
                Kind::Rsa(bits) => matches!(bits, 2048..=4096),
                Kind::RsaExponent3 => true,
                _ => false,
            };
        if by_rustls {
            let pkcs8 = PrivateKeyDer::try_from(keys.pkcs8(key)).unwrap();
            self.serve_by_rustls(built, &pkcs8)
        } else {
            self.serve_by_openssl(built, &keys.pem(key), folder)
        }
    }

    fn serve_by_rustls(&self, built: &Built, key: &PrivateKeyDer<'static>) -> u16 {
        let chain = built.served.iter().map(|d| CertificateDer::from(d.clone()));
        let key = CertifiedKey::new(chain.collect(), any_supported_type(key).unwrap());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Chain(Arc::new(key))));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = self
            .runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(mut tls) = acceptor.accept(stream).await {
                        let mut request = [0; 4096];
                        if matches!(tls.read(&mut request).await, Ok(1..)) {
                            let _ = tls.write_all(RESPONSE).await;
                        }
                        let _ = tls.shutdown().await;
                    }
                });
            }
        });
        port
    }

    fn serve_by_openssl(&mut self, built: &Built, key: &Path, folder: &Path) -> u16 {
        let (leaf, rest) = (folder.join("leaf.pem"), folder.join("rest.pem"));
        fs::write(&leaf, pem(&built.served[..1])).unwrap();
        fs::write(&rest, pem(&built.served[1..])).unwrap();
        let mut command = Command::new("openssl");
        command
            .args(["s_server", "-www", "-accept", "127.0.0.1:0"])
            .args(["-cipher", "ALL:@SECLEVEL=0", "-key"])
            .arg(key)
            .arg("-cert")
            .arg(&leaf);
        if built.served.len() > 1 {
            command.arg("-cert_chain").arg(&rest);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        self.children.push(child);
        let mut lines = out.lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.strip_prefix("ACCEPT ")?.rsplit_once(':')?;
            port.parse().ok()
        });
        // s_server writes for each connection, so the pipe must be drained.
        std::thread::spawn(move || lines.for_each(drop));
        port.unwrap_or_else(|| panic!("{command:?} does not listen"))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
