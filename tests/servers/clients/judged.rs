//! The verdict of certvigil's judge for a recorded case.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use certvigil::certificate::Certificate;
use certvigil::instance::Expected;
use certvigil::judge::{Judged, Rules, TrustStore, judge};
use certvigil::model::{Hostname, KeyType, Protocol, Target, Timestamp, Timings, Vantage};
use certvigil::observation::{
    KeyProof, Observation, Outcome, Parameters, Revocation, Served, Staple, TlsVersion,
};

use crate::clients::record::{Record, Recorded};

/// Judges a case as `check HOST --ca-file ROOTS` does.
pub(crate) fn judged(record: &Record, case: &Recorded) -> Judged {
    let mut served = record
        .pick(&case.served)
        .into_iter()
        .map(Certificate::from_der);
    let leaf = served.next().unwrap();
    let mut trust = TrustStore::default();
    for root in record.pick(&case.roots) {
        // A root that cannot be read is reported when it is loaded.
        let _ = trust.add(&Certificate::from_der(root));
    }
    let observation = Observation {
        target: Target {
            certificate: case.id.clone(),
            hostname: case.host.parse::<Hostname>().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        }
        .into(),
        ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        key_type: KeyType::Any,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome: Outcome::Served(Box::new(Served {
            leaf,
            rest: served.collect(),
            tls_version: TlsVersion::Tls13,
            cipher_suite: "TLS_AES_256_GCM_SHA384".into(),
            alpn: None,
            revocation: Revocation {
                staple: Staple::Absent,
                fetched: None,
            },
            key_proof: KeyProof::Handshake,
            parameters: Parameters::default(),
            failure: None,
            ech: None,
        })),
    };
    let expected = Arc::new(Expected::trust_only());
    let now = Timestamp(case.at().unix_timestamp());
    judge(Some(&expected), observation, &trust, &Rules::default(), now)
}
