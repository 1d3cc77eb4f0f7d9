//! YAML as other programs write it (compose, Rails): lenient, with anchors and merges, each node with its line. Pure. Not in here: the
//! runbook's own YAML, which refuses what it has no use for (`runbook::tree`).

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};

/// Nodes that aliases may add: a file of a kilobyte can stand for a gigabyte.
const MAX_NODES: usize = 20_000;
const MAX_DEPTH: usize = 32;

/// A value, and its line counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Anything that is no list and no map.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key; also of one that a merge (`<<`) brings in.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let entries = self.entries();
        let own = entries.iter().find(|(known, _)| known == key);
        if let Some((_, node)) = own {
            return Some(node);
        }
        let (_, merged) = entries.iter().find(|(known, _)| known == "<<")?;
        match &merged.value {
            Value::Map(_) => merged.get(key),
            Value::List(list) => list.iter().find_map(|node| node.get(key)),
            Value::Text(_) => None,
        }
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Text(_) | Value::List(_) => &[],
        }
    }

    /// The elements of a list; none of anything else.
    pub fn list(&self) -> &[Node] {
        match &self.value {
            Value::List(list) => list,
            Value::Text(_) | Value::Map(_) => &[],
        }
    }

    /// A text; `None` of anything else.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Text(_) => 1,
            Value::List(list) => 1 + list.iter().map(Node::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(_, n)| n.size()).sum::<usize>(),
        }
    }
}

/// A collection that is not closed yet.
struct Open {
    line: usize,
    anchor: usize,
    is_map: bool,
    key: Option<String>,
    list: Vec<Node>,
    map: Vec<(String, Node)>,
}

/// The first document; `None` where it is no YAML, or too much of it.
pub fn load(text: &str) -> Option<Node> {
    let mut stack: Vec<Open> = Vec::new();
    let mut anchors: BTreeMap<usize, Node> = BTreeMap::new();
    let mut copied = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let line = span.start.line().max(1);
        let (node, anchor) = match event {
            Event::SequenceStart(anchor, _) => {
                open(&mut stack, line, anchor, false)?;
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open(&mut stack, line, anchor, true)?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = stack.pop()?;
                let value = match open.is_map {
                    true => Value::Map(open.map),
                    false => Value::List(open.list),
                };
                let line = open.line;
                (Node { line, value }, open.anchor)
            }
            Event::Scalar(text, _, anchor, _) => {
                let value = Value::Text(text.into_owned());
                (Node { line, value }, anchor)
            }
            Event::Alias(anchor) => {
                let node = anchors.get(&anchor)?.clone();
                copied += node.size();
                if copied > MAX_NODES {
                    return None;
                }
                (node, 0)
            }
            _ => continue,
        };
        if anchor > 0 {
            copied += node.size();
            if copied > MAX_NODES {
                return None;
            }
            anchors.insert(anchor, node.clone());
        }
        let Some(above) = stack.last_mut() else {
            return Some(node);
        };
        match (above.is_map, above.key.take()) {
            (false, _) => above.list.push(node),
            (true, Some(key)) => above.map.push((key, node)),
            (true, None) => above.key = Some(node.text().unwrap_or_default().to_owned()),
        }
    }
    None
}

fn open(stack: &mut Vec<Open>, line: usize, anchor: usize, is_map: bool) -> Option<()> {
    if stack.len() == MAX_DEPTH {
        return None;
    }
    stack.push(Open {
        line,
        anchor,
        is_map,
        key: None,
        list: Vec::new(),
        map: Vec::new(),
    });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_and_merges_are_followed_and_lines_are_kept() {
        let text = "x: &base\n  image: shop\n  ports: [\"1:2\"]\nservices:\n  app-1:\n    <<: *base\n    env_file: a.env\n";
        let root = load(text).expect("YAML");
        let service = root.get("services").and_then(|s| s.get("app-1"));
        let service = service.expect("a service");
        assert_eq!(service.get("image").and_then(Node::text), Some("shop"));
        let file = service.get("env_file").expect("a key");
        assert_eq!((file.text(), file.line), (Some("a.env"), 7));
        assert_eq!(service.get("ports").map(|p| p.list().len()), Some(1));
    }

    #[test]
    fn what_grows_without_bound_is_not_followed() {
        let mut text = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n".to_owned();
        for (name, of) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e")] {
            let list = vec![format!("*{of}"); 10].join(", ");
            text.push_str(&format!("{name}: &{name} [{list}]\n"));
        }
        assert_eq!(load(&text), None);
        assert_eq!(load("a: [1"), None);
    }
}
