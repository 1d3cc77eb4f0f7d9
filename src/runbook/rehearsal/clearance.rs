//! Which actions a rehearsal may run, and what it loses by those that it may not. An action runs if it follows the session, or has a
//! `rehearse:` form; one that names production does not run, whatever is written beside it. Pure.

use std::fmt;

use crate::runbook::action::{Action, Rehearse};
use crate::runbook::placed::{Purpose, Spot};
use crate::runbook::production::Production;
use crate::runbook::{RehearsalPart, Request, Runbook, StepKind};

/// What tells whether an action leaves production alone.
pub(super) struct Ground {
    production: Production,
    /// Whether the staging slot has a host of its own, so that `{host}` alone leads away from production.
    own_host: bool,
}

/// An action that a rehearsal does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRun {
    pub spot: Spot,
    /// Why it is not run.
    pub why: Why,
    /// What the rehearsal cannot prove without it; `None` where it proves all the same.
    pub costs: Option<RehearsalPart>,
    /// Which part's line names it.
    pub part: RehearsalPart,
}

/// Why an action is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Nothing in it leads anywhere else in a rehearsal than in the night.
    DoesNotFollow,
    /// It names this part of production.
    NamesProduction(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::DoesNotFollow => f.write_str(
                "nothing in it follows the session, so it would do to production what it does in the night",
            ),
            Why::NamesProduction(what) => write!(f, "it names {what} of production"),
        }
    }
}

/// `C1 was not run: …`, for the evidence.
impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was not run: {}", self.spot.name, self.why)
    }
}

impl NotRun {
    /// Which gate of the protocol wants the part that this action costs.
    pub fn gate(&self) -> Option<&'static str> {
        self.costs.map(|part| match part {
            RehearsalPart::Migrations => "K3",
            RehearsalPart::Import => "K4",
            RehearsalPart::Rollback => "K6",
        })
    }

    /// The one line by which it would run.
    pub fn mend(&self) -> String {
        if let Why::NamesProduction(_) = self.why
            && self.spot.purpose != Purpose::Request
        {
            return "write a placeholder that follows the session in its place, such as `{target_url}` or `{source_file}`; or `rehearse:` \
                    with what a rehearsal does instead"
                .to_owned();
        }
        match self.spot.purpose {
            Purpose::Migrate => "`env: { DATABASE_URL: \"{target_url}\" }`, with the variable that the command reads".to_owned(),
            purpose if purpose.is_per_instance() => {
                "name the instance: `{instance}` or `{url}`; or `rehearse: same`, if it leaves production alone".to_owned()
            }
            Purpose::Request => "begin its URL with `{url}`, which is the staging slot's in a rehearsal".to_owned(),
            _ => "`rehearse: same`, if it leaves production alone; or `rehearse:` with what a rehearsal does instead".to_owned(),
        }
    }
}

impl Ground {
    pub(super) fn of(runbook: &Runbook) -> Ground {
        let fleet = &runbook.fleet;
        let shared = |staging: &super::super::Instance| {
            fleet.instances.iter().any(|i| i.host == staging.host)
        };
        Ground {
            production: Production::of(runbook, &runbook.source.file),
            own_host: fleet.staging.as_ref().is_some_and(|s| !shared(s)),
        }
    }

    /// What a rehearsal runs for an action.
    pub(super) fn cleared(&self, spot: &Spot, action: &Action) -> Result<Action, Why> {
        let (candidate, by_word) = match &action.rehearse {
            Rehearse::Instead(other) => (other.as_ref(), true),
            Rehearse::Same => (action, true),
            Rehearse::IfItFollows | Rehearse::Never(_) => (action, false),
        };
        // The rehearsal's own are written for it; the way back may have to name what staging is configured for by day.
        if spot.purpose == Purpose::Point {
            return Ok(candidate.clone().cleared());
        }
        let mut texts = candidate.texts().into_iter();
        if let Some(what) = texts.find_map(|text| self.production.named_in(text)) {
            return Err(Why::NamesProduction(what));
        }
        match by_word || candidate.follows_session() || self.follows_instance(spot, candidate) {
            true => Ok(candidate.clone().cleared()),
            false => Err(Why::DoesNotFollow),
        }
    }

