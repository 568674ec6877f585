//! Reading of certificates from servers with which rustls cannot perform a handshake: TLS 1.1 and
//! before, key exchange without forward secrecy or over a finite field, CBC, and keys or groups
//! that rustls lacks.
//!
//! With TLS 1.2 and before, certificates are sent in cleartext. The module sends its own
//! ClientHello, and reads the response. With the common suites of TLS 1.2 it completes the
//! handshake; with others it closes the connection after the proof of the key. The result counts
//! only if the server negotiated something that rustls does not support. Otherwise, a copied
//! certificate would be accepted from a server that must prove possession of its key.

mod completion;
mod cursor;
mod end;
mod first_bytes;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod groups;
mod hello;
mod hello_fault;
mod proof;
mod reader;
mod server_hello;
mod suites;

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::task::{Poll, ready};
use std::time::Duration;

use aws_lc_rs::rand;
use rustls::CipherSuite;
use rustls::crypto::WebPkiSupportedAlgorithms;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::certificate::Certificate;
use crate::model::{KeyType, Timings};
use crate::observation::{
    ErrorKind, Parameters, ProbeError, Revocation, Served, Staple, TlsVersion,
};

use super::Request;
use super::bounds::{MAX_HANDSHAKE_BYTES, READ_SIZE};
use super::tls_error::{lacks, no_certificate, wrong_key, wrong_signature};
use super::transport::Transport;
use completion::{Completion, Sent};
use end::{End, anonymous, explain};
pub(super) use first_bytes::{FatalWarning, Records, Warnings, hello_version};
pub(super) use hello::SCHEMES_OF_TLS13;
pub(super) use hello_fault::{
    HelloFault, asks_for_ml_kem, hello_fault, secure_renegotiation, session_id,
};
use proof::Wrong;
use reader::{Fault, Reader, ServerHello, Version};
pub(super) use suites::Offer;

/// Outcome of one offer.
pub(super) enum Answer {
    /// The server negotiated something that rustls lacks. Contains its certificates, or the reason
    /// why there are none.
    Read(Result<Box<Served>, ProbeError>),
    /// The server negotiated TLS 1.3 with a suite and a group that rustls supports. Only the
    /// signature algorithm is missing.
    Tls13,
    /// The server refused the offer.
    Refused,
    /// No valid result.
    Nothing,
}

/// Sends an offer on a new connection, and reads the server's certificates.
pub(super) async fn read(
    request: Request<'_>,
    offer: Offer,
    mut stream: Transport,
    algorithms: &WebPkiSupportedAlgorithms,
    deadline: Instant,
    patience: Duration,
    timings: &mut Timings,
) -> Answer {
    let Some((random, hello)) = write_hello(request, offer) else {
        return Answer::Nothing;
    };
    let mut reader = reader_of(request, offer);

    let _ = stream.tcp.set_nodelay(true);
    let start = Instant::now();
    let reading = listen(&mut stream, &hello, &mut reader, Until::KeyProof);
    let result = timeout_at(deadline, reading).await;
    let result = result.unwrap_or(Err(End::Timeout));
    let is_read = result.is_ok();
    // Without rustls, there is no other handshake in which the server could prove its key.
    let is_only_way = !super::setup::can_send(request.sni());
    let elapsed = start.elapsed();
    let mut answer = judge(result, algorithms, &random, &reader, elapsed, is_only_way);
    let mut rest = None;
    if let Answer::Read(Ok(served)) = &answer
        && is_read
    {
        let sent = Sent {
            random: &random,
            record: &hello,
        };
        rest = Some(complete(&mut stream, sent, &reader, &served.leaf, deadline).await);
    }
    let elapsed = start.elapsed();
    timings.handshake = Some(elapsed);
    let version = reader.hello.as_ref().map(|chosen| chosen.version);
    let goodbye = match &mut rest {
        Some((Some(completion), _)) => {
            stream.unwrap_tls();
            completion.close().unwrap_or_default()
        }
        _ => cancel(version.unwrap_or(Version::Tls10)),
    };
    leave(stream, &goodbye, patience).await;
    if let Some((completion, result)) = rest
        && let Answer::Read(served) = answer
    {
        let is_client_asked = reader.is_client_asked;
        answer = Answer::Read(served.and_then(|served| {
            completed(
                served,
                completion.as_ref(),
                result,
                is_client_asked,
                elapsed,
            )
        }));
    }
    answer
}

