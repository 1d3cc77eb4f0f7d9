//! Where the cursor is and what lies over the screen. Not in here: what the keys do (`update`).

mod filters;
mod form;
mod zoom;

use strum::IntoStaticStr;

pub use self::filters::Filters;
pub use self::form::{Field, Form, FormKind};
pub use self::zoom::{Zoom, Zoomed};
use crate::cockpit::actions::Keys;
use crate::cockpit::glyphs::Glyphs;
use crate::cockpit::habits::Habits;
use crate::cockpit::split::{Line, Splits};
use crate::cockpit::target::{Target, Targets};
use crate::cockpit::theme::{Meaning, Theme};

/// Where the cursor is and what lies over the screen.
#[derive(Debug, Clone, Default)]
pub struct Ui {
    pub view: View,
    /// The panel that the arrows act on, in views that have several.
    pub focus: Focus,
    /// The gate under the cursor; `None` follows what can be signed.
    pub gate: Option<usize>,
    /// The step under the cursor; `None` follows the one that is being done.
    pub step: Option<usize>,
    /// The table under the cursor; `None` follows the one that moves.
    pub table: Option<usize>,
    /// Number of the event under the cursor; `None` follows the latest.
    pub event: Option<u64>,
    /// Lines of the lists of instances and applications that are scrolled away.
    pub scrolled: usize,
    /// Words that the lines of each list must have, in the view that has the list to itself.
    pub filters: Filters,
    /// Which keys each action has.
    pub keys: Keys,
    /// Runbook time that charts show; `None` goes by their width.
    pub span_ms: Option<i64>,
    /// The panel that has the screen to itself.
    pub zoom: Option<Zoom>,
    /// Which theme is worn.
    pub look: Look,
    /// Which glyphs this terminal can show.
    pub glyphs: Glyphs,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// Where lines between panels were moved to.
    pub splits: Splits,
    /// The line that the mouse holds.
    pub held: Option<Held>,
    /// What can be clicked in the last frame.
    pub targets: Targets,
    /// The mouse is the terminal's own, which selects text with it.
    pub no_mouse: bool,
    /// What came of the last key.
    pub toast: Option<Toast>,
    /// A command that the engine has not answered yet, in words.
    pub asked: Option<String>,
    /// The event that the engine's answer names, until the journal shows it: what is drawn is not what was answered before that.
    pub awaited: Option<Awaited>,
    /// Until this session time `R` does not roll back: the countdown has just come up under somebody's typing.
    pub guard_until_ms: Option<i64>,
    /// Sequence number of the fired trigger or rollback that has been brought to the screen.
    pub brought: Brought,
}

/// An answer of the engine whose events have yet to be read from the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// Number of the last of them.
    pub seq: u64,
    /// Session time of the answer.
    pub since_ms: i64,
}

/// A line between panels while a button is down on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub line: Line,
    /// Columns or rows from it to the pointer.
    pub off: i32,
    /// Whether the pointer has moved it since; else it was a click on what is there.
    pub has_moved: bool,
    /// What was there when the button went down.
    pub pressed: Option<Target>,
}

/// Runbook time that a chart of ordinary width shows, where nobody asks for another.
pub const USUAL_SPAN_MS: i64 = 15 * 60_000;

/// What has been brought to the screen by itself, so that it happens once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Brought {
    #[default]
    Nothing,
    Countdown,
    Rollback,
}

/// What is shown, by digit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, IntoStaticStr)]
pub enum View {
    /// Everything that a release manager needs.
    #[default]
    Bridge,
    /// Every step, and the selected one in full.
    Steps,
    Pool,
    /// Errors and latency.
    Traffic,
    /// Instances and the monitoring checklist.
    Fleet,
    /// Gates with their evidence.
    Gates,
    Journal,
    /// What a rollback will undo, or does.
    Rollback,
    /// Tables: how far they have been moved, and whether they are equal.
    Data,
}

impl View {
    /// Every view in the order of its digit.
    pub const ALL: [View; 9] = [
        View::Bridge,
        View::Steps,
        View::Pool,
        View::Traffic,
        View::Fleet,
        View::Gates,
        View::Journal,
        View::Rollback,
        View::Data,
    ];

    /// As shown, and as others at the bridge see it.
    pub fn title(self) -> &'static str {
        self.into()
    }

    /// The view of this title, in any case, or of this digit.
    pub fn named(word: &str) -> Option<View> {
        let is = |view: &View| {
            view.title().eq_ignore_ascii_case(word) || word == view.digit().to_string()
        };
        View::ALL.into_iter().find(is)
    }

    /// The digit that shows it.
    pub fn digit(self) -> char {
        let at = View::ALL
            .iter()
            .position(|v| *v == self)
            .unwrap_or_default();
        char::from(b'1' + at as u8)
    }
}

