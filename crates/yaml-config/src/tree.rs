//! A YAML document as one list of nodes, in the order of the text. It needs a small fraction of the
//! memory and time of a tree of objects: a file may have tens of thousands of entries.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{BufferedInput, Event, Parser, ScalarStyle, Span, Tag};

use crate::{MAX_ALIASED_NODES, MAX_DEPTH};

/// Number of keys up to which the keys of a mapping are compared with each other, instead of in a
/// set.
const FEW_KEYS: usize = 16;

/// Kind of a node, with its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Single value. `start` and `end` delimit its text in [`Document::text`].
    Scalar {
        start: u32,
        end: u32,
        is_plain: bool,
    },
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
    /// Index after the last node inside this one.
    end: u32,
    /// Index of the list or mapping that contains this node. The root is its own parent.
    parent: u32,
    /// In a list, the number of items before it. In a mapping, the index of its key.
    position: u32,
}

/// Document of a text.
#[derive(Debug, Default)]
pub(crate) struct Document {
    nodes: Vec<Node>,
    text: String,
}

/// Error in a text, with its line.
pub(crate) type Invalid = (usize, String);

impl Document {
    /// Parses a text, which must be shorter than 4 GiB. Returns `None` if it is empty.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        let mut builder = Builder::default();
        for event in Parser::new(BufferedInput::new(text.chars())) {
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

    /// Returns the text of a single value.
    pub(crate) fn scalar(&self, at: u32) -> Option<&str> {
        match self.kind(at) {
            Kind::Scalar { start, end, .. } => self.text.get(start as usize..end as usize),
            _ => None,
        }
    }

    /// Iterates over the nodes directly inside a list or mapping.
    pub(crate) fn children(&self, at: u32) -> impl Iterator<Item = u32> {
        let end = self.node(at).map_or(0, |node| node.end);
        let is_inside = move |next: &u32| *next < end;
        std::iter::successors(Some(at + 1).filter(is_inside), move |&child| {
            let next = self.node(child)?.end;
            Some(next).filter(is_inside)
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
#[derive(Default)]
struct Builder {
    document: Document,
    open: Vec<Open>,
    /// Index of each node with an anchor that has ended.
    anchors: HashMap<usize, u32>,
    /// Nodes that aliases have expanded to.
    aliased: usize,
}

impl Builder {
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
                let start = index(self.document.text.len());
                self.document.text.push_str(&text);
                let end = index(self.document.text.len());
                let is_plain = style == ScalarStyle::Plain;
                let at = self.push(
                    Kind::Scalar {
                        start,
                        end,
                        is_plain,
                    },
                    span,
                )?;
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
        let end = self.document.node(source).map_or(source, |node| node.end);
        self.aliased += (end - source) as usize;
        if self.aliased > MAX_ALIASED_NODES {
            let what =
                format!("invalid YAML: the aliases expand to more than {MAX_ALIASED_NODES} values");
            return Err((span.start.line(), what));
        }
        let at = self.push(self.document.kind(source), span)?;
        let moved = |index: u32| index - source + at;
        if let Some(node) = self.document.nodes.get_mut(at as usize) {
            node.end = moved(end);
        }
        for inner in source + 1..end {
            if let Some(&node) = self.document.node(inner) {
                let is_in_mapping = self.document.kind(node.parent) == Kind::Mapping;
                self.document.nodes.push(Node {
                    end: moved(node.end),
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

/// Returns an index as it is stored. The text is shorter than 4 GiB, and so is its number of nodes.
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
