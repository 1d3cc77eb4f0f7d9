//! Whether two bodies say the same: byte for byte, or as JSON, where neither the order of keys nor the spelling of a number counts. Pure.
//! Not in here: asking, and status and text of an answer (`request`).

use super::request::Mismatch;
use crate::parity::json::{Json, NotJson, parse};
use crate::runbook::{CompareBody, JsonComparison, JsonStep};
use crate::text::printable;

/// Characters of a value that a message quotes.
const VALUE_CHARS: usize = 60;
/// Characters of a place.
const PLACE_CHARS: usize = 120;

/// Compares a body with the recorded one, as the request asks for.
pub(super) fn bodies(how: &CompareBody, body: &[u8], recorded: &[u8]) -> Result<(), Mismatch> {
    match how {
        CompareBody::No => Ok(()),
        CompareBody::Bytes => bytes(body, recorded),
        CompareBody::Json(how) => json(how, body, recorded),
    }
}

fn bytes(body: &[u8], recorded: &[u8]) -> Result<(), Mismatch> {
    if body == recorded {
        return Ok(());
    }
    let pairs = body.iter().zip(recorded);
    let at = pairs.take_while(|(a, b)| a == b).count();
    Err(Mismatch::Body {
        at,
        length: body.len(),
        recorded_length: recorded.len(),
        here: around(body, at),
        recorded: around(recorded, at),
    })
}

/// Some bytes from a place on, made harmless.
fn around(bytes: &[u8], at: usize) -> String {
    match &bytes[at..bytes.len().min(at + 60)] {
        [] => "nothing".to_owned(),
        some => format!("`{}`", printable(&String::from_utf8_lossy(some), 40)),
    }
}

fn json(how: &JsonComparison, body: &[u8], recorded: &[u8]) -> Result<(), Mismatch> {
    let here = read(body).map_err(|why| Mismatch::NotJson {
        whose: "the answer",
        why,
    })?;
    let recorded = read(recorded).map_err(|why| Mismatch::NotJson {
        whose: "the recorded answer",
        why,
    })?;
    Comparison {
        how,
        place: Vec::new(),
    }
    .values(&here, &recorded)
}

fn read(body: &[u8]) -> Result<Json, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8")?;
    parse(text).map_err(|why| match why {
        NotJson::Syntax => "it is not JSON",
        NotJson::DuplicateKey => "a key stands twice in one object",
        NotJson::Character => "it has half a surrogate pair, or the character U+0000",
        NotJson::TooDeep => "it is nested too deep",
    })
}

struct Comparison<'a> {
    how: &'a JsonComparison,
    place: Vec<JsonStep>,
}

impl Comparison<'_> {
    fn values(&mut self, here: &Json, recorded: &Json) -> Result<(), Mismatch> {
        if self.how.ignore.iter().any(|path| path.covers(&self.place)) {
            return Ok(());
        }
        if let (Json::Object(here), Json::Object(recorded)) = (here, recorded) {
            let added = here.keys().filter(|key| !recorded.contains_key(*key));
            return recorded.keys().chain(added).try_for_each(|key| {
                self.within(JsonStep::Key(key.clone()), here.get(key), recorded.get(key))
            });
        }
        if let (Json::Array(here), Json::Array(recorded)) = (here, recorded) {
            return (0..here.len().max(recorded.len()))
                .try_for_each(|n| self.within(JsonStep::Index(n), here.get(n), recorded.get(n)));
        }
        let same = match (here, recorded) {
            (Json::Number(a, here), Json::Number(b, recorded)) => {
                a == b || self.tolerates(here, recorded)
            }
            (here, recorded) => here == recorded,
        };
        if same {
            Ok(())
        } else {
            Err(self.differs(Some(here), Some(recorded)))
        }
    }

    fn within(
        &mut self,
        step: JsonStep,
        here: Option<&Json>,
        recorded: Option<&Json>,
    ) -> Result<(), Mismatch> {
        self.place.push(step);
        match (here, recorded) {
            (Some(here), Some(recorded)) => self.values(here, recorded)?,
            (here, recorded) if !self.how.ignore.iter().any(|path| path.covers(&self.place)) => {
                return Err(self.differs(here, recorded));
            }
            (_, _) => {}
        }
        self.place.pop();
        Ok(())
    }

    /// Whether two numbers are as near to each other as the runbook allows. Whole numbers are never near.
    fn tolerates(&self, here: &str, recorded: &str) -> bool {
        let is_whole = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let (Some(tolerance), false) = (self.how.tolerance, is_whole(here) && is_whole(recorded))
        else {
            return false;
        };
        match (here.parse::<f64>(), recorded.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() <= tolerance,
            (_, _) => false,
        }
    }

    fn differs(&self, here: Option<&Json>, recorded: Option<&Json>) -> Mismatch {
        Mismatch::Json {
            place: shown(&self.place),
            here: said(here),
            recorded: said(recorded),
        }
    }
}