/// A panel that the arrows can act on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Focus {
    #[default]
    Gates,
    Steps,
    Events,
    Tables,
    /// Instances, and applications beside them.
    Instances,
}

impl Focus {
    pub const ALL: [Focus; 5] = [
        Focus::Gates,
        Focus::Steps,
        Focus::Events,
        Focus::Tables,
        Focus::Instances,
    ];

    /// By which a configuration means it.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Ui {
    /// Another view comes to the screen: its lists begin at their beginning.
    pub fn show(&mut self, view: View) {
        if self.view != view {
            self.view = view;
            self.scrolled = 0;
            self.zoom_out();
        }
    }

    /// The panel that the arrows act on now; views with one list have no choice.
    pub fn focus(&self) -> Option<Focus> {
        match self.view {
            View::Bridge => Some(self.focus),
            View::Steps => Some(Focus::Steps),
            View::Gates => Some(Focus::Gates),
            View::Journal => Some(Focus::Events),
            View::Data => Some(Focus::Tables),
            View::Pool | View::Traffic => Some(Focus::Instances),
            View::Fleet | View::Rollback => None,
        }
    }

    /// The keys and filters that somebody has configured.
    pub fn settle_in(&mut self, habits: &Habits) {
        self.keys = habits.keys.clone();
        self.filters = habits.filters.clone();
    }
}

/// Which theme is worn, and which could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The theme that was chosen; a preview changes the screen and not this.
    pub theme: String,
    /// A theme of the person's own, a file, beside the embedded ones.
    pub own: Option<String>,
    /// Nobody may choose: `NO_COLOR` is set.
    pub no_color: bool,
}

impl Default for Look {
    fn default() -> Look {
        Look::of("default", false)
    }
}

impl Look {
    /// This theme from the start.
    pub fn of(theme: &str, no_color: bool) -> Look {
        let is_embedded = Theme::embedded().any(|name| name == theme);
        Look {
            theme: theme.to_owned(),
            own: (!is_embedded).then(|| theme.to_owned()),
            no_color,
        }
    }

    /// Every theme that can be chosen.
    pub fn themes(&self) -> Vec<String> {
        let own = self.own.iter().cloned();
        Theme::embedded().map(str::to_owned).chain(own).collect()
    }
}

/// A line about what came of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    /// In words; holds foreign text.
    pub text: String,
    pub meaning: Meaning,
    /// Session time at which it came up.
    pub since_ms: i64,
    /// Real milliseconds for which it has been shown, in a replay: session time is no measure there.
    pub shown_ms: i64,
}

/// What lies over the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    Help {
        /// Lines that are scrolled away.
        scroll: usize,
    },
    /// Who is on the bridge, and who may do what.
    People {
        /// Lines that are scrolled away.
        scroll: usize,
    },
    /// The first minute.
    Guide,
    /// All of an event.
    Event {
        seq: u64,
        /// Lines that are scrolled away.
        scroll: usize,
    },
    /// All of a table.
    Table {
        table: String,
        /// Lines that are scrolled away.
        scroll: usize,
    },
    /// What a step printed.
    Output {
        step: String,
        /// From 1.
        attempt: u32,
        /// Lines above the last that are scrolled away.
        up: usize,
    },
    /// Something to type.
    Form(Form),
    /// Something to choose.
    Pick(Pick),
    /// Actions by their words.
    Palette(Palette),
    /// The filter of a list, while it is typed.
    Filter,
}

/// A search among the actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Palette {
    pub query: String,
    /// The line under the cursor, among those that are found.
    pub at: usize,
}

impl Palette {
    /// Puts text into the query; line breaks become blanks, and the cursor goes to what fits best.
    pub fn insert(&mut self, text: &str) {
        type_into(&mut self.query, text, LONGEST_QUERY);
        self.at = 0;
    }
}

/// Puts into a line what of a text can stand there; line breaks become blanks.
fn type_into(line: &mut String, text: &str, longest: usize) {
    let room = longest.saturating_sub(line.chars().count());
    let typed = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control());
    line.extend(typed.take(room));
}

/// The longest search, and the longest filter.
pub const LONGEST_QUERY: usize = 60;

/// Something to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    pub kind: PickKind,
    /// The line under the cursor.
    pub at: usize,
}

/// What is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickKind {
    Person,
    /// Which fault to inject.
    Fault,
    /// Which theme to use.
    Theme,
}
