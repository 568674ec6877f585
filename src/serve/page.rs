//! `/`: what is wrong first, for people.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};

use crate::judge::Judged;
use crate::report::{Style, human};

use super::answer::{Response, answer, set};
use super::board::Board;

/// The columns of the table.
const WIDTH: usize = 140;

/// The last looks as a table.
pub(super) fn page(board: &Board) -> Response {
    let looks = board.looks();
    let results: Vec<Judged> = looks.iter().flat_map(|l| l.results.clone()).collect();
    let style = Style {
        width: WIDTH,
        colour: false,
        now: board.now(),
    };
    let notice = if !board.is_ready() {
        "<p>Not everything has been looked at yet.</p>\n"
    } else if board.reload().error.is_some() {
        "<p>The configuration was refused at the last reload; the one before is in force. The log says why.</p>\n"
    } else {
        ""
    };
    let table = escape(&human(&results, &style));
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>certvigil</title>\n\
         <h1>certvigil</h1>\n{notice}<pre>{table}</pre>\n\
         <p><a href=\"/metrics\">metrics</a> <a href=\"/sd\">service discovery</a></p>\n</html>\n"
    );
    let mut response = answer(StatusCode::OK, "text/html; charset=utf-8", body);
    // Subjects and names come from servers: nothing in the page may run or load.
    set(&mut response, CONTENT_SECURITY_POLICY, "default-src 'none'");
    set(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