/// Completes the handshake. Returns it with `Ok` if it cannot be completed here.
async fn complete(
    stream: &mut Transport,
    sent: Sent<'_>,
    reader: &Reader,
    leaf: &Certificate,
    deadline: Instant,
) -> (Option<Completion>, Result<(), End>) {
    let (mut completion, flight) = match Completion::start(sent, reader, leaf) {
        Ok(Some(started)) => started,
        Ok(None) => return (None, Ok(())),
        Err(fault) => return (None, Err(End::Fault(fault))),
    };
    let reading = exchange(stream, &flight, |bytes| completion.take(bytes));
    let result = timeout_at(deadline, reading).await;
    (Some(completion), result.unwrap_or(Err(End::Timeout)))
}

/// Adds the result of the completion to that of the first flight.
///
/// # Errors
/// If the key is not proved.
fn completed(
    mut served: Box<Served>,
    completion: Option<&Completion>,
    result: Result<(), End>,
    is_client_asked: bool,
    after: Duration,
) -> Result<Box<Served>, ProbeError> {
    if let Some(proof) = completion.and_then(Completion::proof) {
        served.key_proof = proof;
    }
    if let Some(completion) = completion {
        completion.warnings.add_to(&mut served.parameters);
    }
    let Err(end) = result else {
        return Ok(served);
    };
    if is_client_asked && end.may_lack_client_certificate() {
        return Ok(served);
    }
    if completion.is_some_and(Completion::lacks_proof) {
        return Err(match end {
            end if end.is_about_key_exchange() => wrong_key(),
            end => explain(end, after),
        });
    }
    served
        .failure
        .get_or_insert_with(|| Box::new(explain(end, after)));
    Ok(served)
}

/// Response to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A ServerHello that is valid for the offer, with its fault.
    Accepted(Option<HelloFault>),
    /// Anything else.
    Refused,
}

/// Sends an offer on a new connection, and reads the ServerHello.
pub(super) async fn reply(
    request: Request<'_>,
    offer: Offer,
    mut stream: Transport,
    deadline: Instant,
    patience: Duration,
) -> Reply {
    let Some((_, hello)) = write_hello(request, offer) else {
        return Reply::Refused;
    };
    let mut reader = reader_of(request, offer);
    let _ = stream.tcp.set_nodelay(true);
    let reading = listen(&mut stream, &hello, &mut reader, Until::ServerHello);
    let result = timeout_at(deadline, reading).await;
    let version = reader.hello.as_ref().map(|chosen| chosen.version);
    leave(stream, &cancel(version.unwrap_or(Version::Tls10)), patience).await;
    match (&reader.hello, result) {
        (Some(chosen), _) => Reply::Accepted(chosen.fault),
        (None, Ok(Err(End::Fault(Fault::Tls13 { .. })))) => Reply::Accepted(None),
        (None, _) => Reply::Refused,
    }
}

/// Returns the parser for the response to an offer.
fn reader_of(request: Request<'_>, offer: Offer) -> Reader {
    Reader::new(offer, request.key_type).offering_alpn(!request.alpn().is_empty())
}

fn write_hello(request: Request<'_>, offer: Offer) -> Option<(hello::Random, Vec<u8>)> {
    let mut random = hello::Random::default();
    rand::fill(&mut random).ok()?;
    let alpn = request.alpn();
    let hello = hello::write(&random, request.sni(), &alpn, request.key_type, offer)?;
    Some((random, hello))
}

/// Converts the data that was read to an outcome.
fn judge(
    result: Result<(), End>,
    algorithms: &WebPkiSupportedAlgorithms,
    random: &hello::Random,
    reader: &Reader,
    elapsed: Duration,
    is_only_way: bool,
) -> Answer {
    let Some(chosen) = reader.hello.as_ref() else {
        return match result {
            Err(End::Fault(Fault::Anonymous(suite))) => Answer::Read(Err(anonymous(suite))),
            Err(End::Fault(Fault::Tls13 { suite, group })) => tls13(suite, group),
            Err(End::Fault(Fault::Alert(_)) | End::Closed | End::Io(_)) => Answer::Refused,
            _ => Answer::Nothing,
        };
    };
    if !is_only_way && !needs_more_than_rustls(algorithms, chosen, reader) {
        return Answer::Nothing;
    }
    let failure = result.err().map(|end| explain(end, elapsed));
    let fault = chosen.fault.map(HelloFault::explain);
    // The signature is a proof of the key, whatever follows it.
    Answer::Read(match failure {
        Some(error) if reader.signed.is_none() => Err(error),
        failure => served(algorithms, random, chosen, reader).map(|served| {
            let failure = failure.or(fault).map(Box::new);
            Box::new(Served { failure, ..served })
        }),
    })
}

