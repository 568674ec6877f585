//! The testbed's name server, which responds by the script of each host.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::common::accept;

/// Response for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// All addresses.
    Right,
    /// Only the first address: the others were removed.
    One,
    /// All addresses, but only over TCP: the UDP response is truncated.
    Truncated,
    /// The IPv4 addresses, and an error for IPv6.
    Half,
    Nxdomain,
    Servfail,
    Refused,
    Silence,
    NoAddress,
    /// An alias that points to itself.
    Loop,
    /// A response with another ID than the query's.
    Forged,
}

impl Script {
    /// All scripts with a fault.
    pub(crate) const FAULTS: [Self; 10] = [
        Self::One,
        Self::Truncated,
        Self::Half,
        Self::Nxdomain,
        Self::Servfail,
        Self::Refused,
        Self::Silence,
        Self::NoAddress,
        Self::Loop,
        Self::Forged,
    ];

    /// The error in addition to the addresses, or instead of them.
    pub(crate) fn kind(self) -> Option<&'static str> {
        match self {
            Self::Right | Self::One | Self::Truncated => None,
            Self::Half | Self::Servfail | Self::Refused => Some("dns_servfail"),
            Self::Nxdomain => Some("dns_nxdomain"),
            Self::Silence | Self::Forged => Some("dns_timeout"),
            Self::NoAddress | Self::Loop => Some("dns_no_address"),
        }
    }

    /// Number of addresses, out of `all`, that are returned.
    pub(crate) fn addresses(self, all: usize) -> usize {
        match self {
            Self::Right | Self::Truncated | Self::Half => all,
            Self::One => all.min(1),
            _ => 0,
        }
    }
}

type Names = HashMap<String, (Script, Vec<Ipv4Addr>)>;

/// The data of every name.
#[derive(Clone, Default)]
pub(crate) struct Zone(Arc<Mutex<Names>>);

impl Zone {
    pub(crate) fn set(&self, name: &str, script: Script, addresses: Vec<Ipv4Addr>) {
        let mut names = self.0.lock().unwrap();
        names.insert(name.to_owned(), (script, addresses));
    }

    /// Serves UDP and TCP at one port of 127.0.0.1.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = udp.local_addr().unwrap();
        let zone = self.clone();
        tokio::spawn(async move {
            let mut query = [0; 1500];
            loop {
                let Ok((count, peer)) = udp.recv_from(&mut query).await else {
                    continue;
                };
                if let Some(answer) = query.get(..count).and_then(|q| zone.answer(q, false)) {
                    let _ = udp.send_to(&answer, peer).await;
                }
            }
        });
        let zone = self.clone();
        tokio::spawn(async move {
            loop {
                let stream = accept(&tcp).await;
                tokio::spawn(zone.clone().serve_tcp(stream));
            }
        });
        address
    }

    async fn serve_tcp(self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let mut query = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut query).await?;
            if let Some(answer) = self.answer(&query, true) {
                stream.write_u16(answer.len() as u16).await?;
                stream.write_all(&answer).await?;
            }
        }
    }

    /// Builds the response (RFC 1035, section 4.1). Returns `None` for no response.
    fn answer(&self, query: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        const HEADER: usize = 12;
        const A: u16 = 1;
        const CNAME: u16 = 5;
        /// A pointer to the name in the question.
        const OWNER: [u8; 2] = [0xc0, HEADER as u8];
        let (name, end) = name_at(query, HEADER)?;
        let kind = u16::from_be_bytes(query.get(end..end + 2)?.try_into().ok()?);
        let (script, addresses) = self.0.lock().unwrap().get(&name)?.clone();
        let truncated = script == Script::Truncated && !over_tcp;
        let code = match script {
            Script::Nxdomain => 3,
            Script::Servfail => 2,
            Script::Half if kind != A => 2,
            Script::Refused => 5,
            Script::Silence => return None,
            _ => 0,
        };
        let told = if kind == A && !truncated {
            script.addresses(addresses.len())
        } else {
            0
        };
        let mut records: Vec<(u16, Vec<u8>)> = addresses
            .iter()
            .take(told)
            .map(|ip| (A, ip.octets().to_vec()))
            .collect();
        if script == Script::Loop {
            records.push((CNAME, OWNER.to_vec()));
        }
        let mut out = query.get(..2)?.to_vec();
        if script == Script::Forged
            && let Some(first) = out.first_mut()
        {
            *first ^= 0xff;
        }
        let flags = 0x8180_u16 | code | u16::from(truncated) << 9;
        out.extend(flags.to_be_bytes());
        out.extend([0, 1]);
        out.extend((records.len() as u16).to_be_bytes());
        out.extend([0; 4]);
        out.extend(query.get(HEADER..end + 4)?);
        for (kind, data) in records {
            out.extend(OWNER);
            out.extend(kind.to_be_bytes());
            // Class IN, TTL 0.
            out.extend([0, 1, 0, 0, 0, 0, 0, data.len() as u8]);
            out.extend(data);
        }
        Some(out)
    }
}

/// The name in lower case, and the offset of its end.
fn name_at(query: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        let label = query.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
}
