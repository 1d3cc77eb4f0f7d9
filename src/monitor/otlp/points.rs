//! From OpenTelemetry's metrics to series under the names that its Prometheus exporter would give them, so that the same table of names
//! (`metrics::families`) and `map` hold for both: dots become `_`, a unit of `s` or `ms` and `_total` stand at the end. Pure.
//!
//! Not in here: what series come to over time (`accounts`).

use super::messages::{
    CUMULATIVE, DELTA, ExponentialPoint, HistogramPoint, KeyValue, Metric, NumberPoint,
};
use crate::text::printable;

/// Characters of a label's value that are kept.
const VALUE_CHARS: usize = 200;
/// Characters of a foreign name in a message.
const NAME_CHARS: usize = 80;

/// Buckets of an exponential histogram are counted in steps of a quarter of an octave: those of any finer scale lie within them. From
/// 1/1024 to 16384: of seconds and of milliseconds that is more than an answer may take.
const STEPS_PER_OCTAVE: i32 = 4;
const FIRST_STEP: i32 = -10 * STEPS_PER_OCTAVE;
const LAST_STEP: i32 = 14 * STEPS_PER_OCTAVE;

/// One series at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// A histogram's without `_bucket`.
    pub name: String,
    /// As they stand between the braces of a page, in the order of their names.
    pub labels: String,
    /// When counting began; 0 where that is not said.
    pub start_ns: u64,
    /// When it was so; 0 where that is not said.
    pub time_ns: u64,
    pub told: Told,
}

/// What a point says.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It is so now.
    Now(f64),
    /// It has grown, or shrunk, by so much since the point before.
    Changed(f64),
    /// A counter or a histogram.
    Counted(Counted),
}

/// Counts of a counter, which has one and no bounds, or of a histogram, which has one more than bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Since the point before, and not since the beginning.
    pub is_delta: bool,
    /// Whether it is a histogram.
    pub is_histogram: bool,
    /// Upper bounds, rising.
    pub bounds: Vec<f64>,
    /// Of each bucket by itself.
    pub counts: Vec<f64>,
}

/// The points of one metric, and what could not be taken.
#[derive(Debug, Default, PartialEq)]
pub struct Points {
    pub taken: Vec<Point>,
    /// How many could not be.
    pub rejected: i64,
    /// Why the last of them could not be.
    pub why: Option<String>,
}

/// The points of a metric. One whose series nobody reads has none, and that is no fault.
pub fn of(metric: &Metric, is_read: &dyn Fn(&str) -> bool) -> Points {
    let mut points = Points::default();
    if metric.name.is_empty() {
        points.rejected = metric.points() as i64;
        points.why = Some("a metric has no name".to_owned());
        return points;
    }
    let base = base_name(&metric.name, &metric.unit);
    if let Some(gauge) = metric.gauge.as_ref().filter(|_| is_read(&base)) {
        for point in &gauge.data_points {
            points.number(&base, point, |value| Ok(Told::Now(value)));
        }
    }
    if let Some(sum) = &metric.sum {
        let name = match sum.is_monotonic && !base.ends_with("_total") {
            true => format!("{base}_total"),
            false => base.clone(),
        };
        if is_read(&name) {
            let delta = is_delta(sum.aggregation_temporality);
            for point in &sum.data_points {
                points.number(&name, point, |value| {
                    summed(value, delta?, sum.is_monotonic)
                });
            }
        }
    }
    let is_histogram_read = is_read(&format!("{base}_bucket")) || is_read(&format!("{base}_count"));
    if let Some(histogram) = metric.histogram.as_ref().filter(|_| is_histogram_read) {
        let delta = is_delta(histogram.aggregation_temporality);
        for point in &histogram.data_points {
            let counted = delta.and_then(|delta| with_bounds(point, delta));
            let times = (point.start_time_unix_nano, point.time_unix_nano);
            points.put(&base, &point.attributes, times, counted.map(Told::Counted));
        }
    }
    let exponential = metric.exponential_histogram.as_ref();
    if let Some(histogram) = exponential.filter(|_| is_histogram_read) {
        let delta = is_delta(histogram.aggregation_temporality);
        for point in &histogram.data_points {
            let counted = delta.and_then(|delta| by_steps(point, delta));
            let times = (point.start_time_unix_nano, point.time_unix_nano);
            points.put(&base, &point.attributes, times, counted.map(Told::Counted));
        }
    }
    points
}

