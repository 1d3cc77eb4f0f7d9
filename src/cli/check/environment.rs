//! What a valid runbook names, looked at: source, target, scratch side, files and folders, disk; and, in rooms of their own, the fleet
//! (`instances`), programs and the rest. Nothing is changed: databases
//! are read, instances are asked with GET, and no program is run but `ssh-keygen`, which reads the lists of signers, the
//! `headers_command` of what is asked, and what asks systemd or compose for what is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{instances, managers, modes, programs, room, servers};
use crate::action::Environment;
use crate::cli::run::{ROOT, ahead};
use crate::cli::{group, rehearse};
use crate::engine::socket::user_of_this_process;
use crate::postgres::{Endpoint, Finding, pooler, preflight, release};
use crate::runbook::disks::{self, KeptCopy};
use crate::runbook::{Migration, Runbook, Step, StepKind};
use crate::sqlite;
use crate::ssh;
use crate::text::printable;

/// Everything that the runbook names, in its order. Relative paths begin at `folder`.
pub async fn examine(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let mut findings = vec![own_account(runbook)];
    let source = folder.join(&runbook.source.file);
    let tables = runbook.clone();
    let read = tokio::task::spawn_blocking(move || source_file(&tables, &source)).await;
    let (source, size_bytes) = read.expect("BUG: reading the source does not panic");
    findings.extend(source);
    findings.extend(holders(runbook, folder).await);
    findings.extend(database("target", &runbook.target.url, Some(&runbook.target.schema)).await);
    findings.extend(database("target, runtime role", &runbook.target.runtime_url, None).await);
    let target = &runbook.target;
    findings.extend(rights("target", &target.url, &target.runtime_url, runbook).await);
    if let Some(rehearsal) = &runbook.rehearsal {
        findings.extend(database("scratch", &rehearsal.url, Some(&runbook.target.schema)).await);
        findings.extend(database("scratch, runtime role", &rehearsal.runtime_url, None).await);
        findings.extend(rights("scratch", &rehearsal.url, &rehearsal.runtime_url, runbook).await);
    }
    findings.extend(told_apart(runbook, folder).await);
    findings.extend(ahead_of_the_night(runbook, folder).await);
    findings.extend(managers::found(runbook));
    findings.extend(managers::examine(runbook, folder).await);
    findings.extend(instances::examine(runbook, folder).await);
    findings.extend(servers::asked(runbook, folder).await);
    findings.extend(servers::listening(runbook));
    findings.extend(servers::figures(runbook));
    let path = std::env::var_os("PATH");
    findings.extend(programs::examine(runbook, folder, path.as_deref()));
    findings.extend(group::examine(runbook));
    findings.extend(signers(runbook, folder).await);
    findings.extend(files(runbook, folder));
    findings.extend(modes::examine(runbook, folder));
    findings.extend(room::examine(runbook, folder, size_bytes));
    findings
}

/// Who else has the SQLite file open. A look that sees nobody proves little, and says nothing.
async fn holders(runbook: &Runbook, folder: &Path) -> Option<Finding> {
    let file = folder.join(&runbook.source.file);
    let others = crate::step::holders::others_of(runbook, &file).await?;
    let detail = format!(
        "{others}: an instance that `fleet.instances` has forgotten, a worker or a job? It would be refused its writes from A1 on, and nobody \
         would restart it on PostgreSQL; G2 waits until it has gone. Name it there, stop it before A1, or name its program under `source.also_open`"
    );
    Some(Finding::advice("source, processes", false, detail))
}

/// What would stop a night later than it has to.
async fn ahead_of_the_night(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let source = folder.join(&runbook.source.file);
    let mut findings = Vec::new();
    let ahead = ahead::look(runbook, &source).await;
    if let Some(why) = ahead.refused {
        findings.push(Finding::required("target, rows", false, why));
    }
    if let Some(why) = ahead.to_discard {
        let name = "target, rows that SQLite lacks";
        findings.push(Finding::advice(name, false, why));
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
    let opened = sqlite::open_read_only(path).map_err(|e| e.to_string());
    let schema = opened.and_then(|c| {
        let schema = sqlite::schema::Schema::read(&c);
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
    if let Some(kind) = sqlite::disk::out_of_sight(path) {
        let detail = format!(
            "the file lies on {kind}: what another host or another mount of it writes cannot be seen from here, and a lock of ours may \
             not reach there. A1 then proves nothing about writers elsewhere; run cutover on the host that has the disk, or stop \
             every other host that mounts it"
        );
        findings.push(Finding::advice("source file system", false, detail));
    }
    if let Some(links) = sqlite::names::links(path) {
        let detail = format!(
            "the file has {links} names (hard links); A1 refuses that, for through another name SQLite uses another log and other locks"
        );
        findings.push(Finding::advice("source names", false, detail));
    }
    let named = runbook.verification.critical.iter();
    let mut missing: Vec<&str> = named
        .filter(|name| {
            let mut tables = schema.tables.iter();
            !tables.any(|t| t.name.eq_ignore_ascii_case(name))
        })
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

/// What B2 will say of a database's runtime role: of the target's in the middle of the freeze, of the scratch database's in a rehearsal. Nothing where
/// it cannot be asked, which is told already.
async fn rights(of: &str, url: &str, runtime_url: &str, runbook: &Runbook) -> Vec<Finding> {
    let target = &runbook.target;
    let is_asked = |step: &Step| matches!(step.kind, StepKind::Privileges);
    let parsed = (Endpoint::parse(url), Endpoint::parse(runtime_url));
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
    let name = format!("{of}, rights of the runtime role");
    match preflight::runtime_role(&client, role, schema, &exempt).await {
        Ok(findings) => {
            let fine = findings.iter().filter(|finding| finding.ok).count();
            let bad = findings.into_iter().filter(|finding| !finding.ok);
            let mut told: Vec<Finding> = bad
                .map(|finding| Finding {
                    name: format!("{of}, {}", finding.name),
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

/// What commands are run with; what is secret they have from this process.
pub(super) fn of_night(runbook: &Runbook, folder: &Path) -> Arc<Environment> {
    Arc::new(Environment::of_night(runbook, folder, Vec::new()))
}

/// Scripts that are read, and folders that are written to.
fn files(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut copies: Vec<(String, PathBuf)> = Vec::new();
    for step in &runbook.steps {
        if let StepKind::Migrate {
            run: Migration::Script(script),
            ..
        } = &step.kind
        {
            findings.push(readable(
                &format!("{} script", step.id),
                &folder.join(script),
            ));
        }
        if let Some(copy) = disks::kept_copy(&step.kind) {
            let what = match copy {
                KeptCopy::Backup(_) => "backup folder",
                KeptCopy::Second(_) => "second place",
            };
            copies.push((format!("{} {what}", step.id), folder.join(copy.folder())));
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
