//! The form of the filter, which works without the script.

use super::filter::{Filter, Wanted};
use super::frame::word;
use super::html::Html;
use super::view::View;

/// Maximum certificates in the list of choices. Others can be found with the text field.
const MAX_CHOICES: usize = 100;

pub(super) fn write(html: &mut Html, filter: &Filter, view: &View) {
    let form = [
        ("role", "search"),
        ("action", "/"),
        ("method", "get"),
        ("id", "filter"),
        ("aria-label", "Filter"),
    ];
    // A narrow screen shows only the summary until it is unfolded.
    let mut fold = vec![("id", "filter-fold")];
    if filter.is_active() {
        fold.push(("open", ""));
    }
    html.element("details", &fold, |html| {
        html.line("summary", &[], "Filter");
        html.element("form", &form, |html| fields(html, filter, view));
    });
}

fn fields(html: &mut Html, filter: &Filter, view: &View) {
    html.element("p", &[("class", "field wide")], |html| {
        html.line("label", &[("for", "q")], "Host, address, finding or issuer");
        let input = [
            ("type", "search"),
            ("id", "q"),
            ("name", "q"),
            ("value", &*filter.text),
            ("autocomplete", "off"),
            ("spellcheck", "false"),
        ];
        html.void("input", &input);
    });
    let option = |html: &mut Html, value: &str, text: &str, is_chosen: bool| {
        let mut attributes = vec![("value", value)];
        if is_chosen {
            attributes.push(("selected", ""));
        }
        html.line("option", &attributes, text);
    };
    html.element("p", &[("class", "field")], |html| {
        html.line("label", &[("for", "severity")], "State");
        html.element(
            "select",
            &[("id", "severity"), ("name", "severity")],
            |html| {
                for wanted in Wanted::ALL {
                    let text = match wanted {
                        Wanted::All => "All",
                        Wanted::Problems => "Not ok",
                        Wanted::One(severity) => word(severity),
                    };
                    option(html, wanted.name(), text, wanted == filter.wanted);
                }
            },
        );
    });
    if (2..=MAX_CHOICES).contains(&view.plan.index.len()) {
        html.element("p", &[("class", "field")], |html| {
            html.line("label", &[("for", "certificate")], "Certificate");
            html.element(
                "select",
                &[("id", "certificate"), ("name", "certificate")],
                |html| {
                    option(html, "", "All", filter.certificate.is_empty());
                    for named in view.plan.certificates() {
                        let name = named.name;
                        option(html, name, name, name == filter.certificate);
                    }
                },
            );
        });
    } else if !filter.certificate.is_empty() {
        let kept = [
            ("type", "hidden"),
            ("name", "certificate"),
            ("value", &*filter.certificate),
        ];
        html.void("input", &kept);
    }
    for (name, value) in filter.sorts() {
        if !value.is_empty() {
            let kept = [("type", "hidden"), ("name", name), ("value", &*value)];
            html.void("input", &kept);
        }
    }
    html.element("p", &[("class", "field")], |html| {
        html.line("button", &[("type", "submit")], "Filter");
    });
}
