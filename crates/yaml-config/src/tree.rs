//! A YAML document as one list of nodes, in the order of the text. It needs a small fraction of the
//! memory and time of a tree of objects: a file may have tens of thousands of entries. Most values
//! are parts of the text and are not copied.

mod input;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::{MAX_ALIASED_NODES, MAX_DEPTH};
use input::Text;

/// Number of keys up to which the keys of a mapping are compared with each other, instead of in a
/// set.
const FEW_KEYS: usize = 16;

/// Length of text for each node that is allocated at first, in bytes. Nodes are mostly longer. A list
/// that grows would be copied several times.
const TEXT_OF_NODE: usize = 8;

/// Kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Single value.
    Scalar { is_plain: bool },
    /// List.
    Sequence,
    /// Keys with values. Each key is followed by its value.
    Mapping,
    /// Collection with a tag of its own, or an alias inside its own anchor. No key accepts them.
    Other,
}

/// Value, list or mapping.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Line number, starting at 1.
    line: u32,
    /// Of a scalar, the position of its text: see [`Document::scalar`]. Otherwise 0.
    start: u32,
    /// Of a scalar, the end of its text. Otherwise the index after the last node inside this one.
    end: u32,
}

/// Node directly inside a list or mapping.
#[derive(Clone, Copy, Debug)]
struct Child {
    at: u32,
    /// Number of nodes before it.
    position: u32,
    /// Index of the node before it, which is its key if it is a value.
    before: u32,
}

/// Document of a text.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    nodes: Vec<Node>,
    text: &'t str,
    /// Copies of the scalars that are not part of the text as they are, such as those with escape
    /// sequences, and of those with an anchor or a tag.
    others: String,
    /// The last child that was found in each list and mapping. A file with an error in each of its
    /// entries would be searched from its start for each of them.
    found: RefCell<HashMap<u32, Child>>,
}

/// Error in a text, with its line.
pub(crate) type Invalid = (usize, String);

impl<'t> Document<'t> {
    /// Parses a text, which must be shorter than 2 GiB. Returns `None` if it is empty.
    pub(crate) fn parse(text: &'t str) -> Result<Option<Self>, Invalid> {
        let mut builder = Builder::new(text);
        for event in Parser::new(Text::new(text)) {
            let (event, span) =
                event.map_err(|e| (e.marker().line(), format!("invalid YAML: {}", e.info())))?;
            builder.add(event, span)?;
        }
        let document = builder.document;
        if document.nodes.is_empty() {
            return Ok(None);
        }
        document.check_keys()?;
        Ok(Some(document))
    }

    /// Returns the kind of a node.
    pub(crate) fn kind(&self, at: u32) -> Kind {
        self.node(at).map_or(Kind::Other, |node| node.kind)
    }

    /// Returns the line number of a node, starting at 1.
    pub(crate) fn line(&self, at: u32) -> usize {
        self.node(at).map_or(0, |node| node.line as usize).max(1)
    }

    /// Returns the text of a single value. Positions after the text are in [`Self::others`].
    pub(crate) fn scalar(&self, at: u32) -> Option<&str> {
        let node = self.node(at)?;
        if !matches!(node.kind, Kind::Scalar { .. }) {
            return None;
        }
        let (start, end) = (node.start as usize, node.end as usize);
        match start.checked_sub(self.text.len()) {
            None => self.text.get(start..end),
            Some(start) => self.others.get(start..end - self.text.len()),
        }
    }

    /// Iterates over the nodes directly inside a list or mapping.
    pub(crate) fn children(&self, at: u32) -> impl Iterator<Item = u32> {
        let end = self.end(at);
        let is_inside = move |next: &u32| *next < end;
        std::iter::successors(Some(at + 1).filter(is_inside), move |&child| {
            Some(self.end(child)).filter(is_inside)
        })
    }