impl Points {
    fn number(
        &mut self,
        name: &str,
        point: &NumberPoint,
        told: impl Fn(f64) -> Result<Told, &'static str>,
    ) {
        let value = point.as_double.or(point.as_int.map(|value| value as f64));
        let value = value.filter(|value| value.is_finite());
        let told = value.ok_or("it has no finite number").and_then(told);
        let times = (point.start_time_unix_nano, point.time_unix_nano);
        self.put(name, &point.attributes, times, told);
    }

    fn put(
        &mut self,
        name: &str,
        attributes: &[KeyValue],
        (start_ns, time_ns): (u64, u64),
        told: Result<Told, &'static str>,
    ) {
        match told {
            Ok(told) => self.taken.push(Point {
                name: name.to_owned(),
                labels: labels(attributes),
                start_ns,
                time_ns,
                told,
            }),
            Err(why) => {
                self.rejected += 1;
                self.why = Some(format!(
                    "a point of {} was not taken: {why}",
                    printable(name, NAME_CHARS)
                ));
            }
        }
    }
}

fn is_delta(temporality: i32) -> Result<bool, &'static str> {
    match temporality {
        DELTA => Ok(true),
        CUMULATIVE => Ok(false),
        _ => Err("it does not say whether it counts since the beginning or since the point before"),
    }
}

fn summed(value: f64, is_delta: bool, is_monotonic: bool) -> Result<Told, &'static str> {
    match (is_monotonic, is_delta) {
        (true, _) if value < 0.0 => Err("a counter is below 0"),
        (true, is_delta) => Ok(Told::Counted(Counted {
            is_delta,
            is_histogram: false,
            bounds: Vec::new(),
            counts: vec![value],
        })),
        (false, true) => Ok(Told::Changed(value)),
        (false, false) => Ok(Told::Now(value)),
    }
}

fn with_bounds(point: &HistogramPoint, is_delta: bool) -> Result<Counted, &'static str> {
    let bounds = point.explicit_bounds.clone();
    let counts: Vec<f64> = match point.bucket_counts.as_slice() {
        [] => vec![point.count as f64],
        counts => counts.iter().map(|count| *count as f64).collect(),
    };
    if counts.len() != bounds.len() + 1 {
        return Err("a histogram has one bucket more than it has bounds");
    }
    let rise = bounds.is_sorted_by(|one, other| one < other);
    if !rise || bounds.iter().any(|bound| !bound.is_finite()) {
        return Err("the bounds of a histogram are finite and rise");
    }
    Ok(Counted {
        is_delta,
        is_histogram: true,
        bounds,
        counts,
    })
}

fn by_steps(point: &ExponentialPoint, is_delta: bool) -> Result<Counted, &'static str> {
    let bounds: Vec<f64> = (FIRST_STEP..=LAST_STEP)
        .map(|step| 2_f64.powf(f64::from(step) / f64::from(STEPS_PER_OCTAVE)))
        .collect();
    let mut counts = vec![0.0; bounds.len() + 1];
    let positive = point.positive.clone().unwrap_or_default();
    let mut above_zero = 0.0;
    let per_bucket = f64::from(STEPS_PER_OCTAVE) * 2_f64.powi(-point.scale.clamp(-20, 20));
    for (n, count) in positive.bucket_counts.iter().enumerate() {
        // The upper bound of the bucket, in steps.
        let end = (f64::from(positive.offset) + n as f64 + 1.0) * per_bucket;
        let place = (end.ceil() - f64::from(FIRST_STEP)).clamp(0.0, bounds.len() as f64);
        counts[place as usize] += *count as f64;
        above_zero += *count as f64;
    }
    let rest = point.count as f64 - above_zero;
    if rest < 0.0 {
        return Err("a histogram's buckets hold more than it says that there is");
    }
    // 0, and what is as good as that.
    counts[0] += rest;
    Ok(Counted {
        is_delta,
        is_histogram: true,
        bounds,
        counts,
    })
}

/// As the Prometheus exporter has it; other units than those of durations are left out.
fn base_name(name: &str, unit: &str) -> String {
    let name = spelled(name, "_");
    let suffix = match unit {
        "s" => "_seconds",
        "ms" => "_milliseconds",
        _ => "",
    };
    match name.ends_with(suffix) {
        true => name,
        false => name + suffix,
    }
}

/// A name of letters, digits and `_` that does not begin with a digit.
fn spelled(name: &str, before_digit: &str) -> String {
    let of_name = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(of_name).collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => before_digit.to_owned() + &name,
        false => name,
    }
}

