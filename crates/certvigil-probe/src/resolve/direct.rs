//! Fast path for DNS queries: sends one UDP query to the only name server, and uses a plain
//! response directly. All other cases are left to hickory's resolver, which takes three times as
//! long for a query.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{ProtocolConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsRequestSender as _, FirstAnswer as _};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Message, Query, ResponseCode,
};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::time::{Instant, timeout_at};

use crate::observation::ProbeError;

use super::dns_error::{explain, nonexistent, timed_out};

/// Maximum aliases of a name that are followed within a response.
const MAX_ALIASES: usize = 8;
/// Top-level domains whose names are not sent to a name server, or not all of them (RFC 6761, RFC
/// 7686). hickory implements their rules.
const SPECIAL: [&str; 4] = ["localhost", "invalid", "onion", "arpa"];

/// The only configured name server.
pub(super) struct Direct {
    server: SocketAddr,
    patience: Duration,
    options: DnsRequestOptions,
    runtime: TokioRuntimeProvider,
}

impl Direct {
    /// A client of the one name server; `None` if it is not queried over UDP.
    pub(super) fn new(config: &ResolverConfig, options: &ResolverOpts) -> Option<Self> {
        let [server] = config.name_servers() else {
            return None;
        };
        let mut connections = server.connections.iter();
        let udp = connections.find(|c| matches!(c.protocol, ProtocolConfig::Udp))?;
        let mut request = DnsRequestOptions::default();
        request.recursion_desired = options.recursion_desired;
        request.use_edns = options.edns0;
        request.edns_payload_len = options.edns_payload_len;
        Some(Self {
            server: SocketAddr::new(server.ip, udp.port),
            patience: options.timeout,
            options: request,
            runtime: TokioRuntimeProvider::default(),
        })
    }

    /// Queries the name server for a name. Returns `None` if hickory must resolve it, with the name
    /// for which the queried one is an alias, if the response has one. Each query has an unpredictable ID and port (RFC 5452, section 9), and may be sent again.
    pub(super) async fn ask(
        &self,
        text: &str,
        name: &Name,
        kind: RecordType,
        deadline: Instant,
    ) -> (Option<Result<Vec<RData>, ProbeError>>, Option<String>) {
        if !name.is_fqdn() || is_special(text) {
            return (None, None);
        }
        let mut udp = UdpClientStream::builder(self.server, self.runtime.clone())
            .with_timeout(Some(self.patience))
            .build();
        let question = DnsRequest::from_query(Query::query(name.clone(), kind), self.options);
        let response = udp.send_message(question).first_answer();
        let Ok(response) = timeout_at(deadline, response).await else {
            return (Some(Err(timed_out(text, kind))), None);
        };
        let target = response.as_ref().ok().map(|message| end_of(message, name));
        let alias = target
            .filter(|target| target != name)
            .map(|target| target.to_ascii().trim_end_matches('.').to_owned());
        let answer = match response
            .and_then(|response| Ok::<_, NetError>(DnsError::from_response(response)?))
        {
            // glibc and Go ignore the records of such a response.
            Ok(response) if response.response_code == ResponseCode::NXDomain => {
                Some(Err(nonexistent(text, alias.as_deref())))
            }
            Ok(response) => records(response, name, kind).map(Ok),
            Err(error) => Some(explain(text, alias.as_deref(), kind, None, &error))
                .filter(ProbeError::is_dns_answer)
                .map(Err),
        };
        (answer, alias)
    }
}

fn is_special(name: &str) -> bool {
    let last = name.trim_end_matches('.').rsplit('.').next();
    SPECIAL
        .into_iter()
        .any(|special| last.is_some_and(|last| last.eq_ignore_ascii_case(special)))
}

