//! Serialization of the types in the detail of a finding. Names and times are strings.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::certificate::{Certificate, Facts, Fingerprint, LeafRecord, PublicKeyHash};
use crate::instance::{SourceKind, State};
use crate::model::{Hostname, KeyType, Protocol, Timestamp, Vantage};
use crate::observation::{Alert, ErrorKind, ProbeError, TlsVersion};
use crate::tlsa::TlsaRecord;

use super::Client;

macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}

macro_rules! by_name {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    )+};
}

as_text!(
    Fingerprint,
    Hostname,
    PublicKeyHash,
    Timestamp,
    TlsaRecord,
    Vantage
);
by_name!(
    Client, ErrorKind, KeyType, Protocol, SourceKind, State, TlsVersion
);

impl Serialize for Certificate {
    /// Writes its identity, names and validity. Keys are null if the certificate cannot be read.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let facts = self.facts().ok();
        let validity = facts.and_then(Facts::validity);
        let mut object = serializer.serialize_struct("Certificate", 6)?;
        object.serialize_field("sha256_fingerprint", &self.sha256())?;
        object.serialize_field("subject", &facts.map(|f| &f.subject))?;
        object.serialize_field("issuer", &facts.map(|f| &f.issuer))?;
        object.serialize_field("serial", &facts.map(|f| &f.serial))?;
        object.serialize_field("not_before", &validity.map(|(not_before, _)| not_before))?;
        object.serialize_field("not_after", &validity.map(|(_, not_after)| not_after))?;
        object.end()
    }
}

impl Serialize for LeafRecord {
    /// Writes the keys of a [`Certificate`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("LeafRecord", 6)?;
        object.serialize_field("sha256_fingerprint", &self.sha256)?;
        object.serialize_field("subject", &self.subject)?;
        object.serialize_field("issuer", &self.issuer)?;
        object.serialize_field("serial", &self.serial)?;
        let validity = self.validity;
        object.serialize_field("not_before", &validity.map(|(not_before, _)| not_before))?;
        object.serialize_field("not_after", &validity.map(|(_, not_after)| not_after))?;
        object.end()
    }
}

impl Serialize for ProbeError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("LookError", 4)?;
        object.serialize_field("error_kind", &self.kind)?;
        object.serialize_field("error", &self.message)?;
        object.serialize_field("alert", &self.alert)?;
        object.serialize_field("seems", &self.seems)?;
        object.end()
    }
}

impl Serialize for Alert {
    /// Writes the registered name, or the number of an unassigned alert.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_u8(self.0),
        }
    }
}
