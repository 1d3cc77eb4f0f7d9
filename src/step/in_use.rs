//! Before the target is migrated or emptied: is it in use? By what it is known, by the mark of a completed release, by what the fleet's
//! configuration says, by which database each instance serves, and by who is connected as the application. One sign is enough to
//! stop; nothing was touched then.
//!
//! Not in here: rows of the target that the source does not have (`import`).

use tokio_postgres::Client;

use super::context::Context;
use super::serving::{self, as_client_session};
use super::target::{failed, runtime};
use super::{configuration, production};
use crate::claim::{self, Claim};
use crate::fleet::provider::{ClientSession, Provider, is_of};
use crate::postgres::clients::{self, RoleSession};
use crate::postgres::release;
use crate::session::Outcome;
use crate::text::printable;

use std::collections::BTreeMap;
use std::time::Duration;

/// How long an instance may take to say by which database it serves.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// Groups of sessions that a message names.
const GROUPS: usize = 5;

/// Whether nothing speaks against changing the target.
///
/// # Errors
/// What does, as a failed outcome; nothing was touched.
pub async fn is_free(ctx: &Context) -> Result<(), Outcome> {
    let mut client = production::same(ctx).await?;
    is_not_released(ctx, &client).await?;
    let mine = Claim::of(&ctx.folder);
    match claim::target::take(&mut client, &mine).await {
        Ok(()) => {}
        Err(claim::target::Error::Refused(refused)) => {
            return Err(Outcome::failed(refused.to_string()));
        }
        Err(claim::target::Error::Target(error)) => return Err(failed(error)),
    }
    let refused = |why: &str, what_to_do: &str| {
        Err(Outcome::failed(format!(
            "PostgreSQL may be in use: {why}. Nothing was touched on it. {what_to_do}"
        )))
    };
    if let Some((_, why)) = configuration::not_at_from(ctx).first() {
        return refused(
            why,
            "Until the switch every configuration says SQLite: find out who changed it before you go on",
        );
    }
    let serving = serving::look(ctx, &ctx.runbook.fleet.instances, LOOK_LIMIT).await;
    let (on_postgres, _) = serving::sorted(&serving, Provider::Postgres);
    if let Some(first) = on_postgres.first() {
        return refused(first, "Find out who took it there before you go on");
    }
    let connected = connected(ctx, &client).await?;
    if !connected.is_empty() {
        let why = format!(
            "{} sessions of the application's role are on it that are neither ours nor the staging slot's ({})",
            connected.len(),
            groups(&connected)
        );
        return refused(
            &why,
            "End them (an instance, a worker, a pool), or let the staging slot's sessions bear its id as application_name; then start \
             this step again",
        );
    }
    Ok(())
}

/// No release is on record on the target, unless somebody has typed its name to begin all over.
async fn is_not_released(ctx: &Context, client: &Client) -> Result<(), Outcome> {
    let released = release::newest(client).await.map_err(failed)?;
    match released {
        Some(release) if ctx.session.charter.again.is_none() => Err(Outcome::failed(format!(
            "this database is in production: session {} on {} completed its release at {}. Nothing was touched on it. Whoever means to \
             empty it all the same opens another session with `cutover run --again NAME`, NAME being the database's",
            printable(&release.session, 80),
            printable(&release.host, 80),
            printable(&release.completed, 40)
        ))),
        _ => Ok(()),
    }
}

/// Sessions of the runtime role that are not the staging slot's, which serves from PostgreSQL all along.
async fn connected(ctx: &Context, client: &Client) -> Result<Vec<RoleSession>, Outcome> {
    let role = runtime(ctx)?.user().to_owned();
    let all = clients::of_role(client, &role).await.map_err(failed)?;
    let Some(staging) = &ctx.runbook.fleet.staging else {
        return Ok(all);
    };
    let places = serving::places_of(&serving::everybody(ctx)).await;
    let place = places
        .into_iter()
        .find(|place| place.whereabouts.id == staging.id);
    let place = place.unwrap_or_default().whereabouts;
    let is_staging = |s: &RoleSession| is_of(&place, &as_client_session(s));
    Ok(all.into_iter().filter(|s| !is_staging(s)).collect())
}

/// `2 from 10.0.0.3 as gunicorn`, the most first.
fn groups(sessions: &[RoleSession]) -> String {
    let mut counted: BTreeMap<(String, String), u32> = BTreeMap::new();
    for session in sessions {
        let ClientSession { application, .. } = as_client_session(session);
        let address = session
            .address
            .clone()
            .unwrap_or_else(|| "a Unix socket".to_owned());
        *counted.entry((address, application)).or_default() += 1;
    }
    let mut counted: Vec<_> = counted.into_iter().collect();
    counted.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let more = counted.len().saturating_sub(GROUPS);
    let named = counted
        .iter()
        .take(GROUPS)
        .map(|((address, application), n)| {
            let name = match application.as_str() {
                "" => "without a name".to_owned(),
                name => format!("as {}", printable(name, 40)),
            };
            format!("{n} from {} {name}", printable(address, 60))
        });
    let more = (more > 0).then(|| format!("{more} more"));
    named.chain(more).collect::<Vec<_>>().join(", ")
}
