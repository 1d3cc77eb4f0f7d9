//! What a valid runbook names, looked at: source, target, scratch side, fleet, files and folders, disk. Nothing is changed: databases
//! are read, instances are asked with GET, and no program is run but `ssh-keygen`, which reads the lists of signers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{programs, room};
use crate::action::{Environment, config_file};
use crate::cli::run::{ROOT, ahead};
use crate::cli::{group, rehearse};
use crate::engine::socket::user_of_this_process;
use crate::engine::upkeep::switch_file;
use crate::fleet;
use crate::fleet::maintenance;
use crate::fleet::provider::{Provider, Serving, by_page};
use crate::monitor;
use crate::monitor::metrics::exposed::{self, Need};
use crate::runbook::{
    Instance, Migration, Place, RequestClass, Runbook, Step, StepKind, SwitchHow,
};
use crate::session::maintenance::{Seen, Sight};
use crate::source;
use crate::ssh;
use crate::target::{Endpoint, Finding, pooler, preflight, release};
use crate::text::printable;
use crate::trigger::Reading;

const ASK_LIMIT: Duration = Duration::from_secs(5);
const METRICS_LIMIT_BYTES: usize = 8 << 20;

/// Everything that the runbook names, in its order. Relative paths begin at `folder`.
pub async fn examine(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let mut findings = vec![own_account(runbook)];
    let source = folder.join(&runbook.source.file);
    let tables = runbook.clone();
    let read = tokio::task::spawn_blocking(move || source_file(&tables, &source)).await;
    let (source, size_bytes) = read.expect("BUG: reading the source does not panic");
    findings.extend(source);
    findings.extend(database("target", &runbook.target.url, Some(&runbook.target.schema)).await);
    findings.extend(database("target, runtime role", &runbook.target.runtime_url, None).await);
    findings.extend(rights(runbook).await);
    if let Some(rehearsal) = &runbook.rehearsal {
        findings.extend(database("scratch", &rehearsal.url, Some(&runbook.target.schema)).await);
        findings.extend(database("scratch, runtime role", &rehearsal.runtime_url, None).await);
    }
    findings.extend(told_apart(runbook, folder).await);
    findings.extend(ahead_of_the_night(runbook, folder).await);
    findings.extend(instances(runbook, folder).await);
    findings.extend(servers(runbook).await);
    let path = std::env::var_os("PATH");
    findings.extend(programs::examine(runbook, folder, path.as_deref()));
    findings.extend(group::examine(runbook));
    findings.extend(signers(runbook, folder).await);
    findings.extend(files(runbook, folder));
    findings.extend(room::examine(runbook, folder, size_bytes));
    findings
}

/// What would stop a night later than it has to.
async fn ahead_of_the_night(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let source = folder.join(&runbook.source.file);
    let mut findings = Vec::new();
    if let Some(why) = ahead::occupied(runbook, &source).await {
        findings.push(Finding::required("target, rows", false, why));
    }
    let newest = rehearse::newest(Path::new(ROOT), runbook);
    if let Some(kept) = newest.filter(|kept| kept.runbook_hash == runbook.hash) {
        let stale = ahead::stale(runbook, &source, kept.sandbox, &kept).await;
        let detail = stale
            .clone()
            .unwrap_or_else(|| format!("{} counts", printable(&kept.session, 80)));
        findings.push(Finding::advice("rehearsal", stale.is_none(), detail));
    }
    findings
}

/// Whoever is not on the bridge may look on, but neither rehearse nor press a key.
fn own_account(runbook: &Runbook) -> Finding {
    let account = user_of_this_process();
    let person = runbook.people.iter().find(|p| p.user == account);
    let detail = match person {
        Some(person) => format!("{account} is {}", printable(&person.name, 80)),
        None => format!(
            "{account} is the account of nobody in `people`: from it one may look on, and neither rehearse nor act"
        ),
    };
    Finding::advice("own account", person.is_some(), detail)
}