    /// Whether a request of `verification` goes to the staging slot, which plays production: it begins with `{url}`.
    pub(super) fn goes_to_staging(&self, request: &Request) -> Result<(), Why> {
        let headers = request.headers.iter().map(|(_, value)| value.as_str());
        let mut texts = [request.url.as_str()]
            .into_iter()
            .chain(headers)
            .chain(request.body.as_deref());
        match texts.find_map(|text| self.production.named_in(text)) {
            Some(what) => Err(Why::NamesProduction(what)),
            None if request.url.starts_with("{url}") => Ok(()),
            None => Err(Why::DoesNotFollow),
        }
    }

    /// The staging slot plays production, so what names the instance is done to staging. Its host may be production's, too.
    fn follows_instance(&self, spot: &Spot, action: &Action) -> bool {
        let uses = |names: &[&str]| action.acts_by(names) || action.asks_any(names);
        spot.purpose.is_per_instance()
            && (uses(&["instance", "url"]) || (self.own_host && uses(&["host"])))
    }
}

/// Every action that a rehearsal of this runbook would not run, and whose place nothing of the rehearsal's own takes.
pub fn not_run(runbook: &Runbook) -> Vec<NotRun> {
    let ground = Ground::of(runbook);
    let actions = runbook.actions();
    let refused = actions.iter().filter_map(|(spot, action)| {
        let (costs, part) = cost(runbook, spot)?;
        let why = ground.cleared(spot, action).err()?;
        Some(NotRun {
            spot: spot.clone(),
            why,
            costs: costs.then_some(part),
            part,
        })
    });
    let verification = &runbook.verification;
    let requests = verification.requests.iter();
    let requests =
        requests.map(|request| (format!("verification.requests[{}]", request.name), request));
    let write = verification.write.iter();
    let write = write.map(|request| ("verification.write".to_owned(), request));
    let requests = requests.chain(write).filter_map(|(path, request)| {
        let why = ground.goes_to_staging(request).err()?;
        let spot = Spot {
            path,
            name: request.name.clone(),
            purpose: Purpose::Request,
        };
        Some(NotRun {
            spot,
            why,
            costs: None,
            part: RehearsalPart::Rollback,
        })
    });
    refused.chain(requests).collect()
}

/// Whether a part of the rehearsal proves nothing without an action, and which part it belongs to. `None` for what a rehearsal leaves out
/// as a whole, or does in its own way: which instances production has, who is told, what is watched, maintenance, the second place, the dump.
fn cost(runbook: &Runbook, spot: &Spot) -> Option<(bool, RehearsalPart)> {
    match spot.purpose {
        Purpose::Migrate => Some((true, RehearsalPart::Migrations)),
        Purpose::Switch
        | Purpose::Restart
        | Purpose::RollbackRestart
        | Purpose::RollbackRow
        | Purpose::Undo => Some((true, RehearsalPart::Rollback)),
        Purpose::Connect => Some((false, RehearsalPart::Rollback)),
        Purpose::Step => Some((false, part_of(runbook, &spot.name))),
        Purpose::Discovery
        | Purpose::Point
        | Purpose::MaintenanceOn
        | Purpose::MaintenanceOff
        | Purpose::SecondPlace
        | Purpose::Dump
        | Purpose::Notice
        | Purpose::Probe
        | Purpose::Log
        | Purpose::Request => None,
    }
}