/// Returns true if rustls could not have performed this handshake. If rustls can perform it, the
/// server must prove its key to rustls. A server that rejects only a ClientHello of TLS 1.3 rejects
/// all current clients.
fn needs_more_than_rustls(
    algorithms: &WebPkiSupportedAlgorithms,
    chosen: &ServerHello,
    reader: &Reader,
) -> bool {
    let leaf = reader.certificates.iter().flatten().next();
    let leaf = leaf.map(|der| Certificate::from_der(der.clone()));
    let kind = leaf.as_ref().and_then(Certificate::public_key);
    let kind = kind.and_then(|(algorithm, _)| proof::Kind::of(algorithm));
    let signed = reader.signed.as_ref();
    let group = signed.and_then(|signed| signed.group);
    let scheme = signed.and_then(|signed| signed.scheme);
    let lacks_scheme = |scheme: u16| {
        let mut known = algorithms.mapping.iter();
        known.all(|(known, _)| u16::from(*known) != scheme)
    };
    chosen.version != Version::Tls12
        || !chosen.suite.is_of_rustls()
        || group.is_some_and(|group| groups::name(group).is_some())
        || kind.is_some_and(|kind| !kind.is_of_rustls())
        || scheme.is_some_and(lacks_scheme)
}

/// Returns true if Go and Chromium support the version and the kind of key. Such a server may
/// accept other parameters that they offer, if they do not offer the negotiated ones.
pub(super) fn may_be_common(served: &Served) -> bool {
    let kind = served.leaf.public_key();
    let kind = kind.and_then(|(algorithm, _)| proof::Kind::of(algorithm));
    served.tls_version == TlsVersion::Tls12 && kind.is_some_and(proof::Kind::is_of_rustls)
}

/// Returns true if Java does not offer the negotiated parameters of TLS 1.2. Such a server may
/// still accept other parameters that it offers.
pub(super) fn is_not_of_java(served: &Served) -> bool {
    served.tls_version == TlsVersion::Tls12
        && (is_beyond(Offer::Java, served) || served.parameters.sha1_signature)
}

/// Returns true if GnuTLS does not offer the negotiated parameters of TLS 1.2. Such a server may
/// still accept other parameters that it offers.
pub(super) fn is_not_of_gnutls(served: &Served) -> bool {
    served.tls_version == TlsVersion::Tls12 && is_beyond(Offer::Gnutls, served)
}

/// Returns true if the offer, of Java or GnuTLS, does not contain the negotiated suite or group.
fn is_beyond(offer: Offer, served: &Served) -> bool {
    let mut offered = suites::offered(offer, KeyType::Any);
    let is_offered = offered.any(|suite| suite.id.as_str() == Some(&*served.cipher_suite));
    let group = served.parameters.rare_group;
    let has_group = |group| {
        let mut rare = groups::OF_JAVA.iter().map(|(_, name)| *name);
        // Only Chromium lacks it.
        group == "secp521r1" || rare.any(|name| name == group)
    };
    !is_offered || group.is_some_and(|group| !has_group(group))
}

/// Returns the outcome for a ServerHello of TLS 1.3. A parameter that rustls lacks is no fault of
/// the server.
fn tls13(suite: u16, group: Option<u16>) -> Answer {
    let group = group.and_then(groups::name);
    if !suites::is_of_rustls(CipherSuite::from(suite)) {
        let suite = suites::name(suite);
        Answer::Read(Err(lacks(&format!("the cipher suite {suite}"))))
    } else if let Some(group) = group {
        Answer::Read(Err(lacks(&format!(
            "the group {group} for the key exchange"
        ))))
    } else {
        Answer::Tls13
    }
}

/// Message at which reading ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    ServerHello,
    /// The last message of the first flight that is needed.
    KeyProof,
}

