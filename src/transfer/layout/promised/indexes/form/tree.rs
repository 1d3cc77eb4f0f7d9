//! The words of an expression as a tree, by SQLite's rules of which operator binds first; the server writes so many brackets that they do for its text
//! as well. What both sides write in ways of their own is one tree: BETWEEN, `NOT IN`, the order of AND and OR, the side of a comparison.

/// An operator, a function or a word, with what it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    /// The operator, `fn` and a function's name, or a word by itself.
    pub head: String,
    /// Nothing for a word.
    pub of: Vec<Node>,
}

impl Node {
    pub fn new(head: impl Into<String>, of: Vec<Self>) -> Self {
        Self {
            head: head.into(),
            of,
        }
    }

    fn word(word: impl Into<String>) -> Self {
        Self::new(word, Vec::new())
    }

    /// A text that is the same for trees that are.
    pub fn written(&self) -> String {
        if self.of.is_empty() {
            return self.head.clone();
        }
        let of: Vec<String> = self.of.iter().map(Self::written).collect();
        format!("{}({})", self.head, of.join("; "))
    }
}

/// How strongly each operator of two sides binds, the weakest first.
const OPERATORS: [&[&str]; 8] = [
    &["or"],
    &["and"],
    &[
        "=", "<>", "is", "in", "like", "ilike", "!~~", "!~~*", "between", "not", "glob", "match",
        "regexp",
    ],
    &["<", "<=", ">", ">="],
    &["&", "|", "<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
    &["||", "->", "->>"],
];
/// The places of those that are of interest.
const NOT: usize = 2;
const COMPARED: usize = 3;

/// Words that are no names.
const KEYWORDS: [&str; 19] = [
    "or", "and", "not", "is", "in", "like", "ilike", "between", "case", "when", "then", "else",
    "end", "collate", "escape", "cast", "any", "all", "from",
];

/// The tree of these words; nothing where they are none that is understood.
pub(super) fn tree(words: &[String]) -> Option<Node> {
    let mut parser = Parser { words, at: 0 };
    let found = parser.expression(0)?;
    (parser.at == words.len()).then_some(found)
}

struct Parser<'w> {
    words: &'w [String],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &str {
        self.words.get(self.at).map_or("", String::as_str)
    }

    fn takes(&mut self, word: &str) -> bool {
        let is = self.at < self.words.len() && self.peek() == word;
        self.at += usize::from(is);
        is
    }

    fn wants(&mut self, word: &str) -> Option<()> {
        self.takes(word).then_some(())
    }

    /// An expression of operators that bind at least as strongly as this.
    fn expression(&mut self, least: usize) -> Option<Node> {
        let mut left = if self.peek() == "not" {
            self.at += 1;
            negated(self.expression(NOT)?)
        } else {
            self.operand()?
        };
        loop {
            let word = self.peek().to_owned();
            let level = OPERATORS
                .iter()
                .position(|level| level.contains(&word.as_str()));
            let Some(level) = level.filter(|level| *level >= least) else {
                return Some(left);
            };
            self.at += 1;
            left = self.behind(left, &word, level)?;
        }
    }

    /// What an operator makes of its left side and of what follows it.
    fn behind(&mut self, left: Node, word: &str, level: usize) -> Option<Node> {
        match word {
            "or" | "and" => Some(joined(word, left, self.expression(level + 1)?)),
            "not" => {
                let word = self.peek().to_owned();
                let takes_not = ["in", "like", "ilike", "between", "glob", "match", "regexp"];
                if word == "null" {
                    self.at += 1;
                    return Some(negated(Node::new("isnull", vec![left])));
                }
                if !takes_not.contains(&word.as_str()) {
                    return None;
                }
                self.at += 1;
                Some(negated(self.behind(left, &word, level)?))
            }
            "is" => self.is(left),
            "in" => {
                self.wants("(")?;
                let items = self.list(")")?;
                among(left, items)
            }
            "between" => {
                let low = self.expression(COMPARED)?;
                self.wants("and")?;
                let high = self.expression(COMPARED)?;
                let above = compared("<=", low, left.clone());
                Some(joined("and", above, compared("<=", left, high)))
            }
            "like" | "ilike" | "glob" | "match" | "regexp" => {
                let mut of = vec![left, self.expression(COMPARED)?];
                if self.takes("escape") {
                    of.push(self.expression(COMPARED)?);
                }
                Some(Node::new(word, of))
            }
            "!~~" | "!~~*" => {
                let like = if word == "!~~" { "like" } else { "ilike" };
                let of = vec![left, self.expression(COMPARED)?];
                Some(negated(Node::new(like, of)))
            }
            "=" | "<>" if ["any", "all"].contains(&self.peek()) => {
                let is_any = self.peek() == "any";
                self.at += 1;
                self.wants("(")?;
                let inside = self.list(")")?;
                let items = match inside.as_slice() {
                    [one] if one.head == "list" => one.of.clone(),
                    _ => inside,
                };
                match (word, is_any) {
                    ("=", true) => among(left, items),
                    ("<>", false) => Some(negated(among(left, items)?)),
                    (_, _) => None,
                }
            }
            "=" | "<>" | "<" | "<=" | ">" | ">=" => {
                let right = self.expression(level + 1)?;
                Some(compared(word, left, right))
            }
            _ => {
                let right = self.expression(level + 1)?;
                // A chain of these is the same from whichever end it is read.
                let mut of = match left.head == word && word == "||" {
                    true => left.of,
                    false => vec![left],
                };
                match right.head == word && word == "||" {
                    true => of.extend(right.of),
                    false => of.push(right),
                }
                Some(Node::new(word, of))
            }
        }
    }

    fn is(&mut self, left: Node) -> Option<Node> {
        let not = self.takes("not");
        if self.takes("distinct") {
            self.wants("from")?;
            let right = self.expression(COMPARED)?;
            let same = same(left, right);
            return Some(if not { same } else { negated(same) });
        }
        let right = self.expression(COMPARED)?;
        let same = same(left, right);
        Some(if not { negated(same) } else { same })
    }

    /// A value, with the collation behind it.
    fn operand(&mut self) -> Option<Node> {
        let mut found = self.value()?;
        while self.takes("collate") {
            let name = self.peek().to_owned();
            if name.is_empty() {
                return None;
            }
            self.at += 1;
            if name != "binary" {
                found = Node::new(format!("collate {name}"), vec![found]);
            }
        }
        Some(found)
    }

    fn value(&mut self) -> Option<Node> {
        let word = self.peek().to_owned();
        self.at += 1;
        match word.as_str() {
            "(" => {
                let mut items = self.list(")")?;
                match items.len() {
                    0 => None,
                    1 => items.pop(),
                    _ => Some(Node::new("list", items)),
                }
            }
            "-" | "+" | "~" => {
                let of = self.operand()?;
                let is_number = of.of.is_empty() && starts_with_a_digit(&of.head);
                Some(match word.as_str() {
                    "-" if is_number => Node::word(format!("-{}", of.head)),
                    "+" => of,
                    sign => Node::new(format!("{sign}1"), vec![of]),
                })
            }
            "case" => self.case(),
            word if starts_with_a_digit(word) => {
                let mut number = word.to_owned();
                if self.takes(".") {
                    number.push('.');
                    if starts_with_a_digit(self.peek()) {
                        number.push_str(self.peek());
                        self.at += 1;
                    }
                }
                Some(Node::word(number))
            }
            word if word.starts_with('\'') => Some(Node::word(word)),
            word if is_name(word) => {
                if !word.starts_with('"') && self.takes("(") {
                    let arguments = self.list(")")?;
                    return Some(call(word, arguments));
                }
                Some(Node::word(word))
            }
            _ => None,
        }
    }

    /// What stands between commas, up to this.
    fn list(&mut self, end: &str) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        if self.takes(end) {
            return Some(items);
        }
        loop {
            items.push(self.expression(0)?);
            if self.takes(end) {
                return Some(items);
            }
            self.wants(",")?;
        }
    }

    fn case(&mut self) -> Option<Node> {
        let mut of = Vec::new();
        let mut head = "case";
        if self.peek() != "when" {
            head = "case of";
            of.push(self.expression(0)?);
        }
        while self.takes("when") {
            of.push(self.expression(0)?);
            self.wants("then")?;
            of.push(self.expression(0)?);
        }
        of.push(match self.takes("else") {
            true => self.expression(0)?,
            false => Node::word("null"),
        });
        self.wants("end")?;
        Some(Node::new(head, of))
    }
}

