//! A YAML document as one list of nodes, in the order of the text. It needs a small fraction of the
//! memory and time of a tree of objects: a file may have tens of thousands of entries. Most values
//! are parts of the text and are not copied.

mod input;

use std::collections::{HashMap, HashSet};

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
    /// Index of the list or mapping that contains this node. The root is its own parent.
    parent: u32,
    /// In a list, the number of items before it. In a mapping, the index of its key.
    position: u32,
}

/// Document of a text.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    nodes: Vec<Node>,
    text: &'t str,
    /// Copies of the scalars that are not part of the text as they are, such as those with escape
    /// sequences, and of those with an anchor or a tag.
    others: String,
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
    pub(crate) fn path(&self, mut at: u32) -> String {
        let mut parts = Vec::new();
        while let Some(node) = self.node(at).filter(|node| node.parent != at) {
            match self.kind(node.parent) {
                Kind::Sequence => parts.push(format!("[{}]", node.position)),
                _ => parts.push(self.scalar(node.position).unwrap_or_default().to_owned()),
            }
            at = node.parent;
        }
        let mut path = String::new();
        for part in parts.iter().rev() {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        path
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
    contents: Contents,
}

/// State of an open list or mapping.
enum Contents {
    /// List with this number of items.
    Items(u32),
    /// Mapping, with the key that awaits its value.
    Pairs(Option<u32>),
}

impl Contents {
    /// Returns the position of the next node, whose index is `at`.
    fn next(&mut self, at: u32) -> u32 {
        match self {
            Self::Items(count) => {
                *count += 1;
                *count - 1
            }
            Self::Pairs(key) => match key.take() {
                Some(key) => key,
                None => *key.insert(at),
            },
        }
    }
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
                let contents = Contents::Items(0);
                self.open.push(Open {
                    at,
                    anchor,
                    contents,
                });
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                let at = self.start(Kind::Mapping, tag.as_deref(), span)?;
                let contents = Contents::Pairs(None);
                self.open.push(Open {
                    at,
                    anchor,
                    contents,
                });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { at, anchor, .. }) = self.open.pop() {
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
        let (parent, position) = match self.open.last_mut() {
            Some(open) => (open.at, open.contents.next(at)),
            None if at == 0 => (0, 0),
            None => {
                let what = "the file has a second YAML document; merge them into one";
                return Err((line, what.into()));
            }
        };
        self.document.nodes.push(Node {
            kind,
            line: index(line),
            start: 0,
            end: at + 1,
            parent,
            position,
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
                let is_in_mapping = self.document.kind(node.parent) == Kind::Mapping;
                self.document.nodes.push(Node {
                    end: end_of(node),
                    parent: moved(node.parent),
                    position: match is_in_mapping {
                        true => moved(node.position),
                        false => node.position,
                    },
                    ..node
                });
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