    /// Iterates over the keys and values of a mapping.
    pub(crate) fn pairs(&self, at: u32) -> impl Iterator<Item = (u32, u32)> {
        let mut children = self.children(at);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// Returns the path of a node, such as `certificates[2].port`. Empty for the root.
    pub(crate) fn path(&self, at: u32) -> String {
        let mut path = String::new();
        let mut inside = 0;
        while inside != at {
            let Some(child) = self.child_with(inside, at) else {
                break;
            };
            if self.kind(inside) == Kind::Sequence {
                let _ = write!(path, "[{}]", child.position);
            } else {
                let is_key = child.position.is_multiple_of(2);
                let key = if is_key { child.at } else { child.before };
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(self.scalar(key).unwrap_or_default());
            }
            inside = child.at;
        }
        path
    }

    /// Returns the node directly inside a list or mapping that is, or contains, another node.
    fn child_with(&self, inside: u32, at: u32) -> Option<Child> {
        let mut found = self.found.borrow_mut();
        let first = Child {
            at: inside + 1,
            position: 0,
            before: inside,
        };
        let last = found.get(&inside).filter(|child| child.at <= at);
        let mut child = last.copied().unwrap_or(first);
        while child.at < self.end(inside) {
            let end = self.end(child.at);
            if at < end {
                found.insert(inside, child);
                return Some(child);
            }
            child = Child {
                at: end,
                position: child.position + 1,
                before: child.at,
            };
        }
        None
    }

    /// Checks that no mapping has a key twice.
    fn check_keys(&self) -> Result<(), Invalid> {
        let mut keys = Vec::new();
        let mut set = HashSet::new();
        for at in (0..self.len()).filter(|&at| self.kind(at) == Kind::Mapping) {
            keys.clear();
            set.clear();
            for (key, _) in self.pairs(at) {
                let Some(text) = self.scalar(key) else {
                    continue;
                };
                if keys.len() == FEW_KEYS {
                    set.extend(keys.iter().copied());
                }
                let is_new = match keys.len() < FEW_KEYS {
                    true => !keys.contains(&text),
                    false => set.insert(text),
                };
                if !is_new {
                    return Err((
                        self.line(key),
                        "invalid YAML: duplicated key in mapping".into(),
                    ));
                }
                keys.push(text);
            }
        }
        Ok(())
    }

    /// Returns the index after the last node inside a node.
    fn end(&self, at: u32) -> u32 {
        match self.node(at) {
            Some(node) if !matches!(node.kind, Kind::Scalar { .. }) => node.end,
            _ => at + 1,
        }
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn len(&self) -> u32 {
        index(self.nodes.len())
    }
}

/// List or mapping that has not ended.
struct Open {
    at: u32,
    anchor: usize,
}

/// Collector of a parser's events.
struct Builder<'t> {
    document: Document<'t>,
    /// Position in the text, in characters and in bytes, before which no scalar follows.
    reached: (usize, usize),
    open: Vec<Open>,
    /// Index of each node with an anchor that has ended.
    anchors: HashMap<usize, u32>,
    /// Nodes that aliases have expanded to.
    aliased: usize,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            document: Document {
                nodes: Vec::with_capacity(text.len() / TEXT_OF_NODE),
                text,
                others: String::new(),
                found: RefCell::default(),
            },
            reached: (0, 0),
            open: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
        }
    }

    fn add(&mut self, event: Event<'_>, span: Span) -> Result<(), Invalid> {
        match event {
            Event::SequenceStart(anchor, tag) => {
                let at = self.start(Kind::Sequence, tag.as_deref(), span)?;
                self.open.push(Open { at, anchor });
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                let at = self.start(Kind::Mapping, tag.as_deref(), span)?;
                self.open.push(Open { at, anchor });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { at, anchor }) = self.open.pop() {
                    let end = self.document.len();
                    if let Some(node) = self.document.nodes.get_mut(at as usize) {
                        node.end = end;
                    }
                    self.name(anchor, at);
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => {
                let is_plain = style == ScalarStyle::Plain;
                let at = self.push(Kind::Scalar { is_plain }, span)?;
                let start = self.locate(&text, is_plain, span);
                if let Some(node) = self.document.nodes.get_mut(at as usize) {
                    node.start = index(start);
                    node.end = index(start + text.len());
                }
                self.name(anchor, at);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    /// Returns the position of a scalar, which is copied if it is not part of the text as it is.
    fn locate(&mut self, scalar: &str, is_plain: bool, span: Span) -> usize {
        let text = self.document.text;
        let (characters, bytes) = self.reached;
        let rest = text.get(bytes..).unwrap_or_default();
        // The span is in characters.
        let skipped = span.start.index().saturating_sub(characters);
        let ahead = rest.get(..skipped).filter(|ahead| ahead.is_ascii());
        let ahead = ahead.map_or_else(|| bytes_of(rest, skipped), str::len);
        self.reached = (characters + skipped, bytes + ahead);
        // The content is after the quotation mark.
        let start = bytes + ahead + usize::from(!is_plain);
        let source = text.get(start..start + scalar.len());
        if source == Some(scalar) {
            return start;
        }
        let others = &mut self.document.others;
        let start = text.len() + others.len();
        others.push_str(scalar);
        start
    }

    fn start(&mut self, kind: Kind, tag: Option<&Tag>, span: Span) -> Result<u32, Invalid> {
        if self.open.len() >= MAX_DEPTH {
            let what =
                format!("values are nested deeper than {MAX_DEPTH} levels; no key needs that");
            return Err((span.start.line(), what));
        }
        let is_known = tag.is_none_or(Tag::is_yaml_core_schema);
        self.push(if is_known { kind } else { Kind::Other }, span)
    }

    /// Adds a node to the innermost open list or mapping.
    fn push(&mut self, kind: Kind, span: Span) -> Result<u32, Invalid> {
        let at = self.document.len();
        let line = span.start.line();
        if at > 0 && self.open.is_empty() {
            let what = "the file has a second YAML document; merge them into one";
            return Err((line, what.into()));
        }
        self.document.nodes.push(Node {
            kind,
            line: index(line),
            start: 0,
            end: at + 1,
        });
        Ok(at)
    }

    fn name(&mut self, anchor: usize, at: u32) {
        // The parser counts anchors from 1.
        if anchor > 0 {
            self.anchors.insert(anchor, at);
        }
    }

    /// Copies the nodes of an anchor.
    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Invalid> {
        let Some(&source) = self.anchors.get(&anchor) else {
            return self.push(Kind::Other, span).map(|_| ());
        };
        let end = self.document.end(source);
        self.aliased += (end - source) as usize;
        if self.aliased > MAX_ALIASED_NODES {
            let what =
                format!("invalid YAML: the aliases expand to more than {MAX_ALIASED_NODES} values");
            return Err((span.start.line(), what));
        }
        let at = self.push(self.document.kind(source), span)?;
        let moved = |index: u32| index - source + at;
        // The ends of scalars are positions in the text.
        let end_of = |node: Node| match node.kind {
            Kind::Scalar { .. } => node.end,
            _ => moved(node.end),
        };
        if let Some(&original) = self.document.node(source)
            && let Some(node) = self.document.nodes.get_mut(at as usize)
        {
            node.start = original.start;
            node.end = end_of(original);
        }
        for inner in source + 1..end {
            if let Some(&node) = self.document.node(inner) {
                let end = end_of(node);
                self.document.nodes.push(Node { end, ..node });
            }
        }
        Ok(())
    }
}

/// Returns the number of bytes of the first characters of a text.
fn bytes_of(text: &str, characters: usize) -> usize {
    let mut indices = text.char_indices().map(|(at, _)| at);
    indices.nth(characters).unwrap_or(text.len())
}

/// Returns an index as it is stored. The text is shorter than 2 GiB, and so are its copies and its
/// number of nodes.
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
