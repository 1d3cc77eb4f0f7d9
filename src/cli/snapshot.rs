//! `cutover snapshot`: what a cockpit that is opened now shows, or one showed then, on stdout. Reads the journal alone; needs no terminal.

use clap::Args;

use super::{Exit, Looks, Which, join, replay, run};
use crate::cockpit::glyphs::Glyphs;
use crate::cockpit::model::ui::View;
use crate::cockpit::theme::Theme;
use crate::cockpit::{self, At, snapshot};
use crate::journal::Follower;

/// The largest screen, in columns and lines, that is drawn.
const LARGEST: i64 = 500;

/// What a screen shows, as a picture.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover snapshot
  cutover snapshot --view pool --width 160 --height 50
  cutover snapshot --svg --at 1:02:03 > bridge.svg")]
pub struct SnapshotArgs {
    #[command(flatten)]
    which: Which,
    /// A picture
    #[arg(long, conflicts_with = "text")]
    svg: bool,
    /// Text, one line per line of the screen; the default
    #[arg(long)]
    text: bool,
    /// Columns of the screen
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..=LARGEST))]
    width: u16,
    /// Lines of the screen
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=LARGEST))]
    height: u16,
    /// Which view, by its name or its digit
    #[arg(long, default_value = "bridge", value_parser = view)]
    view: View,
    /// The screen of that time, by the clock on it: 12:04, 1:02:03; of what was not recorded it says so
    #[arg(long, value_name = "TIME", value_parser = replay::at)]
    at: Option<At>,
    #[command(flatten)]
    looks: Looks,
}

/// `cutover snapshot`
pub fn run(args: SnapshotArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which.named)?;
    let options = join::options(args.which.claim, args.looks);
    let theme = Theme::load(options.theme.as_deref().unwrap_or("default"))?;
    let glyphs = options.glyphs.as_deref().map(Glyphs::named).transpose()?;
    let follower = Follower::open(&folder)?;
    let mut model = match args.at {
        Some(at) => cockpit::look_back(follower, at)?,
        None => cockpit::look(&options, follower)?,
    };
    if let Some(why) = &options.unread {
        errln!("{why}");
    }
    model.ui.settle_in(&options.habits);
    model.ui.view = args.view;
    model.ui.glyphs = glyphs.unwrap_or_default();
    let draw = if args.svg {
        snapshot::svg
    } else {
        snapshot::text
    };
    let frame = draw(&model, &theme, args.width, args.height);
    outln!("{}", frame.trim_end());
    Ok(Exit::Done)
}

fn view(word: &str) -> Result<View, String> {
    let titles = || View::ALL.map(|v| v.title().to_lowercase()).join(", ");
    View::named(word).ok_or_else(|| format!("one of {}, or its digit", titles()))
}
