//! The pictures of terminals in `docs/pictures`: made from real output of the program, and still up
//! to date.
//!
//! After an intended change, `CERTVIGIL_REWRITE=1 cargo test --test repository pictures --
//! --ignored` writes them again.

use std::fmt::Write as _;

use crate::common::example::example;
use crate::common::rollout::Rollout;
use crate::fixture::pki::HOST;
use crate::fixture::terminal::Terminal;
use crate::support::{REWRITE, recorded};

/// The port in the pictures, as in the documentation's examples.
const PORT: &str = "8443";
const COLUMNS: usize = 100;

#[test]
#[ignore = "needs bsdutils (script)"]
fn demo_output_matches_its_picture() {
    let (code, drawn) = Terminal::start("demo", COLUMNS, &[]).end();
    assert_eq!(code, 0, "{drawn:?}");
    let mut screen = Screen::of(&drawn);
    // The first and the last lines only.
    let end = screen.lines.split_off(screen.lines.len() - 5);
    screen.lines.truncate(20);
    screen.write("\r\n…\r\n");
    screen.lines.extend(end);
    check("demo", "certvigil demo", screen);
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn inspect_output_matches_its_picture() {
    let folder = tempfile::tempdir().unwrap();
    let server = example(folder.path());
    let port = server.port().to_string();
    let words = format!(
        "inspect --ca-file root.pem --resolve {HOST}:{port}:127.0.0.1,127.0.0.9 {HOST}:{port}"
    );
    let program = env!("CARGO_BIN_EXE_certvigil");
    let line = format!("cd {} && {program} {words}", folder.path().display());
    let (code, drawn) = Terminal::run(&line, COLUMNS, &[]).end();
    assert_eq!(code, 0, "{drawn:?}");
    let screen = Screen::of(&drawn.replace(&port, PORT));
    let words = words.replace(&port, PORT);
    check("inspect", &format!("certvigil {words}"), screen);
}

#[test]
#[ignore = "needs bsdutils (script)"]
fn wait_output_matches_its_picture() {
    const LEFT: &str = " left";
    let rollout = Rollout::new();
    let words = format!("{} -v --wait 10m --every 10ms", rollout.words());
    let mut terminal = Terminal::start(&words, COLUMNS, &[]);
    terminal.wait_for("1 of 2 addresses serve it");
    terminal.wait_for(LEFT);
    // The line may be half drawn again.
    let mut meanwhile = terminal.drawn();
    meanwhile.truncate(meanwhile.rfind(LEFT).unwrap() + LEFT.len());
    rollout.finish();
    let (code, drawn) = terminal.end();
    assert_eq!(code, 0, "{drawn:?}");
    let port = rollout.port.to_string();
    // Padding keeps the columns in place.
    let (cell, shorter) = (
        format!("{port}  "),
        format!("{PORT:pad$}  ", pad = port.len()),
    );
    let drawn = [meanwhile, drawn];
    let drawn = drawn.map(|text| text.replace(&cell, &shorter).replace(&port, PORT));
    let [mut screen, end] = drawn.map(|text| Screen::of(&text));
    // The order of the first two lines is random.
    screen.lines[..2].sort_by_key(|line| line.first().map(|cell| cell.0));
    let end_of_wait = end
        .text()
        .lines()
        .position(|l| l.contains(", after "))
        .unwrap();
    screen.write("\r\n…\r\n");
    screen.lines.pop();
    screen.lines.extend_from_slice(&end.lines[end_of_wait..]);
    let command = format!("certvigil check --cert new.pem --wait 10m -v {HOST}:{PORT}");
    check("wait", &command, screen);
}

/// Compares a picture with its file, without what differs between runs.
fn check(name: &str, command: &str, mut screen: Screen) {
    let prompt = Screen::of(&format!("$ {command}\r\n"));
    screen.lines.splice(0..0, prompt.lines.into_iter().take(1));
    while screen.lines.last().is_some_and(Vec::is_empty) {
        screen.lines.pop();
    }
    let svg = screen.svg(command);
    let file = format!("docs/pictures/{name}.svg");
    let shown = recorded(&file, &svg);
    assert_eq!(
        steady(&words_of(&shown)),
        steady(&words_of(&svg)),
        "{file} is out of date: draw it anew with {REWRITE}=1"
    );
}

/// The text of a picture, one line for each of its lines.
fn words_of(svg: &str) -> String {
    let mut out = String::new();
    for line in svg.lines().filter(|line| line.starts_with("<text")) {
        for part in line.split('>').skip(1) {
            out.push_str(part.split('<').next().unwrap());
            out.push(' ');
        }
        out.push('\n');
    }
    out
}

/// Replaces what differs between runs: numbers, hashes, the spinner and padding.
fn steady(text: &str) -> String {
    let is_hash = |word: &str| {
        let word = word.trim_end_matches([',', ';']);
        word.len() > 30 && word.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let steady = |word: &str| {
        if is_hash(word) {
            return "HASH".to_owned();
        }
        let mut out = String::new();
        for c in word
            .chars()
            .filter(|c| !('\u{2800}'..='\u{28ff}').contains(c))
        {
            match c {
                '0'..='9' if out.ends_with('#') => {}
                '0'..='9' => out.push('#'),
                c => out.push(c),
            }
        }
        out
    };
    let line = |line: &str| {
        let words = line.split_whitespace().map(steady);
        words
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn picture_comparison_detects_differences() {
    assert_eq!(
        steady("a 127.0.0.1:41077  12 ms"),
        steady("a 127.0.0.1:8443 3 ms")
    );
    assert_ne!(steady("a 12 ms"), steady("b 12 ms"));
    assert_ne!(steady("a\nb"), steady("a b"));
    let screen = Screen::of("\x1b[31mred\x1b[0m <b>\r\ngone\r\x1b[2Kstays\r\n");
    assert_eq!(screen.text(), "red <b>\nstays\n");
    let svg = screen.svg("x & y");
    assert!(
        svg.contains("x &amp; y") && svg.contains("&lt;b&gt;"),
        "{svg}"
    );
    assert!(words_of(&svg).trim_start().starts_with("red"), "{svg}");
}

/// Style of a character.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Look {
    is_bold: bool,
    /// 31 to 37, as in Select Graphic Rendition.
    colour: Option<u8>,
}

/// The terminal features that the program uses.
#[derive(Default)]
struct Screen {
    lines: Vec<Vec<(char, Look)>>,
    column: usize,
    look: Look,
}

impl Screen {
    fn of(drawn: &str) -> Self {
        let mut screen = Self {
            lines: vec![Vec::new()],
            ..Self::default()
        };
        screen.write(drawn);
        screen
    }

    /// Continues in the last line.
    fn write(&mut self, drawn: &str) {
        let mut rest = drawn.chars();
        while let Some(c) = rest.next() {
            let line = self.lines.last_mut().unwrap();
            match c {
                '\n' => self.lines.push(Vec::new()),
                '\r' => self.column = 0,
                '\x1b' => {
                    // `[`, the parameters, and the final letter of the sequence.
                    let end = rest
                        .as_str()
                        .find(|c: char| c.is_ascii_alphabetic())
                        .unwrap();
                    let sequence: Vec<char> = rest.by_ref().take(end + 1).skip(1).collect();
                    let (last, parameters) = sequence.split_last().unwrap();
                    let parameters: String = parameters.iter().collect();
                    match last {
                        'm' => self.look.change(&parameters),
                        'K' => line.clear(),
                        other => panic!("the picture does not know {other} in {drawn:?}"),
                    }
                }
                c => {
                    line.resize(line.len().max(self.column + 1), (' ', Look::default()));
                    line[self.column] = (c, self.look);
                    self.column += 1;
                }
            }
        }
    }

    fn text(&self) -> String {
        let line = |line: &Vec<(char, Look)>| line.iter().map(|(c, _)| *c).collect::<String>();
        self.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// A scalable picture. Each run of characters has its own position, so that columns align with
    /// any font.
    fn svg(&self, title: &str) -> String {
        const WIDTH: f64 = 8.4;
        const HEIGHT: f64 = 18.0;
        const MARGIN: f64 = 16.0;
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let (width, height) = (
            2.0 * MARGIN + WIDTH * columns as f64,
            2.0 * MARGIN + HEIGHT * self.lines.len() as f64,
        );
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" role=\"img\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" \
             font-size=\"14\" fill=\"#d8dee9\">\n<title>{}</title>\n\
             <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1b1f27\"/>\n",
            escaped(title)
        );
        for (row, line) in self.lines.iter().enumerate() {
            let y = MARGIN + HEIGHT * (row as f64 + 0.75);
            let _ = write!(svg, "<text y=\"{y:.1}\" xml:space=\"preserve\">");
            let mut column = 0;
            for run in line.chunk_by(|a, b| a.1 == b.1) {
                let text: String = run.iter().map(|(c, _)| *c).collect();
                let x = MARGIN + WIDTH * column as f64;
                let length = WIDTH * run.len() as f64;
                let _ = write!(
                    svg,
                    "<tspan x=\"{x:.1}\" textLength=\"{length:.1}\"{}>{}</tspan>",
                    run[0].1.attributes(),
                    escaped(&text)
                );
                column += run.len();
            }
            svg.push_str("</text>\n");
        }
        svg + "</svg>\n"
    }
}

impl Look {
    fn change(&mut self, parameters: &str) {
        for parameter in parameters.split(';') {
            match parameter {
                "" | "0" => *self = Self::default(),
                "1" => self.is_bold = true,
                other => self.colour = other.parse().ok(),
            }
        }
    }

    fn attributes(self) -> String {
        let mut out = String::new();
        if self.is_bold {
            out.push_str(" font-weight=\"bold\"");
        }
        let colour = match self.colour {
            Some(31) => "#ff7b85",
            Some(32) => "#9fd38b",
            Some(33) => "#f0c674",
            Some(35) => "#d6a4e8",
            Some(36) => "#8fd3e0",
            _ => return out,
        };
        let _ = write!(out, " fill=\"{colour}\"");
        out
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}
