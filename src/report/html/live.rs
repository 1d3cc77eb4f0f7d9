//! The page of a session that runs: a frame that stays, and pieces in it that its script replaces as they change. A policy names the script
//! and the styles by their hashes, so that a browser runs and loads nothing else, whatever stands in a piece.
//!
//! Not in here: what is told (`page`, `report::live`), and how a piece reaches a browser (`watch`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{NEWLINE, STYLE, foot, head, inside, spans, text};
use crate::report::live::Piece;
use crate::report::page::{Page, Text};

const LIVE_STYLE: &str = include_str!("live.css");
const SCRIPT: &str = include_str!("live.js");

/// What a browser is told to run and to load, as the value of `Content-Security-Policy`.
pub fn policy() -> String {
    let hash = |of: &str| {
        let digest: [u8; 32] = Sha256::digest(of.as_bytes()).into();
        format!("'sha256-{}'", STANDARD.encode(digest))
    };
    format!(
        "default-src 'none'; script-src {}; style-src {} {}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
        hash(LIVE_STYLE)
    )
}

/// The whole page as it is now.
pub fn frame<'p>(title: &str, pieces: impl Iterator<Item = &'p Piece>) -> String {
    let rendered = html! {
        (DOCTYPE) (NEWLINE)
        html lang="en" {
            (NEWLINE)
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(concat!("cutover ", env!("CARGO_PKG_VERSION")));
                meta name="robots" content="noindex";
                (NEWLINE)
                title { (text(title)) }
                (NEWLINE)
                style { (PreEscaped(STYLE)) }
                (NEWLINE)
                style { (PreEscaped(LIVE_STYLE)) }
            }
            (NEWLINE)
            body {
                p id="lost" class="banner" role="alert" hidden { "Nothing new arrives: what stands here may be old. Load it again; one link is good for a few windows at a time." }
                p id="told" role="status" { }
                noscript { p class="banner" { "Without its script this page does not follow: load it again to see what is new." } }
                (NEWLINE)
                main {
                    @for piece in pieces {
                        (NEWLINE)
                        section id=(piece.id) { (PreEscaped(&piece.html)) }
                    }
                }
                (NEWLINE)
                script { (PreEscaped(SCRIPT)) }
            }
        }
        (NEWLINE)
    };
    rendered.into_string()
}

/// The verdict with what must be known first, and the numbers.
pub fn verdict(id: &'static str, page: &Page) -> Piece {
    let html = head(page).into_string();
    Piece { id, html }
}

/// A section; one that the page does not have is empty, and keeps its place.
pub fn section(id: &'static str, page: &Page) -> Piece {
    let found = page.sections.iter().find(|section| section.id == id);
    let html = found.map_or_else(String::new, |section| inside(section, page).into_string());
    Piece { id, html }
}

/// What it was made from.
pub fn origin(id: &'static str, page: &Page) -> Piece {
    let html = foot(page).into_string();
    Piece { id, html }
}

/// Lines of words.
pub fn lines(id: &'static str, lines: &[Text]) -> Piece {
    let rendered = html! { @for line in lines { p { (spans(line)) } (NEWLINE) } };
    let html = rendered.into_string();
    Piece { id, html }
}
