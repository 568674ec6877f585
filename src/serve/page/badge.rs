//! `/badge/NAME.svg`: the state of a certificate as a picture, for READMEs and dashboards.

use crate::finding::Severity;

use super::frame::word;
use super::html::Html;

/// Text before the state.
const LABEL: &str = "certificate";
/// Height of the picture, in pixels.
const HEIGHT: usize = 20;
/// Baseline of the text, in pixels.
const BASELINE: &str = "14";
/// Width of a character of the font, in pixels.
const CHARACTER: usize = 7;
/// Space on both sides of a text, in pixels.
const PADDING: usize = 12;

/// Returns the picture of a severity.
pub(super) fn picture(severity: Severity) -> String {
    let text = word(severity);
    let colour = match severity {
        Severity::Ok | Severity::Info => "#1a7f37",
        Severity::Warning | Severity::Unknown => "#8a5300",
        Severity::Critical => "#b3121f",
    };
    let (left, right) = (width(LABEL), width(text));
    let whole = (left + right).to_string();
    let (start, size) = (left.to_string(), right.to_string());
    let height = HEIGHT.to_string();
    let title = format!("{LABEL}: {text}");
    let mut svg = Html::default();
    let attributes = [
        ("xmlns", "http://www.w3.org/2000/svg"),
        ("width", &*whole),
        ("height", &*height),
        ("role", "img"),
        ("aria-label", &*title),
    ];
    svg.element("svg", &attributes, |svg| {
        svg.line("title", &[], &title);
        for (x, width, fill) in [("0", &*start, "#3b4148"), (&*start, &*size, colour)] {
            let area = [
                ("x", x),
                ("width", width),
                ("height", &height),
                ("fill", fill),
            ];
            svg.element("rect", &area, |_| {});
        }
        let font = [
            ("fill", "#fff"),
            ("text-anchor", "middle"),
            ("font-family", "Verdana, DejaVu Sans, sans-serif"),
            ("font-size", "11"),
        ];
        svg.element("g", &font, |svg| {
            for (x, text) in [(left / 2, LABEL), (left + right / 2, text)] {
                svg.line("text", &[("x", &x.to_string()), ("y", BASELINE)], text);
            }
        });
    });
    svg.finish()
}

fn width(text: &str) -> usize {
    text.chars().count() * CHARACTER + PADDING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_names_the_state() {
        let svg = picture(Severity::Critical);
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(
            svg.contains("<title>certificate: critical</title>"),
            "{svg}"
        );
        assert!(svg.contains("#b3121f"));
        assert!(picture(Severity::Ok).contains("#1a7f37"));
    }
}
