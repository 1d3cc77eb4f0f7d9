//! Traffic per instance: where the errors are. A row for each, the worst first, with its share of 5xx over the last minutes as cells
//! that are shaded by glyph as well as by colour.

use ratatui::layout::Rect;

use super::shared::{Hidden, below, filter_row, name_columns, row, window_of, without_loads};
use super::strip::Strip;
use super::traffic::threshold;
use crate::cockpit::canvas::{Canvas, Head, Piece, columns, fit, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::Focus;
use crate::cockpit::theme::Meaning;
use crate::format::{millis, percent, short};
use crate::session::live::LoadView;

/// What is much where no trigger and no item of the checklist says.
const USUAL_LIMIT: f64 = 0.01;

/// So many times the limit is far beyond it.
const FAR: f64 = 5.0;

/// Columns of requests per second, of the share of 5xx, and of p95.
const NUMBERS: [u16; 3] = [10, 8, 9];

/// How bad a share of 5xx is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Heat {
    None,
    Low,
    Near,
    Unknown,
    Over,
    Far,
}

impl Heat {
    fn of(share: Option<f64>, limit: f64) -> Heat {
        match share {
            None => Heat::Unknown,
            Some(share) if share <= 0.0 => Heat::None,
            Some(share) if share <= limit / 2.0 => Heat::Low,
            Some(share) if share <= limit => Heat::Near,
            Some(share) if share <= limit * FAR => Heat::Over,
            Some(_) => Heat::Far,
        }
    }

    fn cell(self) -> (char, Meaning) {
        match self {
            Heat::Unknown => (' ', Meaning::Muted),
            Heat::None => ('·', Meaning::Ok),
            Heat::Low => ('░', Meaning::Ok),
            Heat::Near => ('▒', Meaning::Warn),
            Heat::Over => ('▓', Meaning::Danger),
            Heat::Far => ('█', Meaning::Danger),
        }
    }
}

/// The panel.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let limit = threshold(model, "http_5xx_ratio").unwrap_or(USUAL_LIMIT);
    let is_known = !model.loads.instances().is_empty();
    let legend = format!(
        " · none  ░ to {}  ▒ to {}  ▓ above  █ above {} ",
        percent(limit / 2.0),
        percent(limit),
        percent(limit * FAR)
    );
    let note = match is_known {
        true => vec![piece("5xx, the worst first", Meaning::Muted)],
        false => Vec::new(),
    };
    let head = Head {
        title: "Per instance",
        note,
        legend: if is_known { &legend } else { "" },
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 || without_loads(canvas, inner, model) {
        return;
    }
    let ranked = ranked(model, limit);
    let found = (ranked.len(), model.loads.instances().len());
    let inner = filter_row(canvas, inner, model, Focus::Instances, found);
    if inner.height == 0 || ranked.is_empty() {
        return;
    }
    let places = Places::of(inner, model);
    places.heading(canvas, inner);
    let lines = below(inner, 1);
    let (rows, hidden) = window_of(canvas, model, ranked.len(), lines.height);
    for (n, instance) in ranked[rows.clone()].iter().enumerate() {
        places.instance(canvas, row(lines, n as u16), model, *instance, limit);
    }
    if let Some(hidden) = hidden {
        let unseen: Vec<_> = hidden.of(&ranked).copied().collect();
        let words = remaining(model, &hidden, &unseen);
        let last = row(lines, lines.height - 1);
        canvas.write(last.x, last.y, last.width, &words, Meaning::Muted);
    }
}

/// Instances by their place in the fleet: the worst first, then those of which nobody knows. Those that are well keep the fleet's order,
/// so that rows do not dance.
fn ranked(model: &Model, limit: f64) -> Vec<usize> {
    let loads = model.loads.instances();
    let heat = |n: &usize| Heat::of(loads[*n].errors_ratio, limit);
    let share = |n: &usize| loads[*n].errors_ratio.unwrap_or_default();
    let all = 0..loads.len();
    let mut all: Vec<usize> = all
        .filter(|n| model.shows_instance(&loads[*n].id))
        .collect();
    all.sort_by(|a, b| {
        let by_heat = heat(b).cmp(&heat(a));
        let is_bad = heat(a) >= Heat::Over;
        by_heat.then_with(|| match is_bad {
            true => share(b).total_cmp(&share(a)),
            false => std::cmp::Ordering::Equal,
        })
    });
    all
}