/// Everybody who may have to sign with an SSH key is listed, and the lists are what they should be.
async fn signers(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let Some(signatures) = &runbook.signatures else {
        return Vec::new();
    };
    let allowed = folder.join(&signatures.allowed_signers);
    let mut findings = vec![readable("allowed signers", &allowed)];
    findings.extend(only_its_owner_may_write("allowed signers, mode", &allowed));
    if let Some(revoked) = &signatures.revoked {
        let revoked = folder.join(revoked);
        let shown = printable(&revoked.display().to_string(), 240);
        findings.push(match ssh::is_revocation_list(&revoked).await {
            Ok(true) => Finding::required("revoked keys", true, shown),
            Ok(false) => {
                let detail = format!("{shown} is neither a KRL nor a list of public keys");
                Finding::required("revoked keys", false, detail)
            }
            Err(why) => Finding::required("revoked keys", false, format!("{shown}: {why}")),
        });
        findings.extend(only_its_owner_may_write("revoked keys, mode", &revoked));
    }
    let gates = signatures.gates(&runbook.gates);
    let wanted = runbook.gates.iter().filter(|g| gates.contains(&g.id));
    let roles: Vec<_> = wanted.flat_map(|g| g.signers.iter().copied()).collect();
    for person in &runbook.people {
        if !roles.iter().any(|role| runbook.may_act(person, *role)) {
            continue;
        }
        let principal = person.principal();
        let name = format!("signer {}", person.id);
        findings.push(match ssh::lists_principal(&allowed, principal).await {
            Ok(true) => Finding::required(name, true, format!("{principal} is listed")),
            Ok(false) => {
                let detail = format!("no line of the allowed signers is for {principal}");
                Finding::required(name, false, detail)
            }
            Err(why) => Finding::required(name, false, why),
        });
    }
    findings
}

/// Whoever may write the list may sign as everybody.
fn only_its_owner_may_write(name: &str, path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().ok()?.permissions().mode();
    let detail = "others than its owner may change it: chmod go-w";
    (mode & 0o022 != 0).then(|| Finding::advice(name, false, detail.to_owned()))
}

/// The SQLite file: it opens, and holds the tables that the runbook names. Its size comes beside.
fn source_file(runbook: &Runbook, path: &Path) -> (Vec<Finding>, u64) {
    let shown = path.display();
    let opened = source::open_read_only(path).map_err(|e| e.to_string());
    let schema = opened.and_then(|c| {
        let schema = source::schema::Schema::read(&c);
        schema.map_err(|e| format!("{shown}: {e}"))
    });
    let schema = match schema {
        Ok(schema) => schema,
        Err(why) => return (vec![Finding::required("source", false, why)], 0),
    };
    let size_bytes = path.metadata().map_or(0, |m| m.len());
    let detail = format!(
        "{shown}: {} tables, {size_bytes} bytes",
        schema.tables.len()
    );
    let mut findings = vec![Finding::required("source", true, detail)];
    if let Some(kind) = source::disk::out_of_sight(path) {
        let detail = format!(
            "the file lies on {kind}: what another host or another mount of it writes cannot be seen from here, and a lock of ours may \
             not reach there. A1 then proves nothing about writers elsewhere; run cutover on the host that has the disk, or stop \
             every other host that mounts it"
        );
        findings.push(Finding::advice("source file system", false, detail));
    }
    if let Some(links) = source::names::links(path) {
        let detail = format!(
            "the file has {links} names (hard links); A1 refuses that, for through another name SQLite uses another log and other locks"
        );
        findings.push(Finding::advice("source names", false, detail));
    }
    let named = runbook
        .verification
        .critical
        .iter()
        .chain(runbook.transfer.lists.iter().map(|l| &l.table))
        .chain(runbook.transfer.slugs.iter().map(|s| &s.table));
    let mut missing: Vec<&str> = named
        .filter(|name| !schema.tables.iter().any(|t| t.name == **name))
        .map(String::as_str)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        let detail = format!("the file has no table {}", missing.join(", "));
        findings.push(Finding::required("source tables", false, detail));
    }
    (findings, size_bytes)
}

/// A connection, and for the owner everything that B1 asks.
async fn database(name: &str, url: &str, owned_schema: Option<&str>) -> Vec<Finding> {
    let failed = |why: String| vec![Finding::required(name, false, why)];
    let endpoint = match Endpoint::parse(url) {
        Ok(endpoint) => endpoint,
        Err(error) => return failed(error.to_string()),
    };
    let client = match pooler::connect(&endpoint).await {
        Ok(client) => client,
        Err(error) => return failed(error.to_string()),
    };
    let released = release::newest(&client).await.ok().flatten();
    if let Some(release) = released.filter(|_| name == "target") {
        let detail = format!(
            "it is in production: session {} on {} completed its release at {}",
            release.session, release.host, release.completed
        );
        return failed(printable(&detail, 300));
    }
    let Some(schema) = owned_schema else {
        let detail = format!("{} logs in at {}", endpoint.user(), endpoint.host_label());
        return vec![Finding::required(name, true, printable(&detail, 200))];
    };
    match preflight::database(&client, &endpoint, schema).await {
        Ok(findings) => findings
            .into_iter()
            .map(|finding| Finding {
                name: format!("{name}: {}", finding.name),
                ..finding
            })
            .collect(),
        Err(error) => failed(error.to_string()),
    }
}

