//! A SQL script taken apart into statements, as `psql` would: at semicolons outside quotes, comments, parentheses and the bodies of
//! functions. Pure.
//!
//! Sent as one message instead, a script would run in one hidden transaction, could not hold `CREATE INDEX CONCURRENTLY`, and its
//! errors would have no line.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// From its first word to its semicolon, exclusive.
    pub text: &'a str,
    /// Of its first word, counted from 1.
    pub line: usize,
}

/// Why a script cannot be taken apart, or not be run by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    pub what: &'static str,
}

/// All statements of a script, in order.
pub fn split(script: &str) -> Result<Vec<Statement<'_>>, Problem> {
    // EF Core writes its scripts with a byte order mark.
    let script = script.strip_prefix('\u{feff}').unwrap_or(script);
    let mut splitter = Splitter {
        text: script,
        at: 0,
        line: 1,
        statements: Vec::new(),
        current: None,
    };
    while splitter.at < script.len() {
        splitter.step()?;
    }
    splitter.end_statement();
    Ok(splitter.statements)
}

struct Splitter<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    statements: Vec<Statement<'a>>,
    current: Option<Current>,
}

/// The statement being read.
struct Current {
    start: usize,
    line: usize,
    parentheses: usize,
    /// The first words, in capitals, as far as they are needed to recognise a routine.
    words: Vec<String>,
    /// How deep we are in `BEGIN ATOMIC … END`.
    blocks: usize,
    last_word: String,
}

impl Current {
    fn is_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["CREATE", "FUNCTION" | "PROCEDURE", ..]
                | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE", ..]
        )
    }

    fn word(&mut self, word: &str) -> Result<(), &'static str> {
        const NEEDED: usize = 4;
        let word = word.to_ascii_uppercase();
        if self.words.len() < NEEDED {
            self.words.push(word.clone());
        }
        if self.is_routine() && self.parentheses == 0 {
            match word.as_str() {
                "BEGIN" => self.blocks += 1,
                "CASE" if self.blocks > 0 => self.blocks += 1,
                "END" => self.blocks = self.blocks.saturating_sub(1),
                _ => {}
            }
        }
        let copies = self.words.first().is_some_and(|first| first == "COPY");
        if copies && self.parentheses == 0 && self.last_word == "FROM" && word == "STDIN" {
            return Err(
                "COPY … FROM STDIN needs rows in the script, which only psql reads; migrations load no rows here",
            );
        }
        self.last_word = word;
        Ok(())
    }
}

