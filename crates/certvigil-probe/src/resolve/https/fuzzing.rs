//! Fuzz target for HTTPS records.

use hickory_resolver::proto::rr::rdata::HTTPS;
use hickory_resolver::proto::rr::{RData, RecordData as _, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecoder, Restrict};

use crate::ech::EchParameter;

use super::{MAX_ADDRESSES, bindings};

/// Parses the data of an HTTPS record, and reads its meaning.
pub(crate) fn https_record(data: &[u8]) {
    let Ok(length) = u16::try_from(data.len()) else {
        return;
    };
    let mut decoder = BinDecoder::new(data);
    let Ok(record) = RData::read(&mut decoder, RecordType::HTTPS, Restrict::new(length)) else {
        return;
    };
    assert!(HTTPS::try_borrow(&record).is_some());
    for binding in bindings(&[record]) {
        if let Some(EchParameter::Supported(found)) = binding.ech.as_deref() {
            let again = EchParameter::decode(&found.list);
            assert!(again == EchParameter::Supported(found.clone()));
        }
        assert!(binding.hints.len() <= MAX_ADDRESSES);
        assert!(binding.port != Some(0));
        assert!(!binding.is_alias || binding.target.is_some() && binding.hints.is_empty());
    }
}