/// Returns the records of the name, or of the name that it is an alias for. `None` if the response
/// is incomplete or contains no such records.
fn records(response: DnsResponse, name: &Name, kind: RecordType) -> Option<Vec<RData>> {
    let message = response.into_message();
    let is_foreign = |record: &Record| record.dns_class != DNSClass::IN;
    if message.truncation || message.all_sections().any(is_foreign) {
        return None;
    }
    let at = end_of(&message, name);
    let of_it = |record: &&Record| record.name == at && record.record_type() == kind;
    let found = message.answers.iter().filter(of_it);
    let found: Vec<RData> = found.map(|record| record.data.clone()).collect();
    (!found.is_empty()).then_some(found)
}

/// Returns the last name of the aliases that begin with a name: the name itself if it is none.
fn end_of(message: &Message, name: &Name) -> Name {
    let mut at = name;
    for _ in 0..MAX_ALIASES {
        let alias = message
            .answers
            .iter()
            .find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == *at => Some(&target.0),
                _ => None,
            });
        match alias {
            Some(target) => at = target,
            None => break,
        }
    }
    at.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::rdata::{A, CNAME};
    use proptest::prelude::*;

    fn host(number: usize) -> Name {
        Name::from_ascii(format!("h{number}.example.")).unwrap()
    }

    fn address(owner: usize) -> Record {
        let data = RData::A(A::new(192, 0, 2, u8::try_from(owner).unwrap()));
        Record::from_rdata(host(owner), 60, data)
    }

    fn alias(owner: usize, target: usize) -> Record {
        Record::from_rdata(host(owner), 60, RData::CNAME(CNAME(host(target))))
    }

    fn message(answers: &[Record]) -> Message {
        let mut message = Message::response(1, OpCode::Query);
        message.answers = answers.to_vec();
        message
    }

    /// Returns the hosts for whose addresses the message has records, starting with the queried
    /// one.
    fn found(message: Message) -> Option<Vec<u8>> {
        let response = DnsResponse::from_message(message).unwrap();
        let found = records(response, &host(0), RecordType::A)?;
        let last = found.iter().map(|data| match data {
            RData::A(a) => a.0.octets()[3],
            other => panic!("{other:?}"),
        });
        Some(last.collect())
    }

    #[test]
    fn dns_response_follows_aliases_of_the_requested_name() {
        assert_eq!(found(message(&[address(0)])), Some(vec![0]));
        let foreign = [address(3), address(0)];
        assert_eq!(found(message(&foreign)), Some(vec![0]));
        let aliases = [address(2), alias(1, 2), alias(0, 1), address(1)];
        assert_eq!(found(message(&aliases)), Some(vec![2]));
    }

    #[test]
    fn unusual_dns_response_is_left_to_hickory() {
        let mut truncated = message(&[address(0)]);
        truncated.metadata.truncation = true;
        let mut chaos = address(0);
        chaos.dns_class = DNSClass::CH;
        for (what, message) in [
            ("nothing", message(&[])),
            ("of another name", message(&[address(1)])),
            ("an alias for nothing", message(&[alias(0, 1)])),
            ("a circle", message(&[alias(0, 1), alias(1, 0)])),
            ("truncated", truncated),
            ("of another class", message(&[address(0), chaos])),
        ] {
            assert_eq!(found(message), None, "{what}");
        }
    }

    #[test]
    fn special_use_names_are_recognised_by_suffix() {
        for name in [
            "localhost",
            "a.LocalHost.",
            "x.onion",
            "1.0.0.127.in-addr.arpa",
        ] {
            assert!(is_special(name), "{name}");
        }
        for name in ["example", "localhost.example.", "notlocalhost"] {
            assert!(!is_special(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn dns_response_yields_addresses_of_a_single_name(
            aliases in prop::collection::vec((0usize..6, 0usize..6), 0..12),
            addresses in prop::collection::vec(0usize..6, 0..6),
        ) {
            let aliases = aliases.iter().map(|(owner, target)| alias(*owner, *target));
            let answers: Vec<Record> = aliases.chain(addresses.iter().map(|a| address(*a))).collect();
            if let Some(found) = found(message(&answers)) {
                let of_it = addresses.iter().filter(|a| **a == usize::from(found[0]));
                prop_assert_eq!(of_it.count(), found.len());
                prop_assert!(found.iter().all(|a| *a == found[0]));
            }
        }
    }
}
