//! The messages of OpenTelemetry's protocol (OTLP 1.x), as far as they matter here: metrics and logs, in protobuf and in JSON. Fields that
//! are not here are passed over. A `oneof` stands as optional fields with its numbers: on the wire it is the same.
//!
//! Not in here: bodies and their compression (`decode`), and what the figures mean (`points`).

use prost::Message;
use serde::Deserialize;

use super::lenient;

/// What an application exports to `/v1/metrics`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExportMetrics {
    /// One for each reporter.
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

/// What one reporter says.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// By the library that measured.
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

/// Who reports.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// `service.instance.id` and others.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// What one library measured.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScopeMetrics {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

/// A library that measures.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// A metric; one of its kinds of data is there.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    /// `http.server.request.duration`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// `s`.
    #[prost(string, tag = "3")]
    pub unit: String,
    #[prost(message, optional, tag = "5")]
    pub gauge: Option<Gauge>,
    #[prost(message, optional, tag = "7")]
    pub sum: Option<Sum>,
    /// Durations by buckets with bounds.
    #[prost(message, optional, tag = "9")]
    pub histogram: Option<Histogram>,
    /// Durations by buckets that grow by a factor.
    #[prost(message, optional, tag = "10")]
    pub exponential_histogram: Option<ExponentialHistogram>,
}

impl Metric {
    /// How many points it has, of whatever kind.
    pub fn points(&self) -> usize {
        let exponential = self.exponential_histogram.as_ref();
        self.gauge.as_ref().map_or(0, |kind| kind.data_points.len())
            + self.sum.as_ref().map_or(0, |kind| kind.data_points.len())
            + self
                .histogram
                .as_ref()
                .map_or(0, |kind| kind.data_points.len())
            + exponential.map_or(0, |kind| kind.data_points.len())
    }
}

/// What is now.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gauge {
    /// One for each set of attributes.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberPoint>,
}

/// What adds up.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sum {
    /// One for each set of attributes.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberPoint>,
    /// See [`DELTA`] and [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    #[serde(deserialize_with = "lenient::temporality")]
    pub aggregation_temporality: i32,
    /// Whether it never goes down.
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

/// Each point is what was counted since the one before it.
pub const DELTA: i32 = 1;
/// Each point is what was counted since the beginning.
pub const CUMULATIVE: i32 = 2;

/// Durations by buckets with bounds.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Histogram {
    /// One for each set of attributes.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<HistogramPoint>,
    /// See [`DELTA`] and [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    #[serde(deserialize_with = "lenient::temporality")]
    pub aggregation_temporality: i32,
}

/// Durations by buckets that grow by a factor.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialHistogram {
    /// One for each set of attributes.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<ExponentialPoint>,
    /// See [`DELTA`] and [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    #[serde(deserialize_with = "lenient::temporality")]
    pub aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NumberPoint {
    /// Route, status and the like.
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
    /// When counting began; 0 where that is not said.
    #[prost(fixed64, tag = "2")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub start_time_unix_nano: u64,
    /// When it was so.
    #[prost(fixed64, tag = "3")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub time_unix_nano: u64,
    /// The number, where it is a fraction.
    #[prost(double, optional, tag = "4")]
    #[serde(deserialize_with = "lenient::optional_float")]
    pub as_double: Option<f64>,
    /// The number, where it is whole.
    #[prost(sfixed64, optional, tag = "6")]
    #[serde(deserialize_with = "lenient::optional_signed")]
    pub as_int: Option<i64>,
}

/// A histogram with bounds.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistogramPoint {
    /// Route, status and the like.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// When counting began; 0 where that is not said.
    #[prost(fixed64, tag = "2")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub start_time_unix_nano: u64,
    /// When it was so.
    #[prost(fixed64, tag = "3")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub time_unix_nano: u64,
    /// Of all buckets.
    #[prost(fixed64, tag = "4")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub count: u64,
    /// One more than there are bounds; none where buckets are not told.
    #[prost(fixed64, repeated, tag = "6")]
    #[serde(deserialize_with = "lenient::unsigned_list")]
    pub bucket_counts: Vec<u64>,
    /// Upper bounds, inclusive, rising.
    #[prost(double, repeated, tag = "7")]
    pub explicit_bounds: Vec<f64>,
}

/// A histogram whose buckets grow by a factor of two to the power of two to the power of minus `scale`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialPoint {
    /// Route, status and the like.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
    /// When counting began; 0 where that is not said.
    #[prost(fixed64, tag = "2")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub start_time_unix_nano: u64,
    /// When it was so.
    #[prost(fixed64, tag = "3")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub time_unix_nano: u64,
    /// Of all buckets.
    #[prost(fixed64, tag = "4")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub count: u64,
    /// The greater, the finer.
    #[prost(sint32, tag = "6")]
    pub scale: i32,
    /// Values that are as good as 0.
    #[prost(fixed64, tag = "7")]
    #[serde(deserialize_with = "lenient::unsigned")]
    pub zero_count: u64,
    /// Values above 0.
    #[prost(message, optional, tag = "8")]
    pub positive: Option<Buckets>,
}

/// Buckets of an exponential histogram.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Buckets {
    /// The index of the first.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint64, repeated, tag = "2")]
    #[serde(deserialize_with = "lenient::unsigned_list")]
    pub bucket_counts: Vec<u64>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyValue {
    /// `http.route`.
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// A value of one of these kinds; lists, maps and bytes are passed over.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnyValue {
    /// A text.
    #[prost(string, optional, tag = "1")]
    pub string_value: Option<String>,
    /// Yes or no.
    #[prost(bool, optional, tag = "2")]
    pub bool_value: Option<bool>,
    /// A whole number.
    #[prost(int64, optional, tag = "3")]
    #[serde(deserialize_with = "lenient::optional_signed")]
    pub int_value: Option<i64>,
    /// Another number.
    #[prost(double, optional, tag = "4")]
    #[serde(deserialize_with = "lenient::optional_float")]
    pub double_value: Option<f64>,
}

impl AnyValue {
    /// As text; `None` for a value of a kind that is passed over.
    pub fn text(&self) -> Option<String> {
        let text = self.string_value.clone();
        text.or_else(|| self.bool_value.map(|value| value.to_string()))
            .or_else(|| self.int_value.map(|value| value.to_string()))
            .or_else(|| self.double_value.map(|value| value.to_string()))
    }
}

/// The value of an attribute, as text.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == key)?;
    found.value.as_ref()?.text()
}

/// What an application exports to `/v1/logs`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExportLogs {
    /// One for each reporter.
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

/// What one reporter has logged.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// By the logger.
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
}

/// What one logger has logged.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
}

/// A line of a log.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogRecord {
    /// 17 and more are errors.
    #[prost(int32, tag = "2")]
    pub severity_number: i32,
    /// As the application calls it.
    #[prost(string, tag = "3")]
    pub severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub body: Option<AnyValue>,
    /// `exception.type` and others.
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
}

/// The answer to an export. Its two kinds have the same numbers.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// Absent where all of it was taken.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// What of an export was not taken.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// How many points or records.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    /// Why, for the application's own log.
    #[prost(string, tag = "2")]
    pub error_message: String,
}
