//! What a Prometheus server answers (`/api/v1/query`, `/api/v1/query_range`). Pure.

use serde::Deserialize;

use crate::fleet::Answer;
use crate::text::printable;

/// Characters of foreign text that a reason quotes.
const QUOTE_CHARS: usize = 160;

/// One value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The server's wall clock.
    pub at_ms: i64,
    /// May be NaN or infinite: PromQL divides by zero.
    pub value: f64,
}

/// What a query came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points {
    /// Oldest first; empty where no series matches.
    pub points: Vec<Point>,
    /// What the server doubts about its own answer.
    pub warning: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Pair),
    Vector(Vec<Instant>),
    Matrix(Vec<Series>),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Instant {
    value: Option<Pair>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    values: Vec<Pair>,
}

/// Seconds, and the value as text.
#[derive(Deserialize)]
struct Pair(f64, String);

/// Reads an answer.
///
/// # Errors
/// Why it does not come to one series, in words.
pub fn read(answer: &Answer) -> Result<Points, String> {
    let envelope: Envelope = serde_json::from_slice(&answer.body).map_err(|_| {
        let (status, start) = (answer.status, answer.start());
        format!("not a Prometheus server's answer, but {status} and {start}")
    })?;
    if envelope.status != "success" {
        let error = printable(&envelope.error, QUOTE_CHARS);
        return Err(format!("the Prometheus server refuses the query: {error}"));
    }
    let pairs = match envelope.data {
        None => return Err("the Prometheus server's answer has no data".to_owned()),
        Some(Data::String(_)) => return Err("the query comes to a text, not a number".to_owned()),
        Some(Data::Scalar(pair)) => vec![pair],
        Some(Data::Vector(all)) => only(all)?
            .map(|one| {
                one.value
                    .ok_or("the query comes to a histogram, not a number")
            })
            .transpose()?
            .into_iter()
            .collect(),
        Some(Data::Matrix(all)) => only(all)?.map_or_else(Vec::new, |one| one.values),
    };
    let warning = envelope.warnings.first();
    Ok(Points {
        points: pairs.iter().map(Pair::point).collect::<Result<_, _>>()?,
        warning: warning.map(|w| format!("Prometheus warns: {}", printable(w, QUOTE_CHARS))),
    })
}

/// The one series, if there is one.
fn only<T>(mut all: Vec<T>) -> Result<Option<T>, String> {
    match all.len() {
        0 | 1 => Ok(all.pop()),
        n => Err(format!(
            "the query comes to {n} series, not to one number; sum() or max() makes one of them"
        )),
    }
}

impl Pair {
    fn point(&self) -> Result<Point, String> {
        let value = self.1.parse();
        Ok(Point {
            at_ms: (self.0 * 1_000.0).round() as i64,
            value: value.map_err(|_| "the answer holds a value that is no number".to_owned())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(body: &str) -> Result<Points, String> {
        read(&Answer {
            headers: Default::default(),
            status: 200,
            body: body.as_bytes().to_vec(),
            location: None,
            ms: 1.0,
        })
    }

    fn values(body: &str) -> Vec<f64> {
        let points = reading(body).expect("an answer").points;
        points.iter().map(|p| p.value).collect()
    }

    #[test]
    fn scalars_vectors_and_ranges_come_to_points() {
        let body = |data: &str| format!(r#"{{"status":"success","data":{data}}}"#);
        let scalar = body(r#"{"resultType":"scalar","result":[1.5,"3"]}"#);
        let read = reading(&scalar).expect("an answer");
        assert_eq!(read.points[0].at_ms, 1_500);
        assert_eq!(values(&scalar), [3.0]);
        let vector =
            body(r#"{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"0.5"]}]}"#);
        assert_eq!(values(&vector), [0.5]);
        let range = body(
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"+Inf"]]}]}"#,
        );
        assert_eq!(values(&range), [1.0, f64::INFINITY]);
        let none = body(r#"{"resultType":"vector","result":[]}"#);
        assert!(values(&none).is_empty());
    }

    #[test]
    fn what_does_not_come_to_one_number_says_why() {
        let why = |body: &str| reading(body).expect_err("no answer");
        assert!(why("<html>").contains("not a Prometheus server's answer"));
        let refused =
            r#"{"status":"error","errorType":"bad_data","error":"parse \u001b[2J error"}"#;
        assert!(why(refused).contains("refuses the query: parse"));
        assert!(!why(refused).contains('\u{1b}'));
        let two = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]},{"metric":{},"value":[1,"2"]}]}}"#;
        assert!(why(two).contains("2 series"));
        let text = r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#;
        assert!(why(text).contains("a text"));
        let word = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}"#;
        assert!(why(word).contains("no number"));
    }

    #[test]
    fn a_warning_goes_along() {
        let body = r#"{"status":"success","warnings":["a store is down"],"data":{"resultType":"scalar","result":[1,"1"]}}"#;
        let warning = reading(body).expect("an answer").warning;
        assert_eq!(
            warning.as_deref(),
            Some("Prometheus warns: a store is down")
        );
    }
}
