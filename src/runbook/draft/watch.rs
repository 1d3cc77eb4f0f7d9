//! The draft's `probes` section: what is asked of instances that publish figures, and of those that do not.

use super::known::Figures;
use super::{Survey, or_open};

const PAGE: &str =
    "  - { id: traffic,   kind: metrics,   interval: 5s, timeout: 3s, window: 2m }\n";

pub(super) fn probes(survey: &Survey) -> String {
    let known = &survey.known;
    let of_history = survey.history.as_ref().and_then(|(f, _)| f.log_rules);
    let rules = match of_history.or(known.log_rules) {
        Some(set) => format!(
            "    rules: {set}                       # ready-made: docs/runbook.md, under Probes and signals\n"
        ),
        None => format!(
            "    rules:                              # the first that matches decides; a line that none matches is counted as other
      - {{ category: pending_migration,   match: \"[Pp]ending migration\" }}
      - {{ category: ddl_exception,       match: \"42P01|42703|relation .* does not exist\" }}
      - {{ category: database_exception,  match: \"SQLSTATE|PostgresError|PSQLException|PG::|psycopg|PostgreSQL.*(refused|terminat)\" }}
      - {{ category: unhandled_exception, match: \"[Uu]nhandled|Traceback \\\\(most recent|^panic:\" }}
      - {{ category: host_booted,         match: {} }}
",
            or_open(
                known.booted.as_ref(),
                "<a line that an instance logs when it has started>"
            )
        ),
    };
    let figures = match &known.figures {
        Figures::Unknown | Figures::Library { .. } => PAGE.to_owned(),
        Figures::None { .. } => format!(
            "  - {{ id: figures,   kind: command,   interval: 5s, timeout: 3s, signals: [http_5xx_ratio, latency_p95_ms], command: {} }}   # a line each; by access logs, say\n",
            or_open(
                known.figures_command.as_ref(),
                "[<program that prints the share of 5xx and the 95th percentile in ms>]"
            )
        ),
    };
    format!(
        "\
probes:
  - {{ id: readiness, kind: readiness, interval: 5s, timeout: 3s }}
{figures}  - {{ id: synthetic, kind: synthetic, interval: 5s, timeout: 5s }}
  - {{ id: pool,      kind: pool,      interval: 5s, timeout: 3s }}
  - id: logs
    kind: logs
    interval: 5s
{rules}
"
    )
}
