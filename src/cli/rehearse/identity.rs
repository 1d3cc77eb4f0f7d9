//! Before a rehearsal begins: nothing that it will use is production under another name. Instances are known by the address that they
//! answer at, files by device and inode, databases by system identifier and oid. An identity that cannot be read refuses. Not in here: the
//! scratch database's own claim, and actions (`runbook::rehearsal`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::identity::TargetIdentity;
use crate::postgres::{self, Endpoint};
use crate::production::configuration_of;
use crate::runbook::production::Production;
use crate::runbook::{Instance, Rehearsal, Runbook, SwitchedKey};
use crate::sqlite;
use crate::text::printable;

/// What follows a refusal.
const UNTOUCHED: &str = "Nothing was touched";
/// What SQLite keeps beside a file, under its name.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Refuses a rehearsal that would use production. Relative paths begin at `base`.
///
/// # Errors
/// What is production, or what cannot be told.
pub(in crate::cli) async fn refuse_production(
    runbook: &Runbook,
    base: &Path,
) -> anyhow::Result<()> {
    let scratch = runbook.rehearsal.as_ref();
    let scratch = scratch.context("the runbook has no `rehearsal` section")?;
    let staging = runbook.fleet.staging.as_ref();
    let staging = staging.context("a rehearsal needs `fleet.staging`")?;
    copy(&base.join(&runbook.source.file), &base.join(&scratch.copy))?;
    switch(runbook, base)?;
    point(runbook, base, scratch)?;
    configuration(runbook, base, staging)?;
    address(runbook, staging).await?;
    databases(runbook, scratch).await
}

/// The copy is another file than the live one, and none of those that SQLite keeps beside it.
fn copy(live: &Path, copy: &Path) -> anyhow::Result<()> {
    let live_identity = sqlite::identity(live).with_context(|| {
        format!(
            "the live SQLite file {} cannot be told from the copy. {UNTOUCHED}",
            live.display()
        )
    })?;
    for suffix in BESIDE {
        let mut beside = live.as_os_str().to_owned();
        beside.push(suffix);
        ensure!(
            copy.as_os_str() != beside,
            "`rehearsal.copy` is {}, which belongs to the live SQLite file; name a file of the rehearsal's own. {UNTOUCHED}",
            copy.display()
        );
    }
    let same = sqlite::identity(copy).is_ok_and(|identity| identity == live_identity);
    ensure!(
        !same,
        "`rehearsal.copy` {} is the live SQLite file {} under another name ({live_identity}); name a file of the rehearsal's own. {UNTOUCHED}",
        copy.display(),
        live.display()
    );
    Ok(())
}

/// The switch's values are written to the staging slot's configuration: neither leads to production.
fn switch(runbook: &Runbook, base: &Path) -> anyhow::Result<()> {
    let production = Production::of(runbook, &base.join(&runbook.source.file));
    for step in &runbook.steps {
        let Some(SwitchedKey {
            name: key,
            from,
            to,
        }) = step.kind.switched_key()
        else {
            continue;
        };
        for (name, value, instead) in [("to", to, "{runtime_url}"), ("from", from, "{source_url}")]
        {
            if let Some(what) = production.named_in(value) {
                bail!(
                    "{}: `{name}` of the switch names {what} of production, and a rehearsal writes it to the staging slot's {key}, so that \
                     staging would serve from there. Write what follows the session in its place, such as `{name}: \"{instead}\"` (or its \
                     parts, in the application's own spelling): in a rehearsal that is the copy and the scratch database. {UNTOUCHED}",
                    step.id
                );
            }
        }
    }
    Ok(())
}

/// What points the staging slot at the copy and the scratch database does not point it at production.
fn point(runbook: &Runbook, base: &Path, scratch: &Rehearsal) -> anyhow::Result<()> {
    let production = Production::of(runbook, &base.join(&runbook.source.file));
    let texts = scratch.point.iter().flat_map(|action| action.texts());
    if let Some(what) = texts.into_iter().find_map(|text| production.named_in(text)) {
        bail!(
            "`rehearsal.point` names {what} of production, so that staging would serve from there. Write `{{source_file}}`, `{{source_url}}` \
             or `{{runtime_url}}` in its place: in a rehearsal these are the copy and the scratch database. {UNTOUCHED}"
        );
    }
    Ok(())
}

/// The staging slot has a configuration file of its own: F1 writes to it. In the night it may lead to production, where E3 wants it.
fn configuration(runbook: &Runbook, base: &Path, staging: &Instance) -> anyhow::Result<()> {
    let Some(own) = configuration_of(runbook, base, staging) else {
        return Ok(());
    };
    let identity = sqlite::identity(&own).ok();
    for instance in &runbook.fleet.instances {
        let Some(other) = configuration_of(runbook, base, instance) else {
            continue;
        };
        let is_same =
            own == other || (identity.is_some() && identity == sqlite::identity(&other).ok());
        ensure!(
            !is_same,
            "the configuration of the staging slot, {}, is that of the instance {}; a rehearsal switches it to PostgreSQL, so it has to be \
             another file. Where the instances share one, write `config: \"env/{{instance}}.env\"` and make a link in `env` for each instance to the \
             shared file, and one for staging to a file of its own. {UNTOUCHED}",
            own.display(),
            instance.id
        );
    }
    Ok(())
}

