//! B1, B2, B3: the database, the rights, and the way there from each host. What is looked at is `postgres::preflight`; and `feed::beforehand`,
//! which stops nothing.

use std::time::Duration;

use super::announce::run_action;
use super::closing::{self, grants};
use super::context::Context;
use super::{in_use, production};
use crate::feed::beforehand::{self, Beforehand};
use crate::identity::TargetIdentity;
use crate::postgres::{Endpoint, Error, Finding, in_the_way, pooler, preflight};
use crate::runbook::action::Placeholders;
use crate::session::{Check, Outcome};

/// How long PostgreSQL may take to say whether a rollback can bring back what users write.
const WAY_BACK_LIMIT: Duration = Duration::from_secs(20);

/// The owner's endpoint.
pub fn owner(ctx: &Context) -> Result<Endpoint, Outcome> {
    telling(ctx, &ctx.runbook.target.url)
}

/// The endpoint as the application uses it.
pub fn runtime(ctx: &Context) -> Result<Endpoint, Outcome> {
    telling(ctx, &ctx.runbook.target.runtime_url)
}

/// Where PostgreSQL is waited for, the step says so on the screen.
fn telling(ctx: &Context, url: &str) -> Result<Endpoint, Outcome> {
    let endpoint = Endpoint::parse(url).map_err(failed)?;
    let reporter = ctx.reporter.clone();
    Ok(endpoint.telling(move |sentence| reporter.line(sentence)))
}

/// A target's error as a step's outcome; a lost connection may pass by itself.
pub fn failed(error: Error) -> Outcome {
    let passing = is_passing(&error);
    let outcome = Outcome::failed(error.to_string());
    if passing { outcome.passing() } else { outcome }
}

/// Whether an error may pass by itself: the server was away, or full, not wrong.
pub fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused { .. }
            | Error::Unreachable { .. }
            | Error::Timeout { .. }
            | Error::TooManyConnections { .. }
            | Error::NotReady { .. }
            | Error::Lost { .. }
    )
}

/// B1: database, version, encoding, TLS, the owner's rights, by what it is known, and that nobody uses it.
pub async fn check(ctx: &Context) -> Outcome {
    let endpoint = match owner(ctx) {
        Ok(endpoint) => endpoint,
        Err(outcome) => return outcome,
    };
    let look = async {
        let client = pooler::connect(&endpoint).await?;
        let findings = preflight::database(&client, &endpoint, &ctx.runbook.target.schema).await?;
        Ok::<_, Error>((findings, production::identified(&client).await))
    };
    match look.await {
        Ok((mut findings, identity)) => {
            if ctx.runbook.target.tls_required {
                findings
                    .iter_mut()
                    .filter(|f| f.name == "tls")
                    .for_each(|f| f.required = true);
            }
            findings.push(known_by(ctx, &identity));
            let outcome = from_findings(ctx, &findings, "the target");
            let outcome = match identity {
                Ok(identity) => outcome.with_fact(identity),
                Err(_) => outcome,
            };
            if !outcome.ok {
                return outcome;
            }
            // Known before anything of the night has touched it: C1 and D2 look again.
            match in_use::is_free(ctx).await {
                Ok(()) => match closing::capture::end(&ctx.runbook).await {
                    Ok(left) if left.is_empty() => {
                        let outcome = grants::before_the_next(ctx, outcome).await;
                        with_way_back(ctx, outcome).await
                    }
                    Ok(left) => failed_by_feed(&left.join("; ")),
                    Err(why) => failed_by_feed(&why),
                },
                Err(in_use) => in_use,
            }
        }
        Err(error) => failed(error),
    }
}

/// What a rollback could not do that is to bring back what users write. It is no reason to stop here: whatever is in the way is said again, as a
/// loss, once the switch has met it.
async fn with_way_back(ctx: &Context, outcome: Outcome) -> Outcome {
    if !outcome.ok || !ctx.session.charter.keeps_writes {
        return outcome;
    }
    let looked = tokio::time::timeout(WAY_BACK_LIMIT, way_back(ctx)).await;
    let looked = looked.unwrap_or_else(|_| {
        let limit_s = WAY_BACK_LIMIT.as_secs();
        Err(format!("PostgreSQL did not answer within {limit_s} s"))
    });
    let told = match looked {
        Ok(found) => found.sentences(),
        Err(why) => vec![format!(
            "whether a rollback can bring back what users write is not known: {why}"
        )],
    };
    told.iter().for_each(|line| ctx.reporter.line(line));
    told.into_iter().fold(outcome, |outcome, sentence| {
        outcome.with_check(Check::new("rollback_keeps", true, sentence))
    })
}