/// What B2 will say of the runtime role, in the middle of the freeze; nothing where the target cannot be asked, which is told already.
async fn rights(runbook: &Runbook) -> Vec<Finding> {
    let target = &runbook.target;
    let is_asked = |step: &Step| matches!(step.kind, StepKind::Privileges);
    let parsed = (
        Endpoint::parse(&target.url),
        Endpoint::parse(&target.runtime_url),
    );
    let (Ok(owner), Ok(runtime)) = parsed else {
        return Vec::new();
    };
    let Ok(client) = pooler::connect(&owner).await else {
        return Vec::new();
    };
    if !runbook.steps.iter().any(is_asked) {
        return Vec::new();
    }
    let (role, schema) = (runtime.user(), &target.schema);
    let exempt = [target.history.table.as_str()];
    let name = "target, rights of the runtime role";
    match preflight::runtime_role(&client, role, schema, &exempt).await {
        Ok(findings) => {
            let fine = findings.iter().filter(|finding| finding.ok).count();
            let bad = findings.into_iter().filter(|finding| !finding.ok);
            let mut told: Vec<Finding> = bad
                .map(|finding| Finding {
                    name: format!("target, {}", finding.name),
                    ..finding
                })
                .collect();
            told.push(Finding::required(
                name,
                true,
                format!("{fine} checks passed"),
            ));
            told
        }
        Err(error) => vec![Finding::required(name, false, error.to_string())],
    }
}

/// Whether what a rehearsal uses is production under another name.
async fn told_apart(runbook: &Runbook, folder: &Path) -> Option<Finding> {
    let name = "rehearsal beside production";
    runbook.rehearsal.as_ref()?;
    let folder = std::path::absolute(folder).unwrap_or(folder.to_owned());
    Some(match rehearse::refuse_production(runbook, &folder).await {
        Ok(()) => {
            let detail =
                "the copy, the scratch database and the staging slot are none of production's";
            Finding::required(name, true, detail)
        }
        Err(error) => Finding::required(name, false, printable(&format!("{error:#}"), 400)),
    })
}