/// `… and 488 more, all at 0.12 % or less`.
fn remaining(model: &Model, hidden: &Hidden, rest: &[usize]) -> String {
    let loads = model.loads.instances();
    let shares = rest.iter().filter_map(|n| loads[*n].errors_ratio);
    let unknown = rest.len() - shares.clone().count();
    let most = shares.fold(0.0, f64::max);
    let known = match most > 0.0 {
        true => format!("at {} or less", percent(rounded_up(most))),
        false => "without 5xx".to_owned(),
    };
    match unknown {
        0 => format!("{hidden}, all {known}"),
        n if n == rest.len() => format!("{hidden}, of none of which anything is known"),
        n => format!("{hidden}: {n} not known, the others {known}"),
    }
}

/// A share that [`percent`] shows as it is, and not smaller.
fn rounded_up(share: f64) -> f64 {
    let steps = if share < 0.0999 { 1e4 } else { 1e3 };
    (share * steps).ceil() / steps
}

/// Where the columns are.
struct Places {
    name: u16,
    strip: Strip,
}

impl Places {
    fn of(area: Rect, model: &Model) -> Places {
        let name = name_columns(model.loads.instances());
        let numbers: u16 = NUMBERS.iter().sum();
        let cells = area.width.saturating_sub(name + 1 + numbers);
        Places {
            name,
            strip: Strip::of(model.loads.rounds(), model, cells),
        }
    }

    fn heading(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let over = self.strip.heading();
        let name = usize::from(self.name) + 1;
        let [rate, share, p95] = NUMBERS.map(usize::from);
        let text = format!(
            "{:name$}{over}{:>rate$}{:>share$}{:>p95$}",
            "", "requests", "5xx", "p95"
        );
        canvas.write(area.x, area.y, area.width, &text, Meaning::Muted);
    }

    fn instance(&self, canvas: &mut Canvas<'_>, area: Rect, model: &Model, n: usize, limit: f64) {
        let load = &model.loads.instances()[n];
        let name = usize::from(self.name) + 1;
        let id = fit(&load.id, self.name).into_owned();
        let pad = name.saturating_sub(usize::from(columns(&id)));
        let mut pieces = vec![piece(format!("{id}{}", " ".repeat(pad)), Meaning::Text)];
        let shade = |rounds| Heat::of(model.loads.worst(n, rounds), limit).cell();
        pieces.extend(self.strip.pieces(shade));
        pieces.extend(numbers(load, limit));
        if model.is_stale() {
            pieces
                .iter_mut()
                .for_each(|(_, meaning)| *meaning = Meaning::Stale);
        }
        canvas.pieces(area.x, area.y, area.width, &pieces);
    }
}

fn numbers(load: &LoadView, limit: f64) -> Vec<Piece<'static>> {
    let [rate, share, p95] = NUMBERS.map(usize::from);
    if load.is_unknown() {
        let width = rate + share + p95;
        return vec![piece(
            format!("{:>width$}", "not scraped"),
            Meaning::Unknown,
        )];
    }
    let told = |value: Option<f64>, unit: fn(f64) -> String| value.map_or("–".to_owned(), unit);
    let per_s = |v: f64| format!("{}/s", short(v));
    let alarm = match Heat::of(load.errors_ratio, limit) {
        Heat::Over | Heat::Far => Meaning::Danger,
        Heat::Near => Meaning::Warn,
        _ => Meaning::Text,
    };
    vec![
        piece(
            format!("{:>rate$}", told(load.requests_per_s, per_s)),
            Meaning::Text,
        ),
        piece(
            format!("{:>share$}", told(load.errors_ratio, percent)),
            alarm,
        ),
        piece(
            format!("{:>p95$}", told(load.p95_ms, millis)),
            Meaning::Text,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_rest_is_never_too_small() {
        for share in [0.000_012, 0.001_249, 0.099_89, 0.099_95, 0.123_4, 0.999_99] {
            let shown = percent(rounded_up(share));
            let number: f64 = shown.trim_end_matches(" %").parse().expect("a number");
            assert!(number / 100.0 >= share - 1e-12, "{share} as {shown}");
        }
    }
}
