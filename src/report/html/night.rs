//! Lanes along one time axis, as a drawing. Not in here: what is on them (`page::pictures`).

use maud::{Markup, html};

use super::axis::{Axis, LETTER, RIGHT, WIDTH, at, line, words};
use super::{NEWLINE, text};
use crate::report::page::{self, Lane, Look, Night, Thing};
use crate::text::printable;

/// Height of a lane.
const LANE: f64 = 17.0;
const BAR: f64 = 10.0;
/// Letters that fit left of the plot.
const LABEL_CHARS: usize = 36;
/// Diamonds that are nearer to each other, or within each other's words, share their words.
const APART: f64 = 26.0;

pub fn draw(night: &Night, axis: &page::Axis) -> Markup {
    let axis = Axis::of(axis);
    let top = axis.top();
    let bottom = top + night.lanes.len() as f64 * LANE + 4.0;
    html! {
        div class="picture night" {
            svg viewBox={ "0 0 " (WIDTH) " " (format!("{:.0}", bottom + 20.0)) } role="img" aria-label=(night.label) {
                (patterns()) (NEWLINE)
                (axis.draw(bottom)) (NEWLINE)
                @for (n, lane) in night.lanes.iter().enumerate() {
                    (self::lane(lane, axis, top + n as f64 * LANE)) (NEWLINE)
                }
            }
        }
    }
}

/// Hatches, for what must be told apart without colour.
fn patterns() -> Markup {
    html! {
        defs {
            pattern id="bad" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect class="bad-ground" width="6" height="6" {}
                line class="bad-line" x1="0" y1="0" x2="0" y2="6" stroke-width="3" {}
            }
            pattern id="burn" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)" {
                line class="burn-line" x1="0" y1="0" x2="0" y2="5" stroke-width="3" {}
            }
        }
    }
}

fn lane(lane: &Lane, axis: Axis<'_>, y: f64) -> Markup {
    let diamonds = lane.things.iter().filter_map(|thing| match thing {
        Thing::Diamond { at_ms, words, .. } => Some((axis.x(*at_ms), words.as_str())),
        Thing::Bar { .. } | Thing::Strip { .. } | Thing::Cross { .. } => None,
    });
    let diamonds: Vec<(f64, &str)> = diamonds.collect();
    html! {
        (words("label", (0.0, y + 12.0), "start", &printable(&lane.label, LABEL_CHARS)))
        @for thing in &lane.things { (self::thing(thing, axis, y)) }
        @for (x, shared) in together(&diamonds) {
            @let (x, anchor) = beside((x + 7.0, x - 8.0), &shared);
            (words("took", (x, y + 12.0), anchor, &shared))
        }
    }
}

fn class(look: Look) -> &'static str {
    look.into()
}

fn thing(thing: &Thing, axis: Axis<'_>, y: f64) -> Markup {
    match thing {
        Thing::Bar {
            from_ms,
            to_ms,
            look,
            words: beside_it,
            tip,
            planned_to_ms,
        } => {
            let x = axis.x(*from_ms);
            let width = (to_ms.map_or(RIGHT, |ms| axis.x(ms)) - x).max(2.0);
            let (words_x, anchor) = match to_ms {
                Some(_) => beside((x + width + 4.0, x - 4.0), beside_it),
                None => (x - 4.0, "end"),
            };
            html! {
                (block(class(*look), (x, y + 3.0), (width, BAR), tip))
                @if let Some(planned) = planned_to_ms {
                    (line("plan", (x, y + 14.5), (axis.x(*planned).max(x + 2.0), y + 14.5)))
                }
                (words("took", (words_x, y + 12.0), anchor, beside_it))
            }
        }
        Thing::Strip {
            from_ms,
            to_ms,
            look,
            tip,
        } => {
            let x = axis.x(*from_ms);
            let width = (axis.x(*to_ms) - x).max(2.0);
            block(class(*look), (x, y + 5.0), (width, 6.0), tip)
        }
        Thing::Cross {
            at_ms,
            words: beside_it,
            tip,
        } => {
            let x = axis.x(*at_ms);
            html! {
                text class="fired" x=(at(x)) y=(at(y + 13.0)) text-anchor="middle" { "✗" title { (text(tip)) } }
                (words("took", (x + 8.0, y + 12.0), "start", beside_it))
            }
        }
        Thing::Diamond { at_ms, holds, .. } => {
            let (class, glyph) = if *holds {
                ("signed", "◆")
            } else {
                ("void", "◇")
            };
            words(class, (axis.x(*at_ms), y + 12.0), "middle", glyph)
        }
    }
}

fn block(class: &str, (x, y): (f64, f64), (width, height): (f64, f64), tip: &str) -> Markup {
    html! {
        rect class=(class) x=(at(x)) y=(at(y)) width=(at(width)) height=(height) { title { (text(tip)) } }
    }
}

/// Words right of something, or left of it where they would leave the picture: where, and which end is there.
fn beside((right, left): (f64, f64), words: &str) -> (f64, &'static str) {
    let room = words.chars().count() as f64 * LETTER + 2.0;
    match right + room > WIDTH {
        true => (left, "end"),
        false => (right, "start"),
    }
}

/// The words of things that are near each other as one, each word once, at the last of them.
fn together(things: &[(f64, &str)]) -> Vec<(f64, String)> {
    let mut groups: Vec<(f64, Vec<&str>)> = Vec::new();
    for (x, word) in things {
        let reaches = |(last, words): &&mut (f64, Vec<&str>)| {
            let letters = words.iter().map(|w| w.chars().count() + 1).sum::<usize>();
            x - *last < (letters as f64 * LETTER + 12.0).max(APART)
        };
        match groups.last_mut().filter(reaches) {
            Some((last, words)) => {
                *last = *x;
                if !words.contains(word) {
                    words.push(word);
                }
            }
            None => groups.push((*x, vec![word])),
        }
    }
    let groups = groups.into_iter();
    groups.map(|(x, words)| (x, words.join(" "))).collect()
}