/// `$.items[3].price`.
fn shown(place: &[JsonStep]) -> String {
    let plain =
        |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut out = "$".to_owned();
    for step in place {
        match step {
            JsonStep::Key(key) if plain(key) => out.push_str(&format!(".{key}")),
            JsonStep::Key(key) => out.push_str(&format!("[{key:?}]")),
            JsonStep::Index(n) => out.push_str(&format!("[{n}]")),
        }
    }
    printable(&out, PLACE_CHARS)
}

fn said(value: Option<&Json>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Json::Null) => "null".to_owned(),
        Some(Json::Bool(value)) => value.to_string(),
        Some(Json::Number(_, text)) => printable(text, VALUE_CHARS),
        Some(Json::String(text)) => format!("\"{}\"", printable(text, VALUE_CHARS)),
        Some(Json::Array(items)) => format!("an array of {}", items.len()),
        Some(Json::Object(members)) => format!("an object of {} keys", members.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::JsonPath;

    fn compared(how: &JsonComparison, here: &str, recorded: &str) -> Result<(), String> {
        let how = CompareBody::Json(how.clone());
        bodies(&how, here.as_bytes(), recorded.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn keys_come_in_any_order_and_numbers_count_by_value() {
        let how = JsonComparison::default();
        let same = |a: &str, b: &str| assert_eq!(compared(&how, a, b), Ok(()), "{a} {b}");
        same(
            r#"{"a":1,"b":[1.50,"x"]}"#,
            r#"{ "b": [1.5, "\u0078"], "a": 1.0 }"#,
        );
        same("12345678901234567890123", "12345678901234567890123.0");
        let differs = |a: &str, b: &str, words: &str| {
            let said = compared(&how, a, b).expect_err(a);
            assert!(said.contains(words), "{said}");
        };
        differs(
            "12345678901234567890123",
            "12345678901234567890124",
            "$ is 12345678901234567890123 instead of",
        );
        differs(
            r#"{"a":[1,{"b":"x"}]}"#,
            r#"{"a":[1,{"b":"y"}]}"#,
            r#"$.a[1].b is "x" instead of "y""#,
        );
        differs("[1,2]", "[2,1]", "$[0] is 1 instead of 2");
        differs("[1]", "[1,2]", "$[1] is nothing instead of 2");
        differs(
            r#"{"a":1,"b":null}"#,
            r#"{"a":1}"#,
            "$.b is null instead of nothing",
        );
        differs(r#"{"a":"1"}"#, r#"{"a":1}"#, r#"$.a is "1" instead of 1"#);
        differs(
            "<html>",
            "{}",
            "the answer is to be compared as JSON, but it is not JSON",
        );
        differs(r#"{"a":1,"a":2}"#, "{}", "a key stands twice");
        differs(
            r#"{"a b":1}"#,
            r#"{"a b":{}}"#,
            r#"$["a b"] is 1 instead of an object of 0 keys"#,
        );
    }

    #[test]
    fn what_is_ignored_and_what_is_near_is_no_difference() {
        let path = |text: &str| JsonPath::parse(text).expect(text);
        let how = JsonComparison {
            ignore: vec![path("$.at"), path("$.items[*].seen")],
            tolerance: Some(0.01),
        };
        let here = r#"{"at":"now","items":[{"seen":1,"price":1.009}]}"#;
        assert_eq!(
            compared(&how, here, r#"{"items":[{"seen":2,"price":1.0}]}"#),
            Ok(())
        );
        assert!(compared(&how, here, r#"{"items":[{"price":0.9}]}"#).is_err());
        let whole = JsonComparison {
            ignore: Vec::new(),
            tolerance: Some(5.0),
        };
        assert!(compared(&whole, "1", "2").is_err());
        assert_eq!(compared(&whole, "1.0", "2.5"), Ok(()));
    }
}
