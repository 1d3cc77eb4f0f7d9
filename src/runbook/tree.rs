//! YAML as a tree in which every key and value knows its place. Refuses what a runbook has no use for and what could blow it up:
//! aliases, tags, several documents, keys that are not text, too much depth or size. Not in here: what the keys mean.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::reader::Reader;

const MAX_DEPTH: usize = 32;
const MAX_SIZE_BYTES: usize = 1 << 20;

/// Where something is written: line and column from 1, and how many characters of it are on that line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
    pub length: usize,
}

impl Place {
    /// The beginning of the file.
    pub const START: Place = Place {
        line: 1,
        column: 1,
        length: 1,
    };

    fn of(span: Span) -> Place {
        let one_line = span.start.line() == span.end.line();
        Place {
            line: span.start.line().max(1),
            column: span.start.col() + 1,
            length: if one_line { span.len().max(1) } else { 1 },
        }
    }

    /// Its first character alone, for lists and maps.
    fn first(self) -> Place {
        Place { length: 1, ..self }
    }
}

/// A value and where it is.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub value: Value,
    pub place: Place,
}

/// What is written.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// As written, `${NAME}` not yet resolved.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and where it is.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub text: String,
    pub place: Place,
}

impl Node {
    /// `~`, `null` or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }
}

/// A collection that is not closed yet.
struct Frame {
    place: Place,
    kind: FrameKind,
}

enum FrameKind {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        /// `Some(None)`: a key that cannot be one; its value is dropped.
        key: Option<Option<Key>>,
    },
}

/// The tree of a text, or nothing where it is not YAML or holds nothing. Problems go to the reader.
pub(super) fn load(text: &str, reader: &mut Reader<'_>) -> Option<Node> {
    if text.len() > MAX_SIZE_BYTES {
        let found = format!("{} bytes", text.len());
        reader.problem(Place::START, "", "a file of at most 1 MiB", &found, None);
        return None;
    }
    let mut stack: Vec<Frame> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                syntax_problem(text, &error, reader);
                return None;
            }
        };
        let place = Place::of(span);
        let node = match event {
            Event::DocumentStart(_) if root.is_some() => {
                let found = "the beginning of another";
                reader.problem(place, "", "one YAML document", found, None);
                return None;
            }
            Event::SequenceStart(_, tag) => {
                refuse_tag(tag.is_some(), place, reader);
                open(
                    &mut stack,
                    place.first(),
                    FrameKind::List(Vec::new()),
                    reader,
                )?;
                continue;
            }
            Event::MappingStart(_, tag) => {
                refuse_tag(tag.is_some(), place, reader);
                let kind = FrameKind::Map {
                    entries: Vec::new(),
                    key: None,
                };
                open(&mut stack, place.first(), kind, reader)?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = stack.pop().expect("BUG: collections end after they begin");
                Node {
                    place: frame.place,
                    value: match frame.kind {
                        FrameKind::List(items) => Value::List(items),
                        FrameKind::Map { entries, .. } => Value::Map(entries),
                    },
                }
            }
            Event::Scalar(text, style, _, tag) => {
                refuse_tag(tag.is_some(), place, reader);
                Node {
                    place,
                    value: Value::Scalar {
                        text: text.into_owned(),
                        plain: style == ScalarStyle::Plain,
                    },
                }
            }
            Event::Alias(_) => {
                let hint = "write the value out: a runbook is read at three in the morning";
                reader.problem(place, "", "a value", "an alias", Some(hint.into()));
                Node {
                    place,
                    value: Value::Scalar {
                        text: String::new(),
                        plain: true,
                    },
                }
            }
            _ => continue,
        };
        root = attach(&mut stack, node, reader).or(root);
    }
    root.filter(|node| !node.is_null())
}

fn open(
    stack: &mut Vec<Frame>,
    place: Place,
    kind: FrameKind,
    reader: &mut Reader<'_>,
) -> Option<()> {
    if stack.len() == MAX_DEPTH {
        let found = "one more";
        reader.problem(place, "", "at most 32 levels of nesting", found, None);
        return None;
    }
    stack.push(Frame { place, kind });
    Some(())
}

/// Puts a complete node where it belongs; gives it back where it is the whole document.
fn attach(stack: &mut [Frame], node: Node, reader: &mut Reader<'_>) -> Option<Node> {
    match stack.last_mut().map(|frame| &mut frame.kind) {
        None => return Some(node),
        Some(FrameKind::List(items)) => items.push(node),
        Some(FrameKind::Map { entries, key }) => match key.take() {
            None => *key = Some(as_key(node, entries, reader)),
            Some(Some(key)) => entries.push((key, node)),
            Some(None) => {}
        },
    }
    None
}

fn as_key(node: Node, entries: &[(Key, Node)], reader: &mut Reader<'_>) -> Option<Key> {
    let Value::Scalar { text, .. } = node.value else {
        let hint = "a value that holds `{` or begins with `[` needs quotes".to_owned();
        reader.problem(node.place, "", "a key", "a list or a map", Some(hint));
        return None;
    };
    if let Some((first, _)) = entries.iter().find(|(key, _)| key.text == text) {
        let expected = format!("`{text}` once");
        let found = format!("it again; the first is on line {}", first.place.line);
        reader.problem(node.place, &text, &expected, &found, None);
        return None;
    }
    Some(Key {
        text,
        place: node.place,
    })
}

fn refuse_tag(tagged: bool, place: Place, reader: &mut Reader<'_>) {
    if tagged {
        let hint = "remove what begins with `!`; quotes make text of anything".to_owned();
        reader.problem(place, "", "a value without a YAML tag", "a tag", Some(hint));
    }
}

fn syntax_problem(text: &str, error: &ScanError, reader: &mut Reader<'_>) {
    let place = Place {
        line: error.marker().line().max(1),
        column: error.marker().col() + 1,
        length: 1,
    };
    let lines: Vec<&str> = text.lines().collect();
    let near = place.line.saturating_sub(2)..lines.len().min(place.line + 1);
    let near = lines.get(near).unwrap_or_default();
    let tab = near
        .iter()
        .any(|line| line.trim_start_matches(' ').starts_with('\t'));
    let bare_reference = near.iter().any(|line| bare_reference(line));
    let hint = if tab {
        Some("a line near here begins with a tab: YAML indents with blanks".to_owned())
    } else if bare_reference {
        Some("inside [ ] and { } a reference needs quotes: \"${NAME}\"".to_owned())
    } else {
        None
    };
    reader.problem(
        place,
        "",
        "YAML",
        &format!("a mistake: {}", error.info()),
        hint,
    );
}

/// Whether a `${` stands inside brackets without a quote before it.
fn bare_reference(line: &str) -> bool {
    line.match_indices("${").any(|(at, _)| {
        let before = &line[..at];
        before.contains(['[', '{']) && before.matches(['"', '\'']).count().is_multiple_of(2)
    })
}
