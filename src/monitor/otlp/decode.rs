//! From a request's body to its messages: gzip or not, protobuf or JSON, with a limit on what comes out. Pure. Not in here: the server
//! (`receiver`), and the messages (`messages`).

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use prost::Message;
use serde::de::DeserializeOwned;

use super::messages::{PartialSuccess, Response};
use crate::listen::Answer;
use crate::text::printable;

/// Bytes of a body after it was unpacked. Messages take many times that in memory; an export of thousands of series has a part of it.
pub const UNPACKED_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// Characters of a foreign text in an answer.
const QUOTE_CHARS: usize = 120;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Format {
    /// By the request's headers.
    ///
    /// # Errors
    /// Another content type, or a compression that is not understood.
    pub fn of(headers: &HeaderMap) -> Result<Format, Answer> {
        let said = |name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_ascii_lowercase()
        };
        let refusal = |what: &str, found: &str, expected: &str| {
            let found = printable(found, QUOTE_CHARS);
            Answer::line(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("{what} is `{found}`; OTLP over HTTP has {expected}"),
            )
        };
        let encoding = said(CONTENT_ENCODING);
        if !matches!(encoding.trim(), "" | "identity" | "gzip") {
            return Err(refusal("content-encoding", &encoding, "gzip or none"));
        }
        let content_type = said(CONTENT_TYPE);
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/x-protobuf" | "application/protobuf" => Ok(Format::Protobuf),
            "application/json" => Ok(Format::Json),
            _ => Err(refusal(
                "content-type",
                &content_type,
                "application/x-protobuf or application/json",
            )),
        }
    }

    /// The message in a body.
    ///
    /// # Errors
    /// The body is no such message, or too long once it is unpacked.
    pub fn decode<M: Message + Default + DeserializeOwned>(
        self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<M, Answer> {
        let is_packed = headers
            .get(CONTENT_ENCODING)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
        let unpacked = match is_packed {
            true => Some(unpacked(body)?),
            false => None,
        };
        let body = unpacked.as_deref().unwrap_or(body);
        let decoded = match self {
            Format::Protobuf => M::decode(body).map_err(|error| error.to_string()),
            Format::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        };
        decoded.map_err(|why| refused(&format!("the body is no message of OTLP: {why}")))
    }

    /// The answer to an export: what of it was not taken, and why. `of` is what its JSON calls the count.
    pub fn answer(self, rejected: i64, why: Option<String>, of: &str) -> Answer {
        let partial = why.map(|error_message| PartialSuccess {
            rejected,
            error_message,
        });
        let (content_type, body) = match (self, partial) {
            (Format::Protobuf, partial_success) => (
                "application/x-protobuf",
                Response { partial_success }.encode_to_vec(),
            ),
            (Format::Json, None) => ("application/json", b"{}".to_vec()),
            (Format::Json, Some(partial)) => {
                let message = serde_json::json!({ "partialSuccess": {
                    of: partial.rejected.to_string(), "errorMessage": partial.error_message,
                } });
                ("application/json", message.to_string().into_bytes())
            }
        };
        Answer {
            status: StatusCode::OK,
            content_type,
            headers: HeaderMap::new(),
            body,
        }
    }
}

fn unpacked(body: &[u8]) -> Result<Vec<u8>, Answer> {
    let mut unpacked = Vec::new();
    let limit = UNPACKED_LIMIT_BYTES as u64 + 1;
    let read = MultiGzDecoder::new(body)
        .take(limit)
        .read_to_end(&mut unpacked);
    match read {
        Err(error) => Err(refused(&format!("the body is not gzip: {error}"))),
        Ok(_) if unpacked.len() > UNPACKED_LIMIT_BYTES => Err(Answer::line(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body unpacks to more than {UNPACKED_LIMIT_BYTES} bytes"),
        )),
        Ok(_) => Ok(unpacked),
    }
}

fn refused(why: &str) -> Answer {
    Answer::line(StatusCode::BAD_REQUEST, printable(why, 3 * QUOTE_CHARS))
}
