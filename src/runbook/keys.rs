//! Every key that a runbook may have, in one place: the parser refuses all others, the documentation is tested against it. Not in
//! here: the keys of one kind of fleet, step, probe or rollback row alone (`kinds`), and what a key's value must look like (`parse`).

/// Keys of the whole file.
pub const RUNBOOK: &[&str] = &[
    "cutover",
    "name",
    "secrets",
    "people",
    "bridge",
    "signatures",
    "limits",
    "source",
    "target",
    "fleet",
    "transfer",
    "verification",
    "rehearsal",
    "gates",
    "steps",
    "probes",
    "triggers",
    "monitoring",
    "notify",
    "feed",
    "rollback",
];
/// Keys of a person.
pub const PERSON: &[&str] = &["id", "name", "roles", "user", "principal", "deputies"];
/// Keys of `bridge`.
pub const BRIDGE: &[&str] = &["group", "spare", "metrics"];
/// Keys of `signatures`.
pub const SIGNATURES: &[&str] = &["allowed_signers", "revoked", "required"];
/// Keys of `limits`.
pub const LIMITS: &[&str] = &[
    "freeze",
    "verify_within",
    "rto",
    "countdown",
    "startup_grace",
    "blind",
    "min_requests",
];
/// Keys of `feed`.
pub const FEED: &[&str] = &["writes", "drain", "nearest"];
/// Keys of `source`.
pub const SOURCE: &[&str] = &["file", "also_open"];
/// Keys of `target`.
pub const TARGET: &[&str] = &["url", "runtime_url", "schema", "tls", "history", "required"];
/// Keys of `target.history`.
pub const HISTORY: &[&str] = &["table", "column", "within", "expected"];
/// Keys of `target.required`.
pub const REQUIRED: &[&str] = &["tables", "columns", "indexes"];
/// Keys of `fleet`, whatever its kind; those of its kind come on top.
pub const FLEET: &[&str] = &[
    "kind",
    "instances",
    "staging",
    "config",
    "log",
    "ready",
    "provider",
    "maintenance",
    "metrics",
    "restart",
    "connect",
    "ready_within",
    "ready_successes",
];
/// Keys of `fleet.instances`, where it is a map.
pub const DISCOVERY: &[&str] = &["command", "shell", "env", "stdin", "timeout", "discover"];
/// Keys of `fleet.provider`.
pub const PROVIDER: &[&str] = &["get", "sqlite", "postgres"];
/// Keys of `fleet.maintenance`.
pub const MAINTENANCE: &[&str] = &["get", "on", "off", "status", "header", "body", "label"];
/// Keys of `fleet.metrics`, where it is a map.
pub const METRICS: &[&str] = &["url", "headers_command", "map", "leave_out"];
/// Keys of a figure of `fleet.metrics.map`, where it is a map.
pub const FAMILY: &[&str] = &["name", "code", "route", "method", "unit", "only"];
/// Keys of an instance.
pub const INSTANCE: &[&str] = &["id", "url", "host", "canary"];
/// Keys of `transfer`; a column's own keys are [`super::transfer::POLICY_KEYS`].
pub const TRANSFER: &[&str] = &[
    "zone",
    "exclude",
    "rename",
    "target_rows",
    "accept",
    "sequences",
    "fire",
    "refresh",
    "after_import",
    "columns",
    "lists",
    "slugs",
];
/// Keys of an ordered list.
pub const ORDERED_LIST: &[&str] = &["name", "table", "order_by", "limit"];
/// Keys of a slug.
pub const SLUG: &[&str] = &["table", "column", "trim", "ignore_case"];
/// Keys of `verification`.
pub const VERIFICATION: &[&str] = &[
    "critical",
    "rows_per_second",
    "statement_limit",
    "requests",
    "write",
    "write_probe",
];
/// Keys of a synthetic request.
pub const REQUEST: &[&str] = &[
    "name",
    "class",
    "get",
    "post",
    "headers",
    "headers_command",
    "body",
    "status",
    "contains",
    "compare_body",
    "ignore",
    "tolerance",
    "leaves_rows",
];
/// Keys of `rehearsal`.
pub const REHEARSAL: &[&str] = &["url", "runtime_url", "max_age", "copy", "point", "unpoint"];
/// Keys of an action.
pub const ACTION: &[&str] = &[
    "command",
    "shell",
    "http",
    "write_file",
    "content",
    "remove_file",
    "timeout",
    "env",
    "stdin",
    "rehearse",
];
/// Keys of an action's `http`.
pub const HTTP: &[&str] = &[
    "method",
    "url",
    "headers",
    "headers_command",
    "body",
    "status",
];
/// Keys of `headers_command`.
pub const HEADERS_COMMAND: &[&str] = &[
    "command", "shell", "env", "stdin", "rehearse", "timeout", "every",
];
/// Keys of a gate.
pub const GATE: &[&str] = &["id", "title", "before", "evidence", "signers"];
/// Keys of every step; those of its kind come on top.
pub const STEP: &[&str] = &[
    "id", "kind", "title", "start", "attempts", "may_skip", "needs",
];
/// Keys of a backup's second place.
pub const PLACE: &[&str] = &["directory", "upload", "read_back"];
/// Keys of every probe; those of its kind come on top.
pub const PROBE: &[&str] = &["id", "kind", "interval", "timeout"];
/// Keys of a question to a Prometheus server.
pub const QUERY: &[&str] = &["signal", "query", "requests"];
/// Keys of a log rule.
pub const LOG_RULE: &[&str] = &["category", "match", "fields", "endpoint"];
/// Keys of a trigger.
pub const TRIGGER: &[&str] = &["id", "title", "from", "until", "when"];
/// Keys of a trigger's `when`.
pub const WHEN: &[&str] = &[
    "check",
    "signal",
    "per",
    "above",
    "below",
    "above_baseline",
    "floor",
    "for",
];
/// Keys of an item of the monitoring checklist.
pub const ITEM: &[&str] = &["id", "title", "conditions"];
/// Keys of a condition of the checklist.
pub const ITEM_CONDITION: &[&str] = &["signal", "at_most", "at_least", "at_most_baseline", "floor"];
/// Keys of a way to people who are not looking.
pub const CHANNEL: &[&str] = &[
    "id", "webhook", "headers", "command", "shell", "terminal", "events", "timeout",
];
/// Keys of every row of the rollback; those of its kind come on top.
pub const ROLLBACK: &[&str] = &["id", "kind", "title"];
