//! What counts as verified, and the requests by which that is seen. Not in here: what follows from an answer (`step::verify`, `fleet`).

use serde::{Deserialize, Serialize};

use super::JsonPath;
use crate::runbook::action::HeadersCommand;

/// What counts as verified (E2, E3, V1–V5, T4).
#[derive(Debug, Clone)]
pub struct Verification {
    /// Tables whose rows must all be there (V1, T4a).
    pub critical: Vec<String>,
    /// Rows that are read from PostgreSQL per second at most, once the application is on it (V).
    pub rows_per_second: u32,
    /// How long one statement of V may take.
    pub statement_limit_ms: i64,
    /// Requests to staging, to each instance, and in between.
    pub requests: Vec<Request>,
    /// The representative write (V2), through maintenance's bypass.
    pub write: Option<Request>,
    /// Tables into which E2 and V5 may write a row that is rolled back.
    pub write_probe: Vec<String>,
}

/// One synthetic request.
#[derive(Clone)]
pub struct Request {
    pub name: String,
    /// Whether it counts as a core read or a core write (M5).
    pub class: RequestClass,
    /// `GET` or `POST`.
    pub method: String,
    /// `{url}` is the instance's.
    pub url: String,
    /// Sent along; values may be secrets and are never shown.
    pub headers: Vec<(String, String)>,
    /// What prints more of them, such as one with a token that expires.
    pub headers_command: Option<Box<HeadersCommand>>,
    /// Sent along.
    pub body: Option<String>,
    /// Expected status.
    pub status: u16,
    /// Text that the body must contain.
    pub contains: Option<String>,
    /// How the body is compared with what the SQLite side answered with the baseline.
    pub compare_body: CompareBody,
    /// Whether it is known, and meant, that the representative write leaves a row.
    pub leaves_rows: bool,
}

/// How a body is compared with the recorded one.
#[derive(Debug, Clone, PartialEq)]
pub enum CompareBody {
    No,
    /// Byte for byte.
    Bytes,
    /// By what it says.
    Json(JsonComparison),
}

/// What does not count where bodies are compared as JSON, beside the order of keys and the spelling of numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JsonComparison {
    /// Places that are passed over.
    pub ignore: Vec<JsonPath>,
    /// By how much a number with a fraction may differ.
    pub tolerance: Option<f64>,
}

/// Core read or core write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestClass {
    /// Changes nothing.
    Read,
    /// Changes something.
    Write,
}
