//! The application's endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::log::Level;
use super::store::{Kind, NewTool, StoreError};
use super::{App, faults};

/// The header that may write during maintenance.
pub const PROBE_HEADER: &str = "x-cutover-probe";
/// Answers say which instance and which database they come from.
pub const INSTANCE_HEADER: &str = "x-instance";
/// See [`INSTANCE_HEADER`].
pub const PROVIDER_HEADER: &str = "x-provider";

/// The endpoint under which refusals of the maintenance gate are counted: they are no errors of the endpoint behind it.
const GATE: &str = "maintenance";
const RETRY_AFTER_SECONDS: &str = "30";
/// The largest page of the list.
const LARGEST_PAGE: i64 = 500;

type Shared = State<Arc<App>>;

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/tools", get(list).post(create))
        .route("/tools/by-slug/{slug}", get(by_slug))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Around every request: the gate, the faults, the figures.
async fn observe(State(app): Shared, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
        .to_string();
    let (endpoint, mut response) = if is_write(&method) && in_maintenance(&app, request.headers()) {
        (GATE, refused())
    } else {
        let response = match fail_on_purpose(&app, &path).await {
            Some(failure) => failure,
            None => next.run(request).await,
        };
        (path.as_str(), response)
    };
    let took = began.elapsed();
    app.metrics
        .answered(endpoint, method.as_str(), response.status().as_u16(), took);
    if took > app.config.slow_query {
        let fields = json!({"message": "Slow request", "endpoint": endpoint, "duration_ms": took.as_millis() as u64});
        app.log.write(Level::Warning, "SlowQuery", fields);
    }
    if let Ok(instance) = HeaderValue::from_str(&app.config.instance) {
        response.headers_mut().insert(INSTANCE_HEADER, instance);
    }
    response.headers_mut().insert(
        PROVIDER_HEADER,
        HeaderValue::from_static(app.config.provider.name()),
    );
    response
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the maintenance file exists and the sender may not pass it.
fn in_maintenance(app: &App, headers: &HeaderMap) -> bool {
    let token = app.config.probe_token.as_bytes();
    let may_pass = !token.is_empty()
        && headers
            .get(PROBE_HEADER)
            .is_some_and(|sent| sent.as_bytes() == token);
    !may_pass && app.config.maintenance_file.exists()
}

fn refused() -> Response {
    let body =
        json!({"error": "maintenance", "detail": "The catalogue is read-only for the moment."});
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)],
        Json(body),
    )
        .into_response()
}

/// Slowness and errors that the sandbox asked for: on the catalogue's own endpoints, evenly spread.
async fn fail_on_purpose(app: &App, path: &str) -> Option<Response> {
    static SERVED: AtomicU64 = AtomicU64::new(0);
    let faults = faults::current(&app.config);
    if !path.starts_with("/tools") {
        return None;
    }
    if let Some(delay_ms) = faults.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    let every = faults.error_every?;
    let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
    // Instances take turns, so that the fleet fails evenly and not all at once.
    let number: u64 = app
        .config
        .instance
        .rsplit('-')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    (served + number * every / 6)
        .is_multiple_of(every)
        .then(|| {
            let error = StoreError::new(Kind::Deadlock, "40P01: deadlock detected");
            failure(app, path, &error)
        })
}

/// An exception on its way out: logged, counted, answered.
fn failure(app: &App, endpoint: &str, error: &StoreError) -> Response {
    app.log.exception(endpoint, error);
    app.metrics.exception(error.kind.name());
    let status = match error.kind {
        Kind::PoolTimeout => {
            app.metrics.pool_timed_out();
            StatusCode::SERVICE_UNAVAILABLE
        }
        Kind::Constraint => StatusCode::CONFLICT,
        Kind::Timeout
        | Kind::Deadlock
        | Kind::Authentication
        | Kind::Connection
        | Kind::Busy
        | Kind::Schema
        | Kind::Other => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(json!({"error": error.kind.name()}))).into_response()
}

async fn health(State(app): Shared) -> impl IntoResponse {
    Json(json!({"status": "ok", "instance": app.config.instance}))
}

/// What `/ready` says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Readiness<'a> {
    status: &'static str,
    instance: &'a str,
    provider: &'static str,
    generation: &'a str,
    maintenance: bool,
    started_at: String,
    pid: u32,
    pending_migrations: Vec<&'static str>,
    reason: Option<String>,
}

async fn ready(State(app): Shared) -> Response {
    let mut reason = None;
    let mut pending_migrations = Vec::new();
    match app.store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => {}
        Ok(pending) => {
            reason = Some("migrations are pending".to_string());
            pending_migrations = pending;
        }
        Err(error) => reason = Some(format!("{}: {}", error.kind.name(), error.message)),
    }
    if faults::current(&app.config)
        .not_ready
        .contains(&app.config.instance)
    {
        reason = Some("warm-up has not completed".to_string());
    }
    let status = if reason.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = Readiness {
        status: if reason.is_none() { "ready" } else { "unready" },
        instance: &app.config.instance,
        provider: app.config.provider.name(),
        generation: &app.config.generation,
        maintenance: app.config.maintenance_file.exists(),
        started_at: app.started_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        pid: std::process::id(),
        pending_migrations,
        reason,
    };
    (status, Json(body)).into_response()
}

async fn metrics(State(app): Shared) -> impl IntoResponse {
    let text = app
        .metrics
        .text(app.store.pool(), app.started_at.timestamp());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

#[derive(Deserialize)]
struct Paging {
    page: Option<i64>,
    size: Option<i64>,
}

async fn list(State(app): Shared, Query(paging): Query<Paging>) -> Response {
    let (page, size) = (paging.page.unwrap_or(1), paging.size.unwrap_or(20));
    if !(1..=1_000_000).contains(&page) || !(1..=LARGEST_PAGE).contains(&size) {
        return bad_request("page or size is out of range");
    }
    match app.store.list(page, size).await {
        Ok(page) => Json(page).into_response(),
        Err(error) => failure(&app, "/tools", &error),
    }
}

async fn by_slug(State(app): Shared, Path(slug): Path<String>) -> Response {
    match app.store.by_slug(&slug).await {
        Ok(Some(tool)) => Json(tool).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, Json(json!({"error": "not found"}))).into_response(),
        Err(error) => failure(&app, "/tools/by-slug/{slug}", &error),
    }
}

#[derive(Deserialize)]
struct Creation {
    /// Write, and take it back.
    #[serde(default)]
    probe: bool,
}

async fn create(State(app): Shared, Query(creation): Query<Creation>, body: Bytes) -> Response {
    if creation.probe {
        return match app.store.try_write().await {
            Ok(()) => Json(json!({"status": "written and taken back"})).into_response(),
            Err(error) => failure(&app, "/tools", &error),
        };
    }
    let parsed = serde_json::from_slice::<NewTool>(&body).map_err(|error| error.to_string());
    let tool = match parsed.and_then(|tool| tool.checked().map_err(str::to_string)) {
        Ok(tool) => tool,
        Err(problem) => return bad_request(&problem),
    };
    match app.store.create(tool).await {
        Ok((true, tool)) => (StatusCode::CREATED, Json(tool)).into_response(),
        Ok((false, tool)) => Json(tool).into_response(),
        Err(error) => failure(&app, "/tools", &error),
    }
}

fn bad_request(problem: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": problem}))).into_response()
}