fn starts_with_a_digit(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"')
        && !KEYWORDS.contains(&word)
}

/// A function of these.
pub(super) fn call(name: &str, mut arguments: Vec<Node>) -> Node {
    let name = match (name, arguments.len()) {
        ("ifnull", 2) => "coalesce",
        (name, _) => name,
    };
    // What is in small letters already.
    if name == "lower" && arguments.first().is_some_and(|one| one.head == "fn lower") {
        return arguments.remove(0);
    }
    Node::new(format!("fn {name}"), arguments)
}

fn negated(node: Node) -> Node {
    match node.head.as_str() {
        "not" => node.of.into_iter().next().unwrap_or_else(|| Node::word("")),
        "=" => Node::new("<>", node.of),
        "<>" => Node::new("=", node.of),
        // As the server writes NOT BETWEEN; what is neither true nor false stays so.
        "and" if node.of.iter().all(|part| part.head == "<=") => {
            let parts = node.of.into_iter().map(negated);
            parts
                .reduce(|one, other| joined("or", one, other))
                .unwrap_or_else(|| Node::word(""))
        }
        "<=" | "<" => {
            let head = if node.head == "<=" { "<" } else { "<=" };
            let of = node.of.into_iter().rev().collect();
            Node::new(head, of)
        }
        _ => Node::new("not", vec![node]),
    }
}

/// AND and OR with all that they are about, in an order of their own.
fn joined(word: &str, left: Node, right: Node) -> Node {
    let mut of = Vec::new();
    for node in [left, right] {
        match node.head == word {
            true => of.extend(node.of),
            false => of.push(node),
        }
    }
    of.sort();
    of.dedup();
    match of.len() {
        1 => of.remove(0),
        _ => Node::new(word, of),
    }
}

fn compared(word: &str, left: Node, right: Node) -> Node {
    match word {
        ">" => Node::new("<", vec![right, left]),
        ">=" => Node::new("<=", vec![right, left]),
        "<" | "<=" => Node::new(word, vec![left, right]),
        word => {
            let mut of = vec![left, right];
            of.sort();
            Node::new(word, of)
        }
    }
}

/// `IS`: the same, or both NULL.
fn same(left: Node, right: Node) -> Node {
    match right.head.as_str() {
        "null" => Node::new("isnull", vec![left]),
        _ => Node::new("is", vec![left, right]),
    }
}

/// One of these; where there is one alone, that.
fn among(left: Node, mut items: Vec<Node>) -> Option<Node> {
    items.sort();
    items.dedup();
    match items.len() {
        0 => None,
        1 => Some(compared("=", left, items.remove(0))),
        _ => {
            let mut of = vec![left];
            of.extend(items);
            Some(Node::new("in", of))
        }
    }
}
