use proptest::prelude::*;
use saphyr::{LoadableYamlNode as _, MarkedYaml, YamlData, YamlLoader};
use saphyr_parser::{BufferedInput, Event, Parser, ScanError, Span};

use super::input::Text;
use super::{Document, Kind};

/// Pieces of YAML, whose combinations are often valid.
const PIECES: [&str; 44] = [
    "a",
    "b",
    "c",
    "1.0",
    "~",
    "'q'",
    "\"r\"",
    ": ",
    ":\n",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&x ",
    "*x",
    "!t ",
    "!!str ",
    "? ",
    "---\n",
    ":",
    "-",
    "#",
    " # c",
    "\r\n",
    "\r",
    "\t",
    "|\n  ",
    "é",
    "漢",
    "\u{1f600}",
    "\u{feff}",
    "\0",
    "\u{85}",
    "...",
    "---",
    "\\x41",
    "'it''s'",
    "%YAML 1.2\n",
    "[::1]:443",
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

fn assert_same(document: &Document<'_>, at: u32, expected: &MarkedYaml<'_>) {
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
            let mut keys = pairs.iter().map(|(key, _)| document.kind(*key));
            // The library drops a pair whose key is an alias inside its own anchor.
            if pairs.len() > map.len() && keys.any(|kind| kind == Kind::Other) {
                return;
            }
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

/// Events of a text up to the first error, with their positions.
fn events<'a>(parser: impl Iterator<Item = Result<(Event<'a>, Span), ScanError>>) -> Vec<String> {
    const MAX_EVENTS: usize = 1000;
    let events = parser.take(MAX_EVENTS).map(|event| format!("{event:?}"));
    let is_end = |event: &String| event.starts_with("Err");
    let mut ended = false;
    let until_error = events.take_while(|event| !std::mem::replace(&mut ended, is_end(event)));
    until_error.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60_000))]

    #[test]
    fn text_has_the_events_of_a_buffer(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 1..16),
    ) {
        let text = pieces.concat();
        let own = events(Parser::new(Text::new(&text)));
        let buffered = events(Parser::new(BufferedInput::new(text.chars())));
        prop_assert_eq!(own, buffered, "{:?}", text);
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
fn path_is_independent_of_earlier_ones() {
    let text = "a: [{b: c, d: [e, {f: g}]}, h]\ni: {j: k, l: {m: n}}\n";
    let parse = || Document::parse(text).unwrap().unwrap();
    let document = parse();
    let all = 0..document.len();
    for at in all.clone().chain(all.clone().rev()).chain(all) {
        assert_eq!(document.path(at), parse().path(at), "{at}");
    }
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

#[test]
fn values_are_not_copied_unless_their_text_differs() {
    let own = |text: &str| Document::parse(text).unwrap().unwrap().others;
    assert_eq!(own("# é\r\n'ä': \"b\"\r\nc: [d, 'e f']\r\n"), "");
    assert_eq!(own("a: 'it''s'\nb: c\nd: \"\\x41\"\n"), "it'sA");
    assert_eq!(own("a: b\n  c\nd: e\nf: |\n  g\nh: i\n"), "b cg\n");
}

#[test]
fn copied_and_repeated_values_have_their_text() {
    let text = "é: &x \"1\\n2\"\nb: [*x, 3, &y {c: *x}, *y]\n";
    let document = Document::parse(text).unwrap().unwrap();
    let all = (0..document.len()).filter_map(|at| document.scalar(at));
    let all: Vec<&str> = all.collect();
    assert_eq!(
        all,
        ["é", "1\n2", "b", "1\n2", "3", "c", "1\n2", "c", "1\n2"]
    );
}