/// `a="1",b="2"`. An attribute without a name is left out.
fn labels(attributes: &[KeyValue]) -> String {
    let mut pairs: Vec<(String, String)> = attributes
        .iter()
        .filter(|attribute| !attribute.key.is_empty())
        .filter_map(|attribute| {
            let value = attribute.value.as_ref()?.text()?;
            Some((
                spelled(&attribute.key, "key_"),
                printable(&value, VALUE_CHARS),
            ))
        })
        .collect();
    pairs.sort();
    pairs.dedup_by(|one, other| one.0 == other.0);
    let pair = |(key, value): (String, String)| {
        format!(
            "{key}=\"{}\"",
            value.replace('\\', "\\\\").replace('"', "\\\"")
        )
    };
    pairs.into_iter().map(pair).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::messages::{AnyValue, Buckets, Gauge};
    use super::*;

    #[test]
    fn names_are_those_of_the_prometheus_exporter() {
        for (name, unit, expected) in [
            (
                "http.server.request.duration",
                "s",
                "http_server_request_duration_seconds",
            ),
            (
                "http.server.duration",
                "ms",
                "http_server_duration_milliseconds",
            ),
            (
                "db.client.connection.count",
                "{connection}",
                "db_client_connection_count",
            ),
            (
                "process_start_time_seconds",
                "s",
                "process_start_time_seconds",
            ),
            ("5xx.answers", "", "_5xx_answers"),
        ] {
            assert_eq!(base_name(name, unit), expected);
        }
    }

    #[test]
    fn a_metric_without_a_name_is_refused_with_all_its_points() {
        let gauge = Gauge {
            data_points: vec![NumberPoint::default(); 3],
        };
        let metric = Metric {
            gauge: Some(gauge),
            ..Metric::default()
        };
        let points = of(&metric, &|_| true);
        assert_eq!((points.taken.len(), points.rejected), (0, 3));
        assert_eq!(points.why.as_deref(), Some("a metric has no name"));
    }

    #[test]
    fn labels_are_in_order_and_stay_within_their_quotes() {
        let of = |key: &str, value: AnyValue| KeyValue {
            key: key.to_owned(),
            value: Some(value),
        };
        let text = AnyValue {
            string_value: Some("a\"\\\n".to_owned()),
            ..AnyValue::default()
        };
        let number = AnyValue {
            int_value: Some(500),
            ..AnyValue::default()
        };
        let attributes = [
            of("http.route", text),
            of("http.response.status_code", number.clone()),
            of("of.a.list", AnyValue::default()),
            of("", number.clone()),
            of("5xx", number),
        ];
        let labels = labels(&attributes);
        assert!(labels.ends_with(",key_5xx=\"500\""), "{labels}");
        assert!(
            labels.starts_with("http_response_status_code=\"500\",http_route=\"a\\\"\\\\"),
            "{labels}"
        );
        assert!(!labels.contains('\n'), "{labels}");
    }

    #[test]
    fn buckets_of_any_scale_lie_within_steps() {
        let point = |scale, offset, counts: &[u64]| ExponentialPoint {
            scale,
            count: counts.iter().sum::<u64>() + 1,
            zero_count: 1,
            positive: Some(Buckets {
                offset,
                bucket_counts: counts.to_vec(),
            }),
            ..ExponentialPoint::default()
        };
        // At scale 0 a bucket is an octave: (1, 2] and (2, 4].
        let counted = by_steps(&point(0, 0, &[3, 5]), false).expect("a histogram");
        let at = |bound: f64| {
            let place = counted.bounds.iter().position(|b| (b - bound).abs() < 1e-9);
            counted.counts[place.expect("a bound")]
        };
        assert_eq!((at(2.0), at(4.0), counted.counts[0]), (3.0, 5.0, 1.0));
        // At scale 20 many buckets are one step; far beyond the last bound is beyond the last bound.
        let fine = by_steps(&point(20, 0, &[1, 1, 1]), false).expect("a histogram");
        assert_eq!(fine.counts.iter().filter(|n| **n > 0.0).count(), 2);
        let far = by_steps(&point(-10, 1_000, &[7]), false).expect("a histogram");
        assert_eq!(far.counts.last(), Some(&7.0));
        let lying = ExponentialPoint {
            count: 1,
            ..point(0, 0, &[3])
        };
        assert!(by_steps(&lying, false).is_err());
    }
}
