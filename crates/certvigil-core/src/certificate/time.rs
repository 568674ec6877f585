//! UTCTime and GeneralizedTime (RFC 5280, section 4.1.2.5), and the forms of X.690 that RFC 5280
//! forbids.

use crate::model::Timestamp;

use super::name::Notes;
use super::{Oddity, der};

pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
/// The time from which GeneralizedTime is required, in Unix seconds.
const BEGIN_OF_2050: i64 = 2_524_608_000;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// Reads a Validity (DER). Returns `None` if one of the two times cannot be read. Forms that RFC
/// 5280 forbids are recorded as oddities, because some clients read them.
pub(super) fn read_validity(der: &[u8], notes: &mut Notes<'_>) -> Option<(Timestamp, Timestamp)> {
    let mut input = der;
    let mut inner = der::expect(&mut input, der::SEQUENCE)?.content;
    let times = [der::split(&mut inner)?, der::split(&mut inner)?];
    let [begin, end] = times.map(|time| read_any(time, notes));
    Some((begin?, end?))
}

/// Reads UTCTime or GeneralizedTime in the forms of RFC 5280, section 4.1.2.5, and without seconds.
pub(super) fn read_time(tlv: der::Tlv<'_>) -> Option<Timestamp> {
    let parsed = parse(tlv)?;
    let is_utc = parsed.zone == Zone::Utc && !parsed.has_fraction && parsed.has_minutes;
    is_utc.then_some(parsed.at)
}

fn read_any(tlv: der::Tlv<'_>, notes: &mut Notes<'_>) -> Option<Timestamp> {
    let parsed = parse(tlv)?;
    let is_early = parsed.at < Timestamp(BEGIN_OF_2050);
    if tlv.tag == GENERALIZED_TIME && is_early {
        notes.remark(Oddity::GeneralizedTimeBefore2050);
    }
    let found = [
        (!parsed.has_seconds, Oddity::TimeWithoutSeconds),
        (parsed.has_fraction, Oddity::TimeWithFraction),
        (parsed.zone == Zone::Offset, Oddity::TimeWithOffset),
        (parsed.zone == Zone::None, Oddity::TimeWithoutZone),
    ];
    for (is_found, oddity) in found {
        if is_found {
            notes.oddity(oddity);
        }
    }
    Some(parsed.at)
}

struct Parsed {
    at: Timestamp,
    has_minutes: bool,
    has_seconds: bool,
    has_fraction: bool,
    zone: Zone,
}

#[derive(PartialEq)]
enum Zone {
    /// `Z`.
    Utc,
    /// `+hhmm` or `-hhmm`.
    Offset,
    /// Local time, which is read as UTC.
    None,
}

/// Parses the forms of X.680, sections 46 and 47. Fractions of a second are truncated.
fn parse(tlv: der::Tlv<'_>) -> Option<Parsed> {
    let mut input = tlv.content;
    let year = match tlv.tag {
        UTC_TIME => match two(&mut input)? {
            year @ 0..50 => 2000 + year,
            year => 1900 + year,
        },
        GENERALIZED_TIME => two(&mut input)? * 100 + two(&mut input)?,
        _ => return None,
    };
    let [month, day, hour] = [two(&mut input)?, two(&mut input)?, two(&mut input)?];
    let minute = two(&mut input);
    // UTCTime always has minutes.
    if minute.is_none() && tlv.tag == UTC_TIME {
        return None;
    }
    let second = minute.and_then(|_| two(&mut input));
    let has_fraction = tlv.tag == GENERALIZED_TIME && skip_fraction(&mut input);
    // A fraction of an hour or of a minute is not supported.
    if has_fraction && second.is_none() {
        return None;
    }
    let (zone, offset) = match input {
        [] => (Zone::None, 0),
        [b'Z'] => (Zone::Utc, 0),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let mut rest = rest;
            let hours = two(&mut rest)?;
            let minutes = two(&mut rest).unwrap_or(0);
            if !rest.is_empty() || hours >= 24 || minutes >= 60 {
                return None;
            }
            let ahead = i64::from(hours) * HOUR + i64::from(minutes) * MINUTE;
            (Zone::Offset, if *sign == b'+' { ahead } else { -ahead })
        }
        _ => return None,
    };
    let small = |n: i32| u8::try_from(n).ok();
    let month = time::Month::try_from(small(month)?).ok()?;
    let date = time::Date::from_calendar_date(year, month, small(day)?).ok()?;
    let (minutes, seconds) = (small(minute.unwrap_or(0))?, small(second.unwrap_or(0))?);
    let clock = time::Time::from_hms(small(hour)?, minutes, seconds).ok()?;
    let local = date.with_time(clock).assume_utc().unix_timestamp();
    Some(Parsed {
        at: Timestamp(local - offset),
        has_minutes: minute.is_some(),
        has_seconds: second.is_some(),
        has_fraction,
        zone,
    })
}

