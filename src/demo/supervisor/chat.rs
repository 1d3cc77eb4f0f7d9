//! The chat room of the sandbox: a webhook that keeps what it is told.

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Takes posts at `/chat` until `stop`, and appends each to `file` with the time.
pub(super) async fn serve(port: u16, file: PathBuf, stop: CancellationToken) {
    let router = Router::new().route("/chat", post(keep)).with_state(file);
    let listener = match tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => listener,
        Err(error) => return errln!("the chat webhook on port {port}: {error}"),
    };
    let _ = axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
}

async fn keep(State(file): State<PathBuf>, Json(message): Json<Value>) -> StatusCode {
    if message.get("text").and_then(Value::as_str).is_none() {
        return StatusCode::BAD_REQUEST;
    }
    let line = json!({"time": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true), "message": message});
    let append = || {
        File::options()
            .append(true)
            .create(true)
            .open(&file)?
            .write_all(format!("{line}\n").as_bytes())
    };
    match append() {
        Ok(()) => StatusCode::OK,
        Err(error) => {
            errln!("{}: {error}", file.display());
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
