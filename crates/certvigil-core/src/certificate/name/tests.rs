use proptest::prelude::*;

use super::*;

fn pair(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    let mut content = der::encode(der::OBJECT_IDENTIFIER, kind);
    content.extend(der::encode(tag, value));
    der::encode(der::SEQUENCE, &content)
}

fn name(sets: &[&[Vec<u8>]]) -> Vec<u8> {
    let sets = sets
        .iter()
        .map(|pairs| der::encode(der::SET, &pairs.concat()));
    der::encode(der::SEQUENCE, &sets.collect::<Vec<_>>().concat())
}

fn common_name(tag: u8, value: &[u8]) -> Vec<u8> {
    name(&[&[pair(COMMON_NAME, tag, value)]])
}

/// RFC 5280, section 7.1: comparison ignores the string type, case and superfluous white space.
#[test]
fn string_type_case_and_white_space_do_not_matter() {
    let normal = common_name(UTF8_STRING, b"some root");
    for (tag, value) in [
        (PRINTABLE_STRING, &b"Some Root"[..]),
        (UTF8_STRING, b"  some \t\n ROOT "),
        (IA5_STRING, b"SOME ROOT"),
        (TELETEX_STRING, b"Some Root"),
        (VISIBLE_STRING, b"Some Root"),
        (BMP_STRING, b"\0S\0o\0m\0e\0 \0R\0o\0o\0t"),
        (
            UNIVERSAL_STRING,
            b"\0\0\0S\0\0\0o\0\0\0m\0\0\0e\0\0\0 \0\0\0R\0\0\0o\0\0\0o\0\0\0t",
        ),
    ] {
        assert_eq!(normal_name(&common_name(tag, value)), normal, "{tag:#x}");
    }
}

#[test]
fn non_ascii_text_is_decoded_by_string_type_and_case_folded() {
    let normal = common_name(UTF8_STRING, "ärzte".as_bytes());
    for (tag, value) in [
        (UTF8_STRING, "ÄRZTE".as_bytes()),
        (TELETEX_STRING, b"\xc4rzte"),
        (BMP_STRING, b"\0\xc4\0r\0z\0t\0e"),
    ] {
        assert_eq!(normal_name(&common_name(tag, value)), normal, "{tag:#x}");
    }
}

#[test]
fn different_names_have_different_normal_forms() {
    let one = |value: &[u8]| pair(COMMON_NAME, UTF8_STRING, value);
    let names = [
        name(&[]),
        name(&[&[]]),
        name(&[&[one(b"")]]),
        name(&[&[one(b"a")]]),
        name(&[&[one(b"b")]]),
        name(&[&[one(b"ab")]]),
        name(&[&[one(b"a b")]]),
        name(&[&[pair(ORGANIZATION, UTF8_STRING, b"a")]]),
        name(&[&[one(b"a")], &[one(b"b")]]),
        name(&[&[one(b"b")], &[one(b"a")]]),
        name(&[&[one(b"a"), one(b"b")]]),
        // Both are invalid in their string type.
        common_name(UTF8_STRING, b"\xff"),
        common_name(BMP_STRING, b"a"),
        common_name(UNIVERSAL_STRING, b"\xff\xff\xff\xff"),
        common_name(der::INTEGER, b"a"),
        common_name(der::OCTET_STRING, b"A"),
        common_name(der::OCTET_STRING, b"a"),
        b"a".to_vec(),
        Vec::new(),
    ];
    let mut normal: Vec<_> = names.iter().map(|name| normal_name(name)).collect();
    normal.sort();
    normal.dedup();
    assert_eq!(normal.len(), names.len());
}

#[test]
fn the_order_within_one_rdn_does_not_matter() {
    let cn = pair(COMMON_NAME, UTF8_STRING, b"a");
    let org = pair(ORGANIZATION, PRINTABLE_STRING, b"B");
    let country = pair(&[0x55, 4, 6], PRINTABLE_STRING, b"DE");
    let one = name(&[&[cn.clone(), org.clone(), country.clone()]]);
    let other = name(&[&[country.clone(), org.clone(), cn.clone()]]);
    assert_eq!(normal_name(&one), normal_name(&other));
    let apart = name(&[&[cn], &[org], &[country]]);
    assert_ne!(normal_name(&one), normal_name(&apart));
}