/// Servers that probes ask answer now: one that says nothing leaves triggers blind tonight. What a query does not know yet is advice.
async fn servers(runbook: &Runbook) -> Vec<Finding> {
    let client = fleet::client();
    let mut findings = Vec::new();
    for probe in &runbook.probes {
        let Some(readings) = monitor::ask_once(client.clone(), probe).await else {
            continue;
        };
        let name = format!("probe {}", probe.id);
        let silent: Vec<_> = readings
            .iter()
            .filter_map(|(signal, reading)| match reading {
                Reading::NoData { reason } => Some(format!("{signal}: {reason}")),
                Reading::Value { .. } | Reading::Partial { .. } => None,
            })
            .collect();
        let known = readings.len() - silent.len();
        let detail = printable(
            &match silent.first() {
                None => format!("all of its signals ({known})"),
                Some(first) => format!("{known} of {} signals; {first}", readings.len()),
            },
            300,
        );
        findings.push(match known {
            0 => Finding::required(name, false, detail),
            _ => Finding::advice(name, silent.is_empty(), detail),
        });
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
fn says_where(serving: &Serving, is_staging: bool) -> Finding {
    let name = format!("instance {}, provider", serving.instance);
    let words = printable(&serving.words(), 300);
    match (serving.provider, is_staging) {
        (Some(Provider::Sqlite), true) => {
            let needs = "E3 asks it on PostgreSQL, so somebody has to switch it to `target.runtime_url` between D and E3: a step of kind \
                         `command` before E3, or a person";
            Finding::advice(name, false, format!("{words}; {needs}"))
        }
        (Some(Provider::Sqlite), false) | (Some(Provider::Postgres), true) => {
            Finding::required(name, true, words)
        }
        (Some(Provider::Postgres), false) | (None, _) => Finding::required(name, false, words),
    }
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

/// Every instance is ready, shows its metrics, says what it serves from, and has the configuration and log that the runbook says.
async fn instances(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let client = fleet::client();
    let (mut findings, mut pages) = (Vec::new(), Vec::new());
    let staging = runbook.fleet.staging.iter();
    for instance in runbook.fleet.instances.iter().chain(staging) {
        let name = format!("instance {}", instance.id);
        let ready = fleet::ready_once(&client, &runbook.fleet, instance, ASK_LIMIT).await;
        findings.push(match ready {
            Ok(()) => Finding::required(name.clone(), true, format!("ready at {}", instance.url)),
            Err(error) => Finding::required(name.clone(), false, error.to_string()),
        });
        if let Some(metrics) = &runbook.fleet.metrics {
            let url = metrics.replace("{url}", &instance.url);
            let asked = fleet::request::get(&client, &url, ASK_LIMIT, METRICS_LIMIT_BYTES).await;
            let is_staging = runbook.fleet.staging.as_ref() == Some(instance);
            let why = match asked {
                Ok(answer) if answer.status == 200 => {
                    // Nobody watches the staging slot.
                    if !is_staging {
                        let page = String::from_utf8_lossy(&answer.body).into_owned();
                        pages.push((instance.id.clone(), page));
                    }
                    None
                }
                Ok(answer) => Some(format!("{url} answered {}", answer.status)),
                Err(error) => Some(error.to_string()),
            };
            findings.extend(why.map(|w| Finding::required(format!("{name}, metrics"), false, w)));
        }
        if let Some(page) = &runbook.fleet.provider {
            let serving = by_page(&client, page, instance, ASK_LIMIT).await;
            let is_staging = runbook.fleet.staging.as_ref() == Some(instance);
            findings.push(says_where(&serving, is_staging));
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
        for request in reads.filter(|r| r.class == RequestClass::Read && r.method == "GET") {
            let name = format!("request {} at {}", request.name, first.id);
            let asked = fleet::request::ask(&client, request, &first.url, ASK_LIMIT).await;
            let judged = match asked {
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
    let values = Environment::of_night(runbook, folder, Vec::new()).placeholders;
    let filled = |template: &String| {
        let text = template.replace("{instance}", &instance.id);
        folder.join(text.replace("{host}", &instance.host))
    };
    let mut findings = Vec::new();
    let production = runbook.fleet.instances.iter().any(|i| i.id == instance.id);
    let switch = runbook.steps.iter().find_map(|step| match &step.kind {
        StepKind::Switch {
            how: SwitchHow::Key { key, from, .. },
        } => Some((key, values.revealed(from))),
        _ => None,
    });
    if let (Some(config), Some((key, from))) =
        (&runbook.fleet.config, switch.filter(|_| production))
    {
        let path = filled(config);
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
        let path = filled(log);
        if !path.is_file() {
            let detail = format!("{} is not there (yet)", path.display());
            let name = format!("instance {}, log", instance.id);
            findings.push(Finding::advice(name, false, printable(&detail, 240)));
        }
    }
    findings
}

/// Scripts that are read, and folders that are written to.
fn files(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut copies: Vec<(String, PathBuf)> = Vec::new();
    for step in &runbook.steps {
        match &step.kind {
            StepKind::Migrate {
                run: Migration::Script(script),
                ..
            } => findings.push(readable(
                &format!("{} script", step.id),
                &folder.join(script),
            )),
            StepKind::Backup { to, .. } => {
                copies.push((format!("{} backup folder", step.id), folder.join(to)));
            }
            StepKind::StoreBackup {
                place: Place::Directory(to),
                ..
            } => copies.push((format!("{} second place", step.id), folder.join(to))),
            _ => {}
        }
    }
    if let Some(rehearsal) = &runbook.rehearsal {
        let (live, copy) = (&runbook.source.file, &rehearsal.copy);
        if let Some(above) = copy.parent() {
            copies.push(("rehearsal folder".into(), folder.join(above)));
        }
        let looked = crate::ours::copy::look(&folder.join(live), &folder.join(copy));
        let may = looked.is_ok();
        let detail = match looked {
            Ok(()) => format!("{} is free, or our own", copy.display()),
            Err(why) => why.to_string(),
        };
        findings.push(Finding::required("rehearsal copy", may, detail));
    }
    if let Some(spare) = &runbook.bridge_spare {
        copies.push(("spare folder".into(), folder.join(spare)));
    }
    for (name, path) in &copies {
        findings.push(writable(name, path));
    }
    findings
}

fn readable(name: &str, path: &Path) -> Finding {
    let shown = printable(&path.display().to_string(), 240);
    match std::fs::File::open(path) {
        Ok(_) => Finding::required(name, true, shown),
        Err(error) => Finding::required(name, false, format!("{shown}: {error}")),
    }
}

/// Asks the operating system; nothing is written.
fn writable(name: &str, path: &Path) -> Finding {
    use rustix::fs::{Access, access};
    let existing = path.ancestors().find(|at| at.exists());
    let at = existing.unwrap_or(Path::new("/"));
    let shown = printable(&path.display().to_string(), 240);
    let detail = match (at.is_dir(), access(at, Access::WRITE_OK | Access::EXEC_OK)) {
        (false, _) => Err(format!("{} is not a folder", at.display())),
        (true, Err(error)) => Err(format!("{shown}: {}", std::io::Error::from(error))),
        (true, Ok(())) if at == path => Ok(shown),
        (true, Ok(())) => Ok(format!("{shown}, which will be made")),
    };
    let ok = detail.is_ok();
    Finding::required(name, ok, detail.unwrap_or_else(|why| why))
}
