//! What every instance and the staging slot say and have: readiness, metrics, provider, maintenance, core reads, configuration, log. Asked with
//! GET, and read. Not in here: everything else that the runbook names (`environment`).

use std::path::Path;
use std::time::Duration;

use super::environment::of_night;
use crate::action::config_file;
use crate::engine::upkeep::switch_file;
use crate::fleet;
use crate::fleet::maintenance;
use crate::fleet::provider::{Provider, Serving, by_page};
use crate::fleet::signed::{Signed, Tokens};
use crate::monitor::metrics::PAGE_LIMIT_BYTES;
use crate::monitor::metrics::exposed::{self, Need};
use crate::postgres::Finding;
use crate::production::configuration_of;
use crate::runbook::{Instance, RequestClass, Runbook, StepKind, SwitchedKey};
use crate::session::maintenance::{Seen, Sight};
use crate::text::printable;

const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Every instance is ready, shows its metrics, says what it serves from, and has the configuration and log that the runbook says.
pub(super) async fn examine(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let client = fleet::client();
    let (mut findings, mut pages) = (Vec::new(), Vec::new());
    let page = runbook.fleet.metrics.as_ref();
    let command = page.and_then(|page| page.headers_command.as_ref());
    let signed = Signed::new(&[], command, &of_night(runbook, folder), folder);
    signed.prepare().await;
    let staging = runbook.fleet.staging.iter();
    for instance in runbook.fleet.instances.iter().chain(staging) {
        let name = format!("instance {}", instance.id);
        let ready = fleet::ready_once(&client, &runbook.fleet, instance, ASK_LIMIT).await;
        findings.push(match ready {
            Ok(()) => Finding::required(name.clone(), true, format!("ready at {}", instance.url)),
            Err(error) => Finding::required(name.clone(), false, error.to_string()),
        });
        if let Some(metrics) = &runbook.fleet.metrics {
            let url = metrics.of(&instance.url);
            let asked = signed.get(&client, &url, ASK_LIMIT, PAGE_LIMIT_BYTES);
            let asked = asked.await;
            let is_staging = runbook.fleet.staging.as_ref() == Some(instance);
            let why = match asked {
                // Nobody watches the staging slot.
                Ok(answer) if answer.status == 200 && is_staging => None,
                Ok(answer) if answer.status == 200 => {
                    let page = exposed::read(runbook, &answer.body);
                    let page = page.map(|page| pages.push((instance.id.clone(), page)));
                    page.err()
                        .map(|why| format!("the probe would refuse the whole page of {url}: {why}"))
                }
                Ok(answer) => Some(format!("{url} answered {}", answer.status)),
                Err(why) => Some(why),
            };
            findings.extend(why.map(|w| Finding::required(format!("{name}, metrics"), false, w)));
        }
        if let Some(page) = &runbook.fleet.provider {
            let serving = by_page(&client, page, instance, ASK_LIMIT).await;
            let is_staging = runbook.fleet.staging.as_ref() == Some(instance);
            findings.push(says_where(&serving, is_staging, switches_staging(runbook)));
        }
        if let Some(page) = &runbook.fleet.maintenance
            && runbook.fleet.instances.contains(instance)
        {
            let seen = maintenance::by_page(&client, page, instance, ASK_LIMIT).await;
            findings.push(says_whether_it_refuses(&seen));
        }
        findings.extend(instance_files(runbook, folder, instance));
    }
    findings.extend(signals(runbook, &pages));
    if runbook.fleet.provider.is_none() {
        let detail = "`fleet.provider` is not in the runbook: by which database an instance serves is then told by sessions and open files \
                      alone, and where these say nothing, R4 is red, for nobody has seen that the application is back";
        findings.push(Finding::advice("provider", false, detail));
    }
    if runbook.fleet.maintenance.is_none() && switch_file(runbook).is_none() {
        let detail = "`fleet.maintenance` is not in the runbook: nobody would see that an instance leaves maintenance between A1 and F4, and \
                      lets users write";
        findings.push(Finding::advice("maintenance", false, detail));
    }
    if let Some(first) = runbook.fleet.instances.first() {
        let reads = runbook.verification.requests.iter();
        let tokens = Tokens::new(&of_night(runbook, folder), folder);
        tokens.prepare(reads.clone()).await;
        for request in reads.filter(|r| r.class == RequestClass::Read && r.method == "GET") {
            let name = format!("request {} at {}", request.name, first.id);
            let asked = tokens.ask(&client, request, &first.url, ASK_LIMIT);
            let judged = match asked.await {
                Ok(answer) => fleet::request::judge(request, &answer, Some(&answer.body))
                    .map(|()| format!("{} in {:.0} ms", answer.status, answer.ms))
                    .map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let ok = judged.is_ok();
            let detail = judged.unwrap_or_else(|why| why);
            findings.push(Finding::required(name, ok, detail));
        }
    }
    findings
}

/// Configuration and log of an instance, where they can be seen from here.
fn instance_files(runbook: &Runbook, folder: &Path, instance: &Instance) -> Vec<Finding> {
    let mut findings = Vec::new();
    let production = runbook.fleet.instances.iter().any(|i| i.id == instance.id);
    let mut steps = runbook.steps.iter();
    let switched = steps.find_map(|step| step.kind.switched_key());
    if let (
        Some(path),
        Some(SwitchedKey {
            name: key, from, ..
        }),
    ) = (
        configuration_of(runbook, folder, instance),
        switched.filter(|_| production),
    ) {
        let from = of_night(runbook, folder).placeholders.revealed(from);
        let name = format!("instance {}, configuration", instance.id);
        let shown = printable(&path.display().to_string(), 200);
        findings.push(match config_file::value(&path, key) {
            Ok(Some(value)) if value == from => {
                Finding::required(name, true, format!("{shown} has {key}={from}"))
            }
            Ok(Some(_)) => {
                let detail =
                    format!("{key} in {shown} is not `{from}`: has it been switched already?");
                Finding::required(name, false, detail)
            }
            Ok(None) => Finding::required(name, false, format!("{shown} has no {key}")),
            Err(error) => Finding::required(name, false, error.to_string()),
        });
    }
    if let Some(log) = &runbook.fleet.log {
        let path = folder.join(instance.file(log));
        if !path.is_file() {
            let detail = format!(
                "{} is not there (yet); if it never is, {} may be another id than the one by which your restart program knows this instance",
                path.display(),
                instance.id
            );
            let name = format!("instance {}, log", instance.id);
            findings.push(Finding::advice(name, false, printable(&detail, 400)));
        }
    }
    findings
}

/// Every signal that triggers, checklist and baseline need of the instances' pages comes: one that does not leaves a night that can only
/// end in a rollback, and the runbook is fixed once it has begun.
fn signals(runbook: &Runbook, pages: &[(String, String)]) -> Vec<Finding> {
    if pages.is_empty() {
        return Vec::new();
    }
    let needs = exposed::needs(runbook, pages);
    let finding = |need: &Need| {
        let name = format!("signal {}", printable(&need.signal, 60));
        Finding::required(name, need.is_met(), printable(&need.words(), 600))
    };
    needs.iter().map(finding).collect()
}

/// Tonight begins with every instance on SQLite. The staging slot may be on either, but E3 wants it on PostgreSQL.
fn says_where(serving: &Serving, is_staging: bool, switched_by: Option<&str>) -> Finding {
    let name = format!("instance {}, provider", serving.instance);
    let words = printable(&serving.words(), 300);
    match (serving.provider, is_staging) {
        (Some(Provider::Sqlite), true) => {
            let detail = match switched_by {
                Some(step) => format!(
                    "{words}; E3 asks it on PostgreSQL, where {step} is to have switched it"
                ),
                None => format!(
                    "{words}; E3 asks it on PostgreSQL, so somebody has to switch it to `target.runtime_url` between D and E3: a step of kind \
                     `command` before E3, or a person"
                ),
            };
            Finding::advice(name, switched_by.is_some(), detail)
        }
        (Some(Provider::Sqlite), false) | (Some(Provider::Postgres), true) => {
            Finding::required(name, true, words)
        }
        (Some(Provider::Postgres), false) | (None, _) => Finding::required(name, false, words),
    }
}

/// The step of kind `command` that stands between the import and E3, where there is one: what it does is its own business.
fn switches_staging(runbook: &Runbook) -> Option<&str> {
    let after = runbook
        .steps
        .iter()
        .skip_while(|s| !matches!(s.kind, StepKind::Import));
    let mut before = after.take_while(|s| !matches!(s.kind, StepKind::Smoke));
    let step = before.find(|s| matches!(s.kind, StepKind::Command { .. }))?;
    Some(&step.id)
}

/// Its page is understood. That it refuses writes before the night has begun is somebody's doing, and their business.
fn says_whether_it_refuses(seen: &Seen) -> Finding {
    let name = format!("instance {}, maintenance", seen.place);
    let how = printable(&seen.how, 300);
    match seen.sight {
        Sight::Off => Finding::required(name, true, format!("lets writes in ({how})")),
        Sight::On => Finding::advice(name, false, format!("is in maintenance already ({how})")),
        Sight::Unknown => Finding::required(name, false, how),
    }
}