/// The staging slot answers at another address than every instance.
async fn address(runbook: &Runbook, staging: &Instance) -> anyhow::Result<()> {
    let own = addresses(staging).await?;
    for instance in &runbook.fleet.instances {
        let shared = addresses(instance).await?;
        if let Some(same) = own.intersection(&shared).next() {
            bail!(
                "the staging slot ({}) and the instance {} ({}) are both {same}: a rehearsal restarts and writes to what answers there, so \
                 staging needs an address and a port of its own. {UNTOUCHED}",
                printable(&staging.url, 200),
                instance.id,
                printable(&instance.url, 200)
            );
        }
    }
    Ok(())
}

/// Every address at which a base URL is answered. Those of this machine count as one.
async fn addresses(instance: &Instance) -> anyhow::Result<BTreeSet<SocketAddr>> {
    let shown = printable(&instance.url, 200);
    let url = url::Url::parse(&instance.url).with_context(|| format!("{shown}. {UNTOUCHED}"))?;
    let (host, port) = url
        .host_str()
        .zip(url.port_or_known_default())
        .with_context(|| format!("{shown} has no host. {UNTOUCHED}"))?;
    let host = host.trim_matches(['[', ']']);
    let found = tokio::net::lookup_host((host, port)).await;
    let found = found.with_context(|| {
        format!(
            "the address of {} ({shown}) cannot be looked up, so it cannot be told from the others. {UNTOUCHED}",
            instance.id
        )
    })?;
    Ok(found
        .map(|at| SocketAddr::new(as_one_host(at.ip()), at.port()))
        .collect())
}

/// One address for all that this machine is usually reached by; others as they are.
fn as_one_host(address: IpAddr) -> IpAddr {
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = address.to_canonical();
    let is_own = || UdpSocket::bind((address, 0)).is_ok();
    match address {
        IpAddr::V6(Ipv6Addr::LOCALHOST) => HERE,
        address if address.is_unspecified() => HERE,
        // Further addresses of the loopback network are told apart: somebody gave each its own program on purpose.
        address if address.is_loopback() => address,
        _ if is_own() => HERE,
        address => address,
    }
}

/// The scratch URLs lead to one database, and the target's to another.
async fn databases(runbook: &Runbook, scratch: &Rehearsal) -> anyhow::Result<()> {
    let target = &runbook.target;
    let owner = database("rehearsal.url", &scratch.url).await?;
    let runtime = database("rehearsal.runtime_url", &scratch.runtime_url).await?;
    let production = database("target.url", &target.url).await?;
    for (name, identity) in [
        ("rehearsal.url", &owner),
        ("rehearsal.runtime_url", &runtime),
    ] {
        ensure!(
            *identity != production,
            "`{name}` leads to the target's own database ({production}): what a rehearsal does there it would do to production. {UNTOUCHED}"
        );
    }
    ensure!(
        owner == runtime,
        "`rehearsal.url` leads to another database ({owner}) than `rehearsal.runtime_url` ({runtime}): the migrations would not be where \
         the application looks. {UNTOUCHED}"
    );
    Ok(())
}

async fn database(name: &str, url: &str) -> anyhow::Result<TargetIdentity> {
    let unread = || {
        format!(
            "`{name}`: which database it leads to cannot be read, so it cannot be told from production. {UNTOUCHED}"
        )
    };
    let endpoint = Endpoint::parse(url).with_context(unread)?;
    let client = endpoint.connect().await.with_context(unread)?;
    postgres::identity(&client).await.with_context(unread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(url: &str) -> Instance {
        Instance {
            id: "staging".into(),
            url: url.into(),
            host: String::new(),
            canary: false,
            called: None,
        }
    }

    #[tokio::test]
    async fn one_place_has_several_addresses() {
        let at = async |url: &str| addresses(&instance(url)).await.expect("addresses");
        let here = at("http://127.0.0.1:5001").await;
        for url in [
            "http://localhost:5001/app",
            "http://[::1]:5001",
            "http://0.0.0.0:5001",
            "http://[::ffff:127.0.0.1]:5001",
        ] {
            assert!(!at(url).await.is_disjoint(&here), "{url}");
        }
        for url in [
            "http://127.0.0.1:5002",
            "http://127.0.0.2:5001",
            "http://10.9.8.7:5001",
        ] {
            assert!(at(url).await.is_disjoint(&here), "{url}");
        }
    }

    #[test]
    fn a_copy_is_no_name_of_the_live_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let live = folder.path().join("app.db");
        std::fs::write(&live, "").expect("a file");
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&live, &link).expect("a link");
        let hard = folder.path().join("hard.db");
        std::fs::hard_link(&live, &hard).expect("a link");
        let wal = folder.path().join("app.db-wal");
        for other in [&live, &link, &hard, &wal] {
            let refused = copy(&live, other).expect_err("a refusal").to_string();
            assert!(refused.contains("live SQLite file"), "{refused}");
        }
        copy(&live, &folder.path().join("copy.db")).expect("another file");
        let unread = copy(&folder.path().join("none"), &live).expect_err("a refusal");
        assert!(unread.to_string().contains(UNTOUCHED));
    }
}
