//! What a key can do. Not in here: which key does it (the table above), and the doing (`update`).

use crate::cockpit::model::ui::View;
use crate::cockpit::replay::Transport;
use crate::cockpit::split::Axis;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Do {
    /// Confirm being on call.
    Confirm,
    /// Start the next step, or try a failed one again.
    Start,
    /// Sign the selected gate.
    Sign,
    /// Withdraw one's signature from the selected gate.
    Withdraw,
    Hold,
    Resume,
    RollBack,
    /// Run rows of a rollback again.
    Retry,
    /// Say what an interrupted step had done.
    Decide,
    /// Skip the next step.
    Skip,
    Extend,
    Complete,
    Note,
    StartEngine,
    /// Read what a step printed.
    Output,
    /// Read which rows differ.
    Differences,
    /// Read all of an event.
    Event,
    /// Read all of a table.
    Table,
    Copy,
    /// Show only the lines of a list that have some words.
    Filter,
    /// Play another person.
    Play,
    Fault,
    /// Open the first-minute guide.
    Guide,
    /// Another view.
    Show(View),
    NextPanel,
    /// The panel before.
    PreviousPanel,
    /// One line up.
    Up,
    /// One line down.
    Down,
    PageUp,
    PageDown,
    /// To the first line.
    First,
    /// To the last line.
    Last,
    /// Move the line between two panels.
    Line(Way),
    /// Give every panel its usual size.
    UsualSizes,
    /// Give the whole screen to one panel, or to all again.
    Zoom,
    /// Charts show less time.
    ShorterSpan,
    /// Charts show more time.
    LongerSpan,
    /// Let the display stand still, or go on.
    Still,
    /// Who is on the bridge, and who may do what.
    People,
    /// Find an action by its words.
    Palette,
    /// Choose how it looks.
    Theme,
    /// Take the mouse, or give it back.
    Mouse,
    Help,
    /// Close what lies over the screen, or go back to the bridge.
    Back,
    Repaint,
    /// Put the cockpit aside.
    Suspend,
    /// Leave; nothing is stopped.
    Leave,
    /// Move in the time of what was recorded.
    Replay(Transport),
}

/// Where a line between two panels is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    Left,
    Right,
    Up,
    Down,
}

impl Way {
    /// How the parts lie whose line moves so.
    pub fn axis(self) -> Axis {
        match self {
            Way::Left | Way::Right => Axis::Across,
            Way::Up | Way::Down => Axis::Down,
        }
    }
}