async fn way_back(ctx: &Context) -> Result<Beforehand, String> {
    let copies = ctx.session.backups().map_err(|why| why.to_string())?;
    let backup = copies.into_iter().find(|copy| copy.path.is_file());
    let runbook = &ctx.runbook;
    let source = backup.map_or_else(|| runbook.source.file.clone(), |copy| copy.path);
    let endpoint = owner(ctx).map_err(|outcome| outcome.summary)?;
    let role = runtime(ctx).map_err(|outcome| outcome.summary)?;
    let (schema, transfer) = (&runbook.target.schema, &runbook.transfer);
    let looked = beforehand::look(&source, &endpoint, schema, transfer, Some(role.user())).await;
    looked.map_err(|error| error.to_string())
}

/// Every row of the import would be noted.
fn failed_by_feed(why: &str) -> Outcome {
    Outcome::failed(format!(
        "what noted writes to the target for an earlier session is still there, and could not be taken away: {why}. Nothing was touched on it"
    ))
}

/// By what the target is known: the database that the session was opened on, or, where nobody could ask then, the one of now.
fn known_by(ctx: &Context, identity: &Result<TargetIdentity, Error>) -> Finding {
    let was = &ctx.session.charter.production.target;
    match identity {
        Ok(now) if was.as_ref().is_none_or(|was| was == now) => {
            Finding::required("identity", true, now.to_string())
        }
        Ok(now) => {
            let was = was.as_ref().map_or_else(String::new, ToString::to_string);
            let detail = format!(
                "another database ({now}) than when the session was opened ({was}): open a new session"
            );
            Finding::required("identity", false, detail)
        }
        Err(error) => {
            let detail = format!("nobody could tell it from another database: {error}");
            Finding::required("identity", false, detail)
        }
    }
}

/// B2: the runtime role has what it needs and no more.
pub async fn privileges(ctx: &Context) -> Outcome {
    let (owner, runtime) = match (owner(ctx), runtime(ctx)) {
        (Ok(owner), Ok(runtime)) => (owner, runtime),
        (Err(outcome), _) | (_, Err(outcome)) => return outcome,
    };
    let look = async {
        let as_application = pooler::connect(&runtime).await?;
        // The application may come through a pooler: nothing of ours stays there, no prepared statement either.
        let role: String = as_application
            .query_typed_one("SELECT current_user::text", &[])
            .await
            .map_err(|e| Error::of_statement("ask who the runtime role is", &e))?
            .get(0);
        let client = owner.connect().await?;
        let history = ctx.runbook.target.history.table.as_str();
        preflight::runtime_role(&client, &role, &ctx.runbook.target.schema, &[history]).await
    };
    match look.await {
        Ok(findings) => from_findings(ctx, &findings, "the runtime role"),
        Err(error) => failed(error),
    }
}

/// One check per finding; advice is shown and does not stop anything.
pub fn from_findings(ctx: &Context, findings: &[Finding], of: &str) -> Outcome {
    for finding in findings {
        let mark = if finding.ok {
            "ok"
        } else if finding.required {
            "BAD"
        } else {
            "note"
        };
        ctx.reporter
            .line(&format!("{mark:4} {}: {}", finding.name, finding.detail));
    }
    let summary = match in_the_way(findings) {
        Some(why) => format!("{of}: {why}"),
        None => format!(
            "{of}: {} checks passed",
            findings.iter().filter(|f| f.ok).count()
        ),
    };
    findings
        .iter()
        .filter(|f| f.required)
        .fold(Outcome::done(summary), |o, f| {
            o.with_check(Check::new(&f.name, f.ok, f.detail.clone()))
        })
}

/// B3: a connection from each application host, by the host's own command.
pub async fn connectivity(ctx: &Context) -> Outcome {
    let Some(connect) = &ctx.runbook.fleet.connect else {
        return Outcome::failed(
            "`fleet.connect` is not in the runbook: nobody can tell whether the application's hosts reach PostgreSQL",
        );
    };
    if let Some(why) = ctx.not_rehearsed(connect) {
        return Outcome::done(why);
    }
    let fleet = &ctx.runbook.fleet;
    let hosts: Vec<_> = fleet
        .instances
        .iter()
        .chain(fleet.staging.as_ref())
        .collect();
    let mut outcome = Outcome::done(match hosts.len() {
        1 => "the host reaches PostgreSQL".to_owned(),
        n => format!("all {n} hosts reach PostgreSQL"),
    });
    for (n, instance) in hosts.iter().enumerate() {
        ctx.reporter
            .progress("hosts", n as u64, hosts.len() as u64, "hosts");
        let values = Placeholders::of(instance);
        let name = format!("connect-{}", instance.id);
        let check = match run_action(ctx, connect, &values, &name).await {
            Ok(_) => Check::new(&name, true, format!("{} connects", instance.id)),
            Err(why) => {
                outcome.summary = format!("{} does not reach PostgreSQL: {why}", instance.id);
                Check::new(&name, false, why)
            }
        };
        outcome = outcome.with_check(check);
    }
    outcome
}
