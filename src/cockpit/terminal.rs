//! The terminal as it was found is the terminal as it is left: on return, panic, signals and suspension.
//!
//! Not in here: what is drawn, and the keys.

use std::cell::Cell;
use std::io::{self, Stdout, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, TryLockError};
use std::time::Duration;

use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};
use rustix::process::{Signal, kill_current_process_group};

/// Whether the terminal is ours now, so that a panic anywhere gives it back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Held while a frame is written, so that the rest of it does not come after the terminal was given back.
static PAINTING: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread holds [`PAINTING`]. A panic in the midst of its own frame waits for nobody.
    static PAINTS: Cell<bool> = const { Cell::new(false) };
}

/// How often one looks whether another thread has written its frame, a millisecond apart. What is written after the terminal was given
/// back hides the shell's cursor, so that a slow terminal gets its time; looks are counted, since a clock also runs while the machine
/// stands still.
const LOOKS: u32 = 2_000;

/// The exit code of a bug in `cutover`.
const BUG: i32 = 70;

/// The terminal while it is ours; dropping it gives it back.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Whether the mouse is ours too.
    mouse: bool,
}

/// Presses and the wheel, with places beyond column 223, and moves while a button is down; not every move, which would keep us busy for
/// nothing. A terminal that does not know the second leaves the first as it is.
const TAKE_MOUSE: &str = "\u{1b}[?1000h\u{1b}[?1002h\u{1b}[?1006h";

impl Screen {
    /// Takes the terminal: raw mode, alternate screen, pastes as pastes, and the mouse where it is wanted.
    pub fn take(title: &str, mouse: bool) -> io::Result<Screen> {
        restore_on_panic();
        take(title, mouse)?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()));
        if terminal.is_err() {
            give_back();
        }
        Ok(Screen {
            terminal: terminal?,
            mouse,
        })
    }

    /// Draws a frame; only cells that differ are written.
    pub fn draw(&mut self, paint: impl FnOnce(&mut ratatui::buffer::Buffer)) -> io::Result<()> {
        let _painting = painting();
        if TAKEN.load(Ordering::SeqCst) {
            self.terminal.draw(|frame| paint(frame.buffer_mut()))?;
        }
        Ok(())
    }

    /// Forgets what is on the screen, so that the next frame paints everything.
    pub fn repaint(&mut self) -> io::Result<()> {
        // Not `clear`: that asks the terminal where its cursor is, and waits for an answer that the thread for keys would swallow.
        let area = Rect::from((Position::ORIGIN, self.terminal.size()?));
        self.terminal.resize(area)
    }

    /// Writes what is not drawn (a bell, the clipboard) between two frames.
    pub fn send(&mut self, bytes: &str) -> io::Result<()> {
        let _painting = painting();
        if TAKEN.load(Ordering::SeqCst) {
            stdout().write_all(bytes.as_bytes())?;
            stdout().flush()?;
        }
        Ok(())
    }

    /// Gives the terminal back and stops the foreground job as `^Z` would. It may return before the stop takes hold: whoever calls it
    /// draws nothing until SIGCONT has come and [`Screen::go_on`] was called.
    pub fn set_aside(&mut self) -> io::Result<()> {
        give_back();
        // The whole group, as the terminal itself does it: a `make` that waits for us stops with us.
        kill_current_process_group(Signal::STOP)?;
        Ok(())
    }

    /// Takes the terminal again.
    pub fn go_on(&mut self, title: &str) -> io::Result<()> {
        take(title, self.mouse)?;
        self.repaint()
    }

    /// Takes the mouse, or gives it back.
    pub fn take_mouse(&mut self, mouse: bool) -> io::Result<()> {
        self.mouse = mouse;
        let _painting = painting();
        match mouse {
            _ if !TAKEN.load(Ordering::SeqCst) => Ok(()),
            true => execute!(stdout(), Print(TAKE_MOUSE)),
            false => execute!(stdout(), DisableMouseCapture),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take(title: &str, mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let taken = execute!(
        stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        cursor::Hide,
        SetTitle(title),
        Print(if mouse { TAKE_MOUSE } else { "" })
    );
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Gives the terminal back, once. A terminal that is gone cannot complain.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        stdout(),
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
    let _ = stdout().flush();
}

/// Held while this thread writes.
struct Painting {
    _held: MutexGuard<'static, ()>,
}

impl Drop for Painting {
    fn drop(&mut self) {
        PAINTS.set(false);
    }
}

/// `None` where this thread writes already, or another one does not come to an end.
fn painting() -> Option<Painting> {
    if PAINTS.get() {
        return None;
    }
    for _ in 0..LOOKS {
        let held = match PAINTING.try_lock() {
            Ok(held) => held,
            // Nothing is guarded but the order of what is written.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::park_timeout(Duration::from_millis(1));
                continue;
            }
        };
        PAINTS.set(true);
        return Some(Painting { _held: held });
    }
    None
}

/// A panic in any thread gives the terminal back before it is told, and ends the process: nobody should look at a screen that no
/// longer moves.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let was_taken = TAKEN.load(Ordering::SeqCst);
            let _painting = painting();
            give_back();
            tell(panic);
            if was_taken {
                std::process::exit(BUG);
            }
        }));
    });
}

/// Whether there is still a terminal behind standard input. Reading tells it too late: a terminal that is gone reads as empty for
/// ever.
pub fn is_there() -> bool {
    rustix::termios::tcgetattr(rustix::stdio::stdin()).is_ok()
}