/// Which part proves what comes right after this step.
fn part_of(runbook: &Runbook, step: &str) -> RehearsalPart {
    let at = |found: &dyn Fn(&super::super::Step) -> bool| runbook.steps.iter().position(found);
    let step = at(&|s| s.id == step);
    let before = |kind: fn(&StepKind) -> bool| step < at(&|s| kind(&s.kind));
    if before(|k| matches!(k, StepKind::MigrationHistory)) {
        RehearsalPart::Migrations
    } else if before(|k| matches!(k, StepKind::ParityGate)) {
        RehearsalPart::Import
    } else {
        RehearsalPart::Rollback
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runbook::action::Effect;
    use crate::runbook::rehearsal;

    /// The reference with a production that has names of its own.
    fn runbook() -> Runbook {
        let text = include_str!("../../../runbook.yaml");
        let env = |name: &str| {
            Some(match name {
                "TARGET_URL" => "postgres://owner:pw@db.internal:5433/app".to_owned(),
                "TARGET_RUNTIME_URL" => "postgres://app:pw@db.internal:5433/app".to_owned(),
                name if name.starts_with("SCRATCH") => {
                    "postgres://o:pw@db.internal:5433/scratch".to_owned()
                }
                "APP_STAGING" => "http://10.0.0.9:5000".to_owned(),
                "APP_DIR" => "/srv/app".to_owned(),
                "APP_SQLITE" => "/srv/app/live.db".to_owned(),
                name if name.starts_with("APP_") => format!("http://10.0.0.{}:5000", &name[4..]),
                "CHAT_WEBHOOK" => "http://chat.internal/hook".to_owned(),
                name => format!("/{name}"),
            })
        };
        crate::runbook::parse("runbook.yaml", text, &env).expect("the reference")
    }

    fn shell(line: &str) -> Action {
        let line = line.to_owned();
        Action::new(Effect::Shell { line }, Duration::from_secs(1))
    }

    fn reasons(runbook: &Runbook) -> Vec<(String, Option<&'static str>)> {
        let list = not_run(runbook);
        list.iter()
            .map(|n| (n.spot.name.clone(), n.gate()))
            .collect()
    }

    #[test]
    fn the_reference_is_rehearsed_whole() {
        assert_eq!(not_run(&runbook()), []);
    }

    #[test]
    fn what_leads_to_production_is_not_run_whatever_stands_beside_it() {
        let mut runbook = runbook();
        for (line, runs) in [
            ("restart {instance}", true),
            ("restart $CUTOVER_INSTANCE", true),
            ("ssh {host} restart", true),
            ("restart app-1", false),
            (
                "restart {instance} --notify http://10.0.0.1:5000/restarted",
                false,
            ),
            (
                "restart {instance} --database postgres://x@db.internal:5433/app",
                false,
            ),
            ("restart {instance} --copy /srv/app/live.db", false),
        ] {
            let with = |rehearse: Rehearse| Action {
                rehearse,
                ..shell(line)
            };
            runbook.fleet.restart = with(Rehearse::IfItFollows);
            assert_eq!(reasons(&runbook).is_empty(), runs, "{line}");
            // A person's word counts for what names nothing of production.
            runbook.fleet.restart = with(Rehearse::Same);
            let named = line.contains("10.0.0.1")
                || line.contains("db.internal")
                || line.contains("live.db");
            assert_eq!(reasons(&runbook).is_empty(), !named, "{line}");
            runbook.fleet.restart = with(Rehearse::Instead(Box::new(shell("true"))));
            assert_eq!(reasons(&runbook), [], "{line}");
        }
        // `{host}` leads to production where staging has no host of its own.
        runbook.fleet.restart = shell("ssh {host} restart");
        runbook.fleet.instances[0].host = "10.0.0.9".into();
        assert_eq!(
            reasons(&runbook),
            [("fleet.restart".to_owned(), Some("K6"))]
        );
    }

    /// What is written follows the session, where it is written does not.
    #[test]
    fn a_file_or_a_server_of_productions_is_not_elsewhere_by_its_content() {
        let runbook = runbook();
        let ground = Ground::of(&runbook);
        let cleared = |effect: Effect, purpose: Purpose| {
            let spot = Spot {
                path: "steps[F1]".into(),
                name: "F1".into(),
                purpose,
            };
            let action = Action::new(effect, Duration::from_secs(1));
            ground.cleared(&spot, &action).is_ok()
        };
        let file = |path: &str| Effect::WriteFile {
            path: path.into(),
            content: "{runtime_url} {instance}".into(),
        };
        let put = |url: &str| Effect::Http {
            method: "PUT".into(),
            url: url.into(),
            headers: Vec::new(),
            body: Some("{runtime_url} {instance}".into()),
            expect_status: Vec::new(),
        };
        for (place, is_cleared) in [
            ("/srv/app/database.url", false),
            ("/srv/{instance}.url", true),
        ] {
            assert_eq!(
                cleared(file(place), Purpose::Restart),
                is_cleared,
                "{place}"
            );
        }
        for (place, is_cleared) in [("http://flags.internal/app", false), ("{url}/flags", true)] {
            assert_eq!(cleared(put(place), Purpose::Restart), is_cleared, "{place}");
        }
        assert!(!cleared(file("/srv/app/database.url"), Purpose::Switch));
    }

    #[test]
    fn a_rehearsal_sends_nothing_to_production() {
        let mut runbook = runbook();
        let write = runbook.verification.write.as_mut().expect("a write");
        write.url = "http://10.0.0.1:5000/tools".into();
        runbook.verification.requests[0].url = "https://shop.example/health".into();
        let rehearsed = rehearsal::of(&runbook).expect("a rehearsal");
        assert!(rehearsed.verification.write.is_none());
        assert_eq!(rehearsed.verification.requests.len(), 2);
        let named: Vec<_> = reasons(&runbook)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(named, ["health", "probe-write"]);
    }
}
