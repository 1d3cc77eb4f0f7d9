//! The instances and the staging slot, asked: where they answer, and by which ids they are restarted. Not in here: what else belongs to them
//! ([`super`]).

use url::Url;

use super::{Asker, Question};
use crate::runbook::draft::known::{Found, Known, Slot};
use crate::text::printable;

/// The instances and the staging slot, those that were found as defaults.
pub(super) fn all(asker: &mut Asker<'_>, known: &mut Known) -> anyhow::Result<()> {
    let bare = |slot: &Slot| slot.url.yaml.trim_matches('"').to_owned();
    let found: Vec<String> = known.instances.iter().map(bare).collect();
    let default = match found.is_empty() {
        true => "http://127.0.0.1:8000".to_owned(),
        false => found.join(" "),
    };
    let question = Question {
        what: "Base URLs of the instances, apart by blanks?",
        why: "every process that serves the application; the first is restarted first",
        default: &default,
    };
    let urls = asker.ask(&question, |answer| {
        let urls = answer.split_whitespace().map(base_url);
        urls.collect::<Result<Vec<String>, String>>()
    })?;
    if urls != found {
        let made = urls.iter().enumerate().map(|(n, url)| Slot {
            id: format!("app-{}", n + 1),
            url: Found::text(url, ""),
        });
        known.instances = made.collect();
    }
    staging(asker, known, &urls)?;
    ids(asker, known)
}

/// By what the restart program knows them: nothing else than a restart tells whether an id is right.
fn ids(asker: &mut Asker<'_>, known: &mut Known) -> anyhow::Result<()> {
    let drafted: Vec<&str> = known
        .instances
        .iter()
        .map(|slot| slot.id.as_str())
        .collect();
    let default = drafted.join(" ");
    let staging = known.staging.as_ref().map(|slot| slot.id.clone());
    let question = Question {
        what: "Their ids, as your restart program knows them, in the order of the URLs?",
        why: "{instance} stands for it in the restart, the log and the configuration; a rehearsal restarts staging alone, and cannot tell",
        default: &default,
    };
    let count = known.instances.len();
    let ids = asker.ask(&question, |answer| {
        ids_of(answer, count, staging.as_deref())
    })?;
    for (slot, id) in known.instances.iter_mut().zip(ids) {
        slot.id = id;
    }
    Ok(())
}

fn ids_of(answer: &str, count: usize, staging: Option<&str>) -> Result<Vec<String>, String> {
    let ids: Vec<String> = answer.split_whitespace().map(str::to_owned).collect();
    if ids.len() != count {
        return Err(format!("as many ids as URLs are expected: {count}"));
    }
    for (n, id) in ids.iter().enumerate() {
        if !Slot::is_id(id) {
            return Err(format!("{} is no id such as app-1", printable(id, 80)));
        }
        if ids[..n].contains(id) || staging == Some(id.as_str()) {
            return Err(format!("{id} is the id of another"));
        }
    }
    Ok(ids)
}

fn staging(asker: &mut Asker<'_>, known: &mut Known, urls: &[String]) -> anyhow::Result<()> {
    if known.staging.is_some() {
        return Ok(());
    }
    let question = Question {
        what: "Base URL of a staging slot?",
        why: "it is asked on PostgreSQL before anybody is switched, and plays production in a rehearsal",
        default: "http://127.0.0.1:8009",
    };
    let url = asker.ask(&question, |answer| match base_url(answer) {
        Ok(url) if urls.contains(&url) => Err("it is an instance of production".to_owned()),
        other => other,
    })?;
    known.staging = Some(Slot {
        id: "staging".to_owned(),
        url: Found::text(&url, ""),
    });
    Ok(())
}

fn base_url(answer: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "{} is no base URL such as http://10.0.0.1:5000",
            printable(answer, 80)
        )
    };
    let url = Url::parse(answer).map_err(|_| wrong())?;
    let is_base = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.password().is_none();
    match is_base {
        true => Ok(answer.trim_end_matches('/').to_owned()),
        false => Err(wrong()),
    }
}