impl<'a> Splitter<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// One token.
    fn step(&mut self) -> Result<(), Problem> {
        let rest = self.rest();
        let first = rest.chars().next().expect("BUG: stepping past the end");
        let quote_open = |c: char| c == '\'' || c == '"';
        match first {
            c if c.is_whitespace() => self.advance(c.len_utf8()),
            '-' if rest.starts_with("--") => self.advance(rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => self.comment()?,
            ';' if self
                .current
                .as_ref()
                .is_none_or(|current| current.parentheses == 0 && current.blocks == 0) =>
            {
                self.end_statement();
                self.advance(1);
            }
            '\\' if self.current.is_none() => {
                return Err(self.problem("a psql command (`\\…`); only SQL is run here"));
            }
            c if quote_open(c) => {
                self.begin();
                self.quoted(0, false)?;
            }
            'e' | 'E' if rest[1..].starts_with('\'') => {
                self.begin();
                self.quoted(1, true)?;
            }
            '$' => {
                self.begin();
                self.dollar()?;
            }
            c if c.is_alphabetic() || c == '_' => self.word()?,
            c => {
                let current = self.begin();
                match c {
                    '(' => current.parentheses += 1,
                    ')' => current.parentheses = current.parentheses.saturating_sub(1),
                    _ => {}
                }
                // A number takes its letters along, so that no `$` inside it opens a quote.
                let length = if c.is_ascii_digit() {
                    word_length(rest)
                } else {
                    c.len_utf8()
                };
                self.advance(length);
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> &mut Current {
        let (start, line) = (self.at, self.line);
        self.current.get_or_insert_with(|| Current {
            start,
            line,
            parentheses: 0,
            words: Vec::new(),
            blocks: 0,
            last_word: String::new(),
        })
    }

    fn end_statement(&mut self) {
        if let Some(current) = self.current.take() {
            self.statements.push(Statement {
                text: self.text[current.start..self.at].trim_end(),
                line: current.line,
            });
        }
    }

    fn advance(&mut self, length: usize) {
        let passed = &self.text[self.at..self.at + length];
        self.line += passed.bytes().filter(|&byte| byte == b'\n').count();
        self.at += length;
    }

    fn word(&mut self) -> Result<(), Problem> {
        let length = word_length(self.rest());
        let word = &self.rest()[..length];
        let line = self.line;
        self.begin()
            .word(word)
            .map_err(|what| Problem { line, what })?;
        self.advance(length);
        Ok(())
    }

    /// A string or quoted name after `prefix` bytes. Doubled quotes need no care: they close one and open the next.
    fn quoted(&mut self, prefix: usize, backslashes: bool) -> Result<(), Problem> {
        let rest = &self.rest()[prefix..];
        let quote = rest.as_bytes()[0];
        let mut escaped = false;
        let close = rest.bytes().enumerate().skip(1).find(|&(_, byte)| {
            let closes = byte == quote && !escaped;
            escaped = backslashes && byte == b'\\' && !escaped;
            closes
        });
        match close {
            Some((at, _)) => {
                self.advance(prefix + at + 1);
                Ok(())
            }
            None => Err(self.problem("a quote that is not closed")),
        }
    }

    /// `$$ … $$`, `$tag$ … $tag$`, or just a dollar sign.
    fn dollar(&mut self) -> Result<(), Problem> {
        let rest = self.rest();
        let tag_length = rest[1..]
            .find('$')
            .filter(|&length| is_tag(&rest[1..=length]));
        let Some(tag_length) = tag_length else {
            self.advance(1);
            return Ok(());
        };
        let delimiter = &rest[..tag_length + 2];
        match rest[delimiter.len()..].find(delimiter) {
            Some(body) => {
                self.advance(body + 2 * delimiter.len());
                Ok(())
            }
            None => Err(self.problem("a dollar quote that is not closed")),
        }
    }

    /// Comments nest.
    fn comment(&mut self) -> Result<(), Problem> {
        let rest = self.rest();
        let (mut depth, mut at) = (0, 0);
        while at < rest.len() {
            let here = &rest.as_bytes()[at..];
            if here.starts_with(b"/*") {
                depth += 1;
                at += 2;
            } else if here.starts_with(b"*/") {
                depth -= 1;
                at += 2;
            } else {
                at += 1;
            }
            if depth == 0 {
                self.advance(at);
                return Ok(());
            }
        }
        Err(self.problem("a comment that is not closed"))
    }

    fn problem(&self, what: &'static str) -> Problem {
        Problem {
            line: self.line,
            what,
        }
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .unwrap_or(text.len())
}

fn is_tag(tag: &str) -> bool {
    tag.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !tag.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<&str> {
        split(script)
            .unwrap()
            .into_iter()
            .map(|statement| statement.text)
            .collect()
    }

    #[test]
    fn an_ef_core_script() {
        let script = "\u{feff}CREATE TABLE IF NOT EXISTS \"__EFMigrationsHistory\" (a text);\r\n\r\nSTART TRANSACTION;\r\n\
            DO $EF$\r\nBEGIN\r\n IF NOT EXISTS(SELECT 1) THEN\r\n CREATE TABLE \"a;b\" (x int);\r\n END IF;\r\nEND $EF$;\r\nCOMMIT;\r\n\r\n";
        let statements = split(script).unwrap();
        assert_eq!(
            statements.iter().map(|s| s.line).collect::<Vec<_>>(),
            [1, 3, 4, 10]
        );
        assert!(
            statements[2].text.starts_with("DO $EF$") && statements[2].text.ends_with("END $EF$")
        );
        assert_eq!(statements[3].text, "COMMIT");
    }

    #[test]
    fn semicolons_that_end_nothing() {
        for script in [
            "SELECT ';'",
            "SELECT 'it''s;'",
            r"SELECT E'\';'",
            "SELECT \"a;\"\"b\"",
            "SELECT $$;$$, $a$ $$;$$ $a$",
            "SELECT 1 -- ; \n",
            "SELECT /* ; /* ; */ ; */ 1",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
            "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
            "SELECT name$1 FROM t$x",
        ] {
            assert_eq!(texts(&format!("{script};\nSELECT 2")).len(), 2, "{script}");
        }
        assert_eq!(texts("; ;\n-- nothing\n;"), Vec::<&str>::new());
    }

    #[test]
    fn begin_outside_a_routine_is_a_statement() {
        assert_eq!(texts("BEGIN; SELECT 1; END;"), ["BEGIN", "SELECT 1", "END"]);
    }

    #[test]
    fn what_cannot_be_run_is_named_by_line() {
        for (script, line) in [
            ("SELECT 1;\n\\connect x", 2),
            ("COPY t (a) FROM stdin;\n1\n\\.\n", 1),
            ("\nSELECT 'a", 2),
            ("SELECT $x$ a $y$", 1),
            ("/* a", 1),
        ] {
            assert_eq!(split(script).unwrap_err().line, line, "{script}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_never_loses_a_statement(script in "[a-zE;'\"$/*\\-\\\\() \n\u{e9}]{0,40}") {
            if let Ok(statements) = split(&script) {
                for statement in statements {
                    proptest::prop_assert!(script.contains(statement.text) && !statement.text.is_empty());
                }
            }
        }
    }
}