async fn listen(
    stream: &mut Transport,
    hello: &[u8],
    reader: &mut Reader,
    until: Until,
) -> Result<(), End> {
    exchange(stream, hello, |bytes| {
        let is_whole = reader.take(bytes)?;
        Ok(is_whole || (until == Until::ServerHello && reader.hello.is_some()))
    })
    .await
}

/// Sends data, and reads until the parser returns true.
async fn exchange(
    stream: &mut Transport,
    data: &[u8],
    mut parse: impl FnMut(&[u8]) -> Result<bool, Fault>,
) -> Result<(), End> {
    stream.write_all(data).await.map_err(End::Io)?;
    let mut received = 0;
    poll_fn(|context| {
        loop {
            // The buffer exists only while data is read, because thousands of probes wait.
            let mut space = [MaybeUninit::uninit(); READ_SIZE];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(stream.poll_read(context, &mut buffer)).map_err(End::Io)?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Err(End::Closed));
            }
            received += bytes.len();
            if received > MAX_HANDSHAKE_BYTES {
                return Poll::Ready(Err(End::TooLarge));
            }
            if parse(bytes).map_err(End::Fault)? {
                return Poll::Ready(Ok(()));
            }
        }
    })
    .await
}

fn served(
    algorithms: &WebPkiSupportedAlgorithms,
    client_random: &hello::Random,
    chosen: &ServerHello,
    reader: &Reader,
) -> Result<Served, ProbeError> {
    let chain = reader.certificates.iter().flatten();
    let mut chain = chain.map(|der| Certificate::from_der(der.clone()));
    let leaf = chain.next().ok_or_else(no_certificate)?;
    let signed = reader.signed.as_ref();
    let key_proof = proof::check(algorithms, client_random, chosen, &leaf, signed);
    let key_proof = key_proof.map_err(|wrong| match wrong {
        Wrong::Certificate => no_certificate(),
        Wrong::Suite => ProbeError::new(
            ErrorKind::TlsProtocol,
            "the handshake failed: the server chose a cipher suite that does not go with its certificate's key",
        ),
        Wrong::Signature => wrong_signature(),
    })?;
    let alpn = chosen.alpn.as_ref();
    let mut parameters = Parameters::default();
    reader.warnings.add_to(&mut parameters);
    Ok(Served {
        leaf,
        rest: chain.collect(),
        tls_version: chosen.version.tls_version(),
        cipher_suite: chosen.suite.id.as_str().unwrap_or_default().into(),
        alpn: alpn.map(|name| String::from_utf8_lossy(name).into_owned()),
        revocation: Revocation {
            staple: Staple::of(&reader.staple),
            fetched: None,
        },
        key_proof,
        parameters: Parameters {
            secure_renegotiation: Some(chosen.secure_renegotiation),
            dh_bits: signed.and_then(|signed| signed.dh_bits),
            rare_group: signed.and_then(|signed| groups::name(signed.group?)),
            sha1_signature: signed.is_some_and(|signed| signed.scheme.is_some_and(proof::is_sha1)),
            ..parameters
        },
        failure: None,
        ech: None,
    })
}

/// Returns the records that end a connection during the handshake: `user_canceled`, to which a
/// server has no reason to object (RFC 5246, section 7.2.2).
fn cancel(version: Version) -> Vec<u8> {
    const ALERT: u8 = 21;
    const WARNING: u8 = 1;
    const USER_CANCELED: u8 = 90;
    const CLOSE_NOTIFY: u8 = 0;
    let mut goodbye = Vec::new();
    for alert in [USER_CANCELED, CLOSE_NOTIFY] {
        let [major, minor] = version.wire();
        goodbye.extend([ALERT, major, minor, 0, 2, WARNING, alert]);
    }
    goodbye
}

/// Sends the records that end a connection. Waits briefly for the server to close, to avoid a
/// connection reset in its log.
async fn leave(mut stream: Transport, goodbye: &[u8], patience: Duration) {
    let leave = async {
        stream.write_all(goodbye).await.ok()?;
        stream.tcp.shutdown().await.ok()?;
        let mut rest = [0; 512];
        let mut drained = 0;
        while drained < MAX_HANDSHAKE_BYTES {
            match stream.tcp.read(&mut rest).await {
                Ok(0) | Err(_) => break,
                Ok(count) => drained += count,
            }
        }
        Some(())
    };
    let _ = timeout(patience, leave).await;
}

#[cfg(test)]
mod tests;
