use proptest::prelude::*;
use saphyr::{LoadableYamlNode as _, MarkedYaml, YamlData, YamlLoader};
use saphyr_parser::{BufferedInput, Parser};

use super::{Document, Kind};

/// Pieces of YAML, whose combinations are often valid.
const PIECES: [&str; 24] = [
    "a", "b", "c", "1.0", "~", "'q'", "\"r\"", ": ", ":\n", "- ", "\n", "\n  ", "\n    ", "[", "]",
    "{", "}", ", ", "&x ", "*x", "!t ", "!!str ", "? ", "---\n",
];

/// Value as the library's loader has it.
fn expected(text: &str) -> Option<MarkedYaml<'_>> {
    let mut loader = YamlLoader::default();
    loader.early_parse(false);
    let loaded = Parser::new(BufferedInput::new(text.chars())).load(&mut loader, true);
    let is_valid = loaded.is_ok() && loader.error().is_none();
    let mut documents: Vec<MarkedYaml<'_>> = loader.into_documents();
    (is_valid && documents.len() == 1).then(|| documents.remove(0))
}

fn assert_same(document: &Document, at: u32, expected: &MarkedYaml<'_>) {
    let line = expected.span.start.line().max(1);
    assert_eq!(document.line(at), line, "of {expected:?}");
    match &expected.data {
        YamlData::Representation(text, ..) => assert_eq!(document.scalar(at), Some(&**text)),
        YamlData::Sequence(items) => {
            assert_eq!(document.kind(at), Kind::Sequence);
            let children: Vec<u32> = document.children(at).collect();
            assert_eq!(children.len(), items.len());
            for (child, item) in children.into_iter().zip(items) {
                assert_same(document, child, item);
            }
        }
        YamlData::Mapping(map) => {
            assert_eq!(document.kind(at), Kind::Mapping);
            let pairs: Vec<(u32, u32)> = document.pairs(at).collect();
            assert_eq!(pairs.len(), map.len());
            for ((key, value), (expected_key, expected_value)) in pairs.into_iter().zip(map) {
                assert_same(document, key, expected_key);
                assert_same(document, value, expected_value);
            }
        }
        _ => assert_eq!(document.kind(at), Kind::Other),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn document_equals_the_tree_of_the_library(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 1..24),
    ) {
        let text = pieces.concat();
        match (Document::parse(&text), expected(&text)) {
            (Ok(Some(document)), Some(expected)) => assert_same(&document, 0, &expected),
            // The library compares the style and the tag of keys too.
            (Err((_, message)), Some(_)) => {
                prop_assert!(message.contains("duplicated key"), "{message}: {text:?}");
                prop_assert!(text.contains(['\'', '"', '!', '~', ':']), "{message}: {text:?}");
            }
            // It refuses lists and mappings that are keys twice too, which no file has.
            (Ok(Some(_)), None) => {
                let error = MarkedYaml::load_from_str(&text).unwrap_err();
                prop_assert_eq!(error.info(), "duplicated key in mapping", "{:?}", text);
            }
            (Ok(None), expected) => prop_assert!(expected.is_none(), "{text:?}"),
            (Err(_), None) => {}
        }
    }
}

fn path_of(text: &str, scalar: &str) -> String {
    let document = Document::parse(text).unwrap().unwrap();
    let at = (0..document.len()).rfind(|&at| document.scalar(at) == Some(scalar));
    document.path(at.unwrap())
}

#[test]
fn path_names_the_keys_and_positions() {
    let text = "a:\n  - b\n  - c: {d: [e, f]}\n";
    assert_eq!(path_of(text, "f"), "a[1].c.d[1]");
    assert_eq!(path_of("- [x]\n- [y]\n", "y"), "[1][0]");
    assert_eq!(path_of("x", "x"), "");
}

#[test]
fn path_inside_an_alias_is_that_of_the_alias() {
    let text = "first: &a {list: [x, {y: z}]}\nsecond: [0, *a]\n";
    assert_eq!(path_of(text, "z"), "second[1].list[1].y");
}

#[test]
fn duplicate_key_is_found_among_few_and_many() {
    for count in [1, 15, 16, 17, 40] {
        let keys: Vec<String> = (0..count).map(|key| format!("k{key}: 1\n")).collect();
        let text = keys.concat();
        assert!(Document::parse(&text).unwrap().is_some());
        for twice in [0, count - 1] {
            let (line, message) = Document::parse(&format!("{text}k{twice}: 2\n")).unwrap_err();
            assert_eq!(line, count + 1);
            assert_eq!(message, "invalid YAML: duplicated key in mapping");
        }
    }
}

#[test]
fn alias_inside_its_anchor_is_no_value() {
    let document = Document::parse("a: &a [*a]\n").unwrap().unwrap();
    let at = document.len() - 1;
    assert_eq!(document.kind(at), Kind::Other);
}
