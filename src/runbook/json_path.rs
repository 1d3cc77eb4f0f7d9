//! Places in a JSON document that a comparison passes over: `$.generated_at`, `$.items[*].seen`, `$..etag`, `$["a key"]`. Pure. Not in
//! here: comparing (`fleet::compare`).

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonStep {
    /// A member of an object.
    Key(String),
    /// An element of an array, from 0.
    Index(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Exactly(JsonStep),
    /// `*`: every member, every element.
    Any,
    /// `..`: nothing, or any number of steps.
    Deep,
}

/// A pattern over places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    segments: Vec<Segment>,
}

impl JsonPath {
    /// Reads `$`, then `.key`, `..key`, `[0]`, `[*]`, `.*` or `["key"]`.
    ///
    /// # Errors
    /// The first character, from 0, that cannot stand where it does.
    pub fn parse(text: &str) -> Result<JsonPath, usize> {
        let mut rest = text.strip_prefix('$').ok_or(0_usize)?;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            if let Some(after) = rest.strip_prefix("..") {
                segments.push(Segment::Deep);
                rest = after;
                if !rest.starts_with('[') {
                    rest = named(rest, &mut segments).ok_or(at + 2)?;
                }
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = named(after, &mut segments).ok_or(at + 1)?;
            } else {
                let inner = rest.strip_prefix('[').ok_or(at)?;
                rest = bracketed(inner, &mut segments).ok_or(at + 1)?;
            }
        }
        match segments.is_empty() {
            true => Err(text.len()),
            false => Ok(JsonPath { segments }),
        }
    }

    /// Whether the pattern names this place.
    pub fn covers(&self, place: &[JsonStep]) -> bool {
        matches(&self.segments, place)
    }
}

/// `key` or `*`, up to the next step.
fn named<'t>(text: &'t str, segments: &mut Vec<Segment>) -> Option<&'t str> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match name {
        "" => return None,
        "*" => segments.push(Segment::Any),
        key => segments.push(Segment::Exactly(JsonStep::Key(key.to_owned()))),
    }
    Some(rest)
}

/// `*]`, `0]`, `"key"]` or `'key']`.
fn bracketed<'t>(text: &'t str, segments: &mut Vec<Segment>) -> Option<&'t str> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (key, rest) = text[1..].split_once(quote)?;
        segments.push(Segment::Exactly(JsonStep::Key(key.to_owned())));
        return rest.strip_prefix(']');
    }
    let (inner, rest) = text.split_once(']')?;
    segments.push(match inner {
        "*" => Segment::Any,
        index => Segment::Exactly(JsonStep::Index(index.parse().ok()?)),
    });
    Some(rest)
}

fn matches(segments: &[Segment], place: &[JsonStep]) -> bool {
    match (segments.split_first(), place.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((Segment::Deep, others)), _) => {
            (0..=place.len()).any(|n| matches(others, &place[n..]))
        }
        (Some((Segment::Any, others)), Some((_, rest))) => matches(others, rest),
        (Some((Segment::Exactly(wanted), others)), Some((step, rest))) => {
            wanted == step && matches(others, rest)
        }
        (Some((Segment::Any | Segment::Exactly(_), _)), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> JsonStep {
        JsonStep::Key(text.to_owned())
    }

    #[test]
    fn a_pattern_names_its_places_and_no_others() {
        let covers = |pattern: &str, place: &[JsonStep]| {
            JsonPath::parse(pattern).expect(pattern).covers(place)
        };
        assert!(covers("$.a", &[key("a")]));
        assert!(!covers("$.a", &[key("a"), key("b")]));
        assert!(!covers("$.a", &[]));
        assert!(covers(
            "$.items[*].seen",
            &[key("items"), JsonStep::Index(3), key("seen")]
        ));
        assert!(!covers(
            "$.items[2].seen",
            &[key("items"), JsonStep::Index(3), key("seen")]
        ));
        assert!(covers("$..etag", &[key("etag")]));
        assert!(covers(
            "$..etag",
            &[key("a"), JsonStep::Index(0), key("etag")]
        ));
        assert!(!covers("$..etag", &[key("etag"), key("a")]));
        assert!(covers("$..[0]", &[key("a"), JsonStep::Index(0)]));
        assert!(covers("$[\"a.b\"].*", &[key("a.b"), key("c")]));
        assert!(covers("$['x']", &[key("x")]));
    }

    #[test]
    fn what_is_no_pattern_is_told_by_its_place() {
        for (text, at) in [
            ("", 0),
            ("a", 0),
            ("$", 1),
            ("$a", 1),
            ("$.", 2),
            ("$..", 3),
            ("$[x]", 2),
            ("$.a[1", 4),
        ] {
            assert_eq!(JsonPath::parse(text), Err(at), "{text}");
        }
    }
}
