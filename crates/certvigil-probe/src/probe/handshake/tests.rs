use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use tokio::time::Instant;

use super::super::setup::{Configs, Hello};
use super::super::{Reach, Request, open};
use super::{Connection, HELLO_BYTES};
use crate::model::{KeyType, Protocol, Target, Timings};
use crate::observation::ErrorKind;

/// Length of the headers of the record and of the message.
const HEADERS: usize = 9;

/// Completes a handshake, lets `edit` change the first bytes that the server sent, and returns the
/// error that the result then has.
async fn error_after(
    version: &'static SupportedProtocolVersion,
    edit: impl FnOnce(&mut Vec<u8>),
) -> Option<ErrorKind> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["www.example.com".to_owned()]).unwrap();
    let leaf = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        tls.complete_io(&mut stream).unwrap();
        stream
    });
    let target = Target {
        certificate: "www".into(),
        hostname: "www.example.com".parse().unwrap(),
        port: address.port(),
        protocol: Protocol::Https,
        names: Box::default(),
    };
    let request = Request {
        target: &target,
        address,
        key_type: KeyType::Any,
        reach: &Reach::default(),
    };
    let configs = Configs::new(Arc::default()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let stream = open(request, deadline, &mut Timings::default()).await;
    let stream = stream.map_err(|failure| failure.error).unwrap();
    let mut connection = Connection::new(&configs, request, Hello::FIRST, stream).unwrap();
    let served = connection.handshake(deadline, deadline).await;
    let served = served.map_err(|failure| failure.error).unwrap();
    assert_eq!(served.failure, None);
    drop(server.join().unwrap());
    edit(&mut connection.first_bytes);
    let result = connection.result(None, Duration::ZERO);
    let served = result.map_err(|failure| failure.error).unwrap();
    served.failure.map(|error| error.kind)
}

#[tokio::test]
async fn hello_that_clients_refuse_is_a_failure_of_a_complete_handshake() {
    for version in [&TLS12, &TLS13] {
        assert_eq!(error_after(version, |_| {}).await, None);
    }
    let version_below = |bytes: &mut Vec<u8>| bytes[HEADERS + 1] = 2;
    let other_session = |bytes: &mut Vec<u8>| bytes[HEADERS + 35] ^= 1;
    let kind = Some(ErrorKind::TlsProtocol);
    assert_eq!(error_after(&TLS13, version_below).await, kind);
    assert_eq!(error_after(&TLS13, other_session).await, kind);
}

/// A server may send a HelloRetryRequest with a long cookie before its ServerHello.
#[tokio::test]
async fn fault_at_the_end_of_a_long_hello_is_found() {
    let long = |bytes: &mut Vec<u8>| {
        let extension = [&[0xab, 0xcd][..], &[0x0b, 0x00], &[0; 0x0b00]].concat();
        let misplaced = [0, 13, 0, 0];
        let mut hello = bytes[HEADERS..HEADERS + 2 + 32].to_vec();
        hello.push(0);
        hello.extend([0xc0, 0x2b, 0]);
        let length = u16::try_from(extension.len() + misplaced.len()).unwrap();
        hello.extend(length.to_be_bytes());
        hello.extend(extension);
        hello.extend(misplaced);
        let length = u16::try_from(hello.len()).unwrap();
        *bytes = vec![22, 3, 3];
        bytes.extend((length + 4).to_be_bytes());
        bytes.extend([2, 0]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(hello);
        bytes.truncate(HELLO_BYTES);
    };
    let kind = error_after(&TLS12, long).await;
    assert_eq!(kind, Some(ErrorKind::TlsProtocol));
}
