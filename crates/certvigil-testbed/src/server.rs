//! TLS servers of the testbed.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::certificate::Certificate;

use super::authority::Key;

/// Maximum duration of a connection, after which the server closes it.
const MAX_STAY: Duration = Duration::from_secs(60);

/// Behaviour of a server on a connection.
#[derive(Clone)]
pub(super) enum Behaviour {
    /// Performs the TLS handshake.
    Handshake(TlsAcceptor),
    /// Sends nothing.
    Silence,
}

/// Creates the behaviour of a server with this chain and key.
pub(super) fn handshake(chain: &[Certificate], key: &Key) -> Result<Behaviour, rustls::Error> {
    let chain = chain
        .iter()
        .map(|c| CertificateDer::from(c.der().to_vec()))
        .collect();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key.to_der())?;
    Ok(Behaviour::Handshake(Arc::new(config).into()))
}

/// Serves connections on a bound listener until the task is dropped.
pub(super) async fn serve(listener: TcpListener, behaviour: Behaviour) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let behaviour = behaviour.clone();
        // A flight of the handshake is written in several parts, which must not wait for
        // acknowledgements.
        let _ = stream.set_nodelay(true);
        connections.spawn(timeout(MAX_STAY, attend(stream, behaviour)));
        while connections.try_join_next().is_some() {}
    }
}

async fn attend(mut stream: TcpStream, behaviour: Behaviour) {
    let mut sink = [0; 1024];
    match behaviour {
        Behaviour::Handshake(acceptor) => {
            if let Ok(mut tls) = acceptor.accept(stream).await {
                while matches!(tls.read(&mut sink).await, Ok(count) if count > 0) {}
                tls.get_mut().1.send_close_notify();
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut tls).await;
            }
        }
        Behaviour::Silence => {
            while matches!(stream.read(&mut sink).await, Ok(count) if count > 0) {}
        }
    }
}
