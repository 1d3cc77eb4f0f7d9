//! Ready-made rules for logs: what the usual frameworks, their servers and database layers print, as plain text or as JSON lines. Pure data.
//!
//! Rules go from the particular to the general, since the first that matches decides; so do the parts of a set. Patterns hold for plain
//! text and for JSON alike, where the message is a part of the line; the endpoint is known only where a line says it.

mod dotnet;
mod frameworks;
mod server;

use super::model::LogRule;

/// Category and pattern.
type Rules = &'static [(&'static str, &'static str)];

/// Name and parts of each set.
const SETS: [(&str, &[Rules]); 15] = [
    (
        "dotnet",
        &[dotnet::NPGSQL, dotnet::EFCORE, dotnet::ASPNETCORE],
    ),
    ("aspnetcore", &[dotnet::ASPNETCORE]),
    ("efcore", &[dotnet::EFCORE]),
    ("npgsql", &[dotnet::NPGSQL]),
    ("postgres", &[server::POSTGRES]),
    (
        "django",
        &[
            server::POSTGRES,
            frameworks::DJANGO,
            frameworks::GUNICORN,
            frameworks::UVICORN,
        ],
    ),
    (
        "python",
        &[
            server::POSTGRES,
            frameworks::PYTHON,
            frameworks::GUNICORN,
            frameworks::UVICORN,
        ],
    ),
    ("gunicorn", &[frameworks::GUNICORN]),
    ("uvicorn", &[frameworks::UVICORN]),
    (
        "rails",
        &[server::POSTGRES, frameworks::RAILS, frameworks::PUMA],
    ),
    ("puma", &[frameworks::PUMA]),
    ("laravel", &[server::POSTGRES, frameworks::LARAVEL]),
    ("node", &[server::POSTGRES, frameworks::NODE]),
    ("go", &[server::POSTGRES, frameworks::GO]),
    ("spring", &[server::POSTGRES, frameworks::SPRING]),
];

/// Their names, as a runbook writes them.
pub fn names() -> [&'static str; 15] {
    SETS.map(|(name, _)| name)
}

/// Where the usual formatters (Microsoft's JSON console with scopes, Serilog, NLog) put the path of the request.
const ENDPOINT: [&str; 4] = [
    "RequestPath",
    "Scopes.RequestPath",
    "State.RequestPath",
    "Properties.RequestPath",
];

/// The rules of a set; none for a name that is not one of [`names`].
pub fn rules(name: &str) -> Vec<LogRule> {
    let set = SETS.iter().find(|(known, _)| *known == name);
    let rules = set
        .into_iter()
        .flat_map(|(_, parts)| parts.iter().copied().flatten());
    rules
        .map(|(category, pattern)| rule(category, pattern))
        .collect()
}

fn rule(category: &str, pattern: &str) -> LogRule {
    let fails = category.ends_with("_exception") || category.starts_with("database_");
    LogRule {
        category: category.to_owned(),
        pattern: Some(pattern.to_owned()),
        fields: Vec::new(),
        endpoint: match fails {
            true => ENDPOINT.map(str::to_owned).to_vec(),
            false => Vec::new(),
        },
    }
}