#[test]
fn an_unreadable_name_is_its_own_normal_form() {
    let mut trailing = common_name(UTF8_STRING, b"A");
    trailing.push(0);
    let no_value = der::encode(der::OBJECT_IDENTIFIER, COMMON_NAME);
    let no_value = name(&[&[der::encode(der::SEQUENCE, &no_value)]]);
    for odd in [trailing, no_value, b"\x30\x05A".to_vec(), b"A".to_vec()] {
        assert_eq!(normal_name(&odd), odd);
    }
}

fn read(name: &[u8]) -> (Name, Vec<Oddity>, Vec<Oddity>) {
    let (mut oddities, mut remarks) = (Vec::new(), Vec::new());
    let mut notes = Notes {
        oddities: &mut oddities,
        remarks: &mut remarks,
    };
    let read = read_name(name, NameOf::Issuer, &mut notes);
    (read, oddities, remarks)
}

/// RFC 4514, section 2.4.
#[test]
fn special_characters_of_a_value_are_escaped() {
    for (value, text) in [
        ("Acme, Inc.", r"CN=Acme\, Inc."),
        (r#"a+b"c\d;<e>"#, r#"CN=a\+b\"c\\d\;\<e\>"#),
        ("#1 #2", r"CN=\#1 #2"),
        (" a b ", r"CN=\ a b\ "),
        (" ", r"CN=\ "),
        ("", "CN="),
        ("a=b", "CN=a=b"),
        ("Lučić", "CN=Lučić"),
        (
            "a\u{200b}b\u{feff}\u{e0041}",
            "CN=a\u{fffd}b\u{fffd}\u{fffd}",
        ),
        ("a\u{1b}[2J\0b\u{202e}", "CN=a\u{fffd}[2J\u{fffd}b\u{fffd}"),
    ] {
        let (name, ..) = read(&common_name(UTF8_STRING, value.as_bytes()));
        assert_eq!(name.text, text);
        // The common name itself is not escaped.
        assert_eq!(name.common_name, Some(super::super::printable(value)));
    }
}

#[test]
fn attributes_have_short_names_and_keep_their_order() {
    let uid = b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01";
    let (name, oddities, remarks) = read(&name(&[
        &[pair(&[0x55, 4, 6], PRINTABLE_STRING, b"DE")],
        &[pair(ORGANIZATION, UTF8_STRING, b"Acme, Inc.")],
        &[
            pair(COMMON_NAME, UTF8_STRING, b"first"),
            pair(uid, IA5_STRING, b"u1"),
        ],
        &[pair(COMMON_NAME, BMP_STRING, b"\0l\0a\0s\0t")],
        &[pair(&[0x2a, 3], NUMERIC_STRING, b"12")],
        &[pair(&[0x55, 4, 45], der::BIT_STRING, b"\0\x01")],
    ]));
    assert_eq!(
        name.text,
        r"C=DE, O=Acme\, Inc., CN=first + UID=u1, CN=last, 1.2.3=12, 2.5.4.45=#03020001"
    );
    assert_eq!(name.common_name.as_deref(), Some("last"));
    assert_eq!(name.organization.as_deref(), Some("Acme, Inc."));
    assert_eq!(oddities, [Oddity::NoString(NameOf::Issuer)]);
    assert_eq!(
        remarks,
        [Oddity::ObsoleteString(NameOf::Issuer, "BMPString")]
    );
}

#[test]
fn attribute_value_invalid_for_its_string_type_is_an_oddity() {
    for (tag, value, text, kind) in [
        (UTF8_STRING, &b"a\xff"[..], "CN=a\u{fffd}", "UTF8String"),
        (PRINTABLE_STRING, b"a@b", "CN=a@b", "PrintableString"),
        (PRINTABLE_STRING, b"\xfc", "CN=ü", "PrintableString"),
        (IA5_STRING, b"\xfc", "CN=ü", "IA5String"),
        (NUMERIC_STRING, b"1a", "CN=1a", "NumericString"),
        (BMP_STRING, b"abc", "CN=#1e03616263", "BMPString"),
    ] {
        let (name, oddities, _) = read(&common_name(tag, value));
        let invalid = Oddity::InvalidString(NameOf::Issuer, kind);
        assert_eq!((&*name.text, oddities), (text, vec![invalid]));
    }
    for value in ["*.example.com", "AT&T (UK) '+,-./:=?"] {
        let (_, oddities, _) = read(&common_name(PRINTABLE_STRING, value.as_bytes()));
        assert_eq!(oddities, [], "{value}");
    }
}

#[test]
fn malformed_name_is_read_up_to_its_unreadable_part() {
    use Oddity::{EmptyRdn, PartlyUnreadableName, UnreadableName};
    let of = NameOf::Issuer;
    let good = der::encode(der::SET, &pair(COMMON_NAME, UTF8_STRING, b"a"));
    let cut = [&good[..], &[der::SET, 0x7f]].concat();
    let empty = [&good[..], &[der::SET, 0], &good].concat();
    for (name, text, oddities) in [
        (der::sequence(&cut), "CN=a", vec![PartlyUnreadableName(of)]),
        (
            der::sequence(&[der::SET, 0x7f]),
            "(unreadable)",
            vec![PartlyUnreadableName(of)],
        ),
        (der::sequence(&empty), "CN=a, CN=a", vec![EmptyRdn(of)]),
        (vec![der::SET, 0], "(unreadable)", vec![UnreadableName(of)]),
        (der::sequence(&[]), "", vec![]),
    ] {
        let (name, found, _) = read(&name);
        assert_eq!((&*name.text, found), (text, oddities));
    }
}

fn any_pair() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(vec![
        UTF8_STRING,
        PRINTABLE_STRING,
        TELETEX_STRING,
        IA5_STRING,
        BMP_STRING,
        UNIVERSAL_STRING,
        der::INTEGER,
    ]);
    let value = prop_oneof![
        "\\PC{0,12}".prop_map(String::into_bytes),
        "[ A-Za-z]{0,12}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..12),
        prop::collection::vec(any::<u8>(), 130..140),
    ];
    let kind = prop::sample::select(vec![COMMON_NAME, ORGANIZATION]);
    (kind, tag, value).prop_map(|(kind, tag, value)| pair(kind, tag, &value))
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let set = prop::collection::vec(any_pair(), 0..4);
    prop::collection::vec(set, 0..4).prop_map(|sets| {
        let sets: Vec<&[Vec<u8>]> = sets.iter().map(Vec::as_slice).collect();
        name(&sets)
    })
}

proptest! {
    #[test]
    fn normalizing_a_name_is_idempotent(name in any_name()) {
        let normal = normal_name(&name);
        prop_assert_eq!(normal_name(&normal), normal);
    }

    /// The text of a name is one line, and unescaping it returns the values.
    #[test]
    fn name_text_has_no_control_characters(name in any_name()) {
        let (read, ..) = read(&name);
        prop_assert!(!read.text.chars().any(char::is_control));
    }

    #[test]
    fn separators_in_an_attribute_value_are_escaped(value in "[a-z,+ ]{1,20}") {
        let sets = [pair(ORGANIZATION, UTF8_STRING, value.as_bytes())];
        let (read, ..) = read(&name(&[&sets, &[pair(COMMON_NAME, UTF8_STRING, b"x")]]));
        let unescaped = read.text.replace("\\,", "").replace("\\+", "");
        prop_assert_eq!(unescaped.matches([',', '+']).count(), 1);
        prop_assert_eq!(read.organization, Some(value));
    }

    #[test]
    fn arbitrary_bytes_have_a_normal_form(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let normal = normal_name(&bytes);
        prop_assert_eq!(normal_name(&normal), normal);
    }
}