/// Splits off two digits. The input is unchanged if it does not begin with two digits.
fn two(input: &mut &[u8]) -> Option<i32> {
    let (&[tens @ b'0'..=b'9', ones @ b'0'..=b'9'], rest) = input.split_first_chunk::<2>()? else {
        return None;
    };
    *input = rest;
    Some(i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
}

/// Splits off a decimal point or comma and the digits after it.
fn skip_fraction(input: &mut &[u8]) -> bool {
    let [b'.' | b',', rest @ ..] = *input else {
        return false;
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return false;
    }
    *input = rest.get(digits..).unwrap_or_default();
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(tag: u8, text: &str) -> (Option<String>, Vec<Oddity>) {
        let der = der::encode(tag, text.as_bytes());
        let (mut oddities, mut remarks) = (Vec::new(), Vec::new());
        let time = der::split(&mut &der[..]).unwrap();
        let mut notes = Notes {
            oddities: &mut oddities,
            remarks: &mut remarks,
        };
        let at = read_any(time, &mut notes);
        oddities.extend(remarks);
        (at.map(|at| at.to_string()), oddities)
    }

    /// The forms of RFC 5280, section 4.1.2.5, and those that it forbids.
    #[test]
    fn valid_time_formats_are_read_and_forbidden_ones_are_oddities() {
        use Oddity::*;
        for (tag, text, at, oddities) in [
            (UTC_TIME, "261128123456Z", "2026-11-28T12:34:56Z", &[][..]),
            (UTC_TIME, "491231235959Z", "2049-12-31T23:59:59Z", &[]),
            (UTC_TIME, "500101000000Z", "1950-01-01T00:00:00Z", &[]),
            (UTC_TIME, "691231235959Z", "1969-12-31T23:59:59Z", &[]),
            (
                UTC_TIME,
                "2611281234Z",
                "2026-11-28T12:34:00Z",
                &[TimeWithoutSeconds],
            ),
            (
                UTC_TIME,
                "260110142728-0500",
                "2026-01-10T19:27:28Z",
                &[TimeWithOffset],
            ),
            (
                UTC_TIME,
                "260110142728+0130",
                "2026-01-10T12:57:28Z",
                &[TimeWithOffset],
            ),
            (
                UTC_TIME,
                "261128123456",
                "2026-11-28T12:34:56Z",
                &[TimeWithoutZone],
            ),
            (
                UTC_TIME,
                "2611281234",
                "2026-11-28T12:34:00Z",
                &[TimeWithoutSeconds, TimeWithoutZone],
            ),
            (
                GENERALIZED_TIME,
                "20500101000000Z",
                "2050-01-01T00:00:00Z",
                &[],
            ),
            (
                GENERALIZED_TIME,
                "99991231235959Z",
                "9999-12-31T23:59:59Z",
                &[],
            ),
            (
                GENERALIZED_TIME,
                "20261128123456Z",
                "2026-11-28T12:34:56Z",
                &[GeneralizedTimeBefore2050],
            ),
            (
                GENERALIZED_TIME,
                "20510101000000.5Z",
                "2051-01-01T00:00:00Z",
                &[TimeWithFraction],
            ),
            (
                GENERALIZED_TIME,
                "20510101000000,123+01",
                "2050-12-31T23:00:00Z",
                &[TimeWithFraction, TimeWithOffset],
            ),
            (
                GENERALIZED_TIME,
                "2051010112",
                "2051-01-01T12:00:00Z",
                &[TimeWithoutSeconds, TimeWithoutZone],
            ),
        ] {
            assert_eq!(
                read(tag, text),
                (Some(at.into()), oddities.to_vec()),
                "{text}"
            );
        }
    }

    #[test]
    fn invalid_time_is_not_read() {
        for (tag, text) in [
            (UTC_TIME, ""),
            (UTC_TIME, "Z"),
            (UTC_TIME, "26112812Z"),
            (UTC_TIME, "261328123456Z"),
            (UTC_TIME, "260229123456Z"),
            (UTC_TIME, "261128123460Z"),
            (UTC_TIME, "261128243456Z"),
            (UTC_TIME, "261128123456z"),
            (UTC_TIME, "261128123456.5Z"),
            (UTC_TIME, "261128123456ZZ"),
            (UTC_TIME, "261128123456+2500"),
            (UTC_TIME, "+61128123456Z"),
            (GENERALIZED_TIME, "20510101000000.Z"),
            (GENERALIZED_TIME, "205101010000.5Z"),
            (GENERALIZED_TIME, "2051010100000Z"),
            (der::INTEGER, "261128123456Z"),
        ] {
            assert_eq!(read(tag, text).0, None, "{text}");
        }
    }

    /// Revocation accepts only the forms of RFC 5280 and those without seconds.
    #[test]
    fn revocation_accepts_fewer_time_formats() {
        let read = |tag, text: &str| {
            let der = der::encode(tag, text.as_bytes());
            read_time(der::split(&mut &der[..]).unwrap())
        };
        assert_eq!(read(UTC_TIME, "700101000001Z"), Some(Timestamp(1)));
        assert_eq!(
            read(GENERALIZED_TIME, "19700101000001Z"),
            Some(Timestamp(1))
        );
        assert_eq!(read(GENERALIZED_TIME, "197001010000Z"), Some(Timestamp(0)));
        for text in [
            "1970010100Z",
            "19700101000001.5Z",
            "19700101000001",
            "19700101000001+00",
        ] {
            assert_eq!(read(GENERALIZED_TIME, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_read_as_time_without_panic(
            tag in prop::sample::select(vec![UTC_TIME, GENERALIZED_TIME]),
            text in "[0-9]{8,16}[.,]?[0-9]{0,3}[-+Z]?[0-9]{0,5}",
        ) {
            let _ = read(tag, &text);
        }
    }
}
