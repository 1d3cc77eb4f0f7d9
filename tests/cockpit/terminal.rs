//! A program in a terminal of its own: what it shows, what is typed, and whether it leaves the terminal as it found it.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::Signal;

use crate::support;

/// A terminal and the program in it.
pub struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn Write + Send>>,
    reading: Option<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// Every byte that it got.
    heard: Arc<Mutex<Vec<u8>>>,
    /// What it is to show, and has not shown yet.
    expected: Arc<Mutex<Vec<String>>>,
    program: Box<dyn Child + Send + Sync>,
}

/// How long anything may take to show, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

impl Terminal {
    /// Starts `cutover` with these arguments.
    pub fn open(args: &[&str], folder: &Path, (width, height): (u16, u16)) -> Terminal {
        Terminal::open_with(args, folder, (width, height), &[])
    }

    pub fn open_with(
        args: &[&str],
        folder: &Path,
        size: (u16, u16),
        env: &[(&str, &str)],
    ) -> Terminal {
        Terminal::of(support::cutover(), args, folder, size, env)
    }

    /// Starts a program with these arguments.
    pub fn of(
        program: &Path,
        args: &[&str],
        folder: &Path,
        (width, height): (u16, u16),
        env: &[(&str, &str)],
    ) -> Terminal {
        let pair = native_pty_system()
            .openpty(size(width, height))
            .expect("a terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.cwd(folder);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        // What this machine's terminal can show is nothing to the test's.
        for name in [
            "NO_COLOR",
            "LC_ALL",
            "LC_CTYPE",
            "CUTOVER_THEME",
            "CUTOVER_GLYPHS",
        ] {
            command.env_remove(name);
        }
        command.env("LANG", "C.UTF-8");
        // Nor is what its user has configured.
        command.env("XDG_CONFIG_HOME", folder.join("no-configuration"));
        for (name, value) in env {
            command.env(name, value);
        }
        let program = pair.slave.spawn_command(command).expect("cutover");
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            cells(height),
            cells(width),
            0,
        )));
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let shown = Arc::clone(&screen);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let expected = Arc::new(Mutex::new(Vec::new()));
        let expects = Arc::clone(&expected);
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closing);
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 16_384];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let mut screen = shown.lock().expect("a screen");
                screen.process(&bytes[..n]);
                strike_out(&mut expects.lock().expect("texts"), screen.screen());
                drop(screen);
                hears.lock().expect("bytes").extend_from_slice(&bytes[..n]);
            }
        });
        Terminal {
            keys: Some(pair.master.take_writer().expect("its keys")),
            master: Some(pair.master),
            reading: Some(reading),
            closing,
            screen,
            heard,
            expected,
            program,
        }
    }

    /// Waits until it has got these bytes, which need not show.
    pub fn hears(&mut self, bytes: &str) -> &mut Terminal {
        let deadline = Instant::now() + PATIENCE;
        while !self.has_heard(bytes) {
            assert!(Instant::now() < deadline, "it never got {bytes:?}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self
    }

    /// Whether it has got these bytes.
    pub fn has_heard(&self, bytes: &str) -> bool {
        let heard = self.heard.lock().expect("bytes");
        heard.windows(bytes.len()).any(|w| w == bytes.as_bytes())
    }

    /// Whether it has got nothing but ASCII.
    pub fn has_heard_ascii_alone(&self) -> bool {
        self.heard.lock().expect("bytes").is_ascii()
    }

    /// What it shows.
    pub fn text(&self) -> String {
        self.screen.lock().expect("a screen").screen().contents()
    }

    /// How many colours of text it shows, besides the terminal's own.
    pub fn colours(&self) -> usize {
        let parser = self.screen.lock().expect("a screen");
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows.get()).flat_map(|y| (0..columns.get()).map(move |x| (y, x)));
        let mut seen = Vec::new();
        for color in cells.filter_map(|(y, x)| Some(screen.cell(y, x)?.fgcolor())) {
            if color != vt100::Color::Default && !seen.contains(&color) {
                seen.push(color);
            }
        }
        seen.len()
    }

    /// Types.
    pub fn press(&mut self, keys: &str) -> &mut Terminal {
        let writer = self.keys.as_mut().expect("a terminal");
        writer.write_all(keys.as_bytes()).expect("typed");
        writer.flush().expect("typed");
        self
    }

    /// Waits until it shows this.
    pub fn shows(&mut self, what: &str) -> &mut Terminal {
        self.until(what, |text| text.contains(what))
    }

    /// From here on each of these counts as shown, however shortly it is: who looks only now and then may miss a countdown.
    pub fn expects(&mut self, texts: &[&str]) -> &mut Terminal {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let screen = self.screen.lock().expect("a screen");
        let mut expected = self.expected.lock().expect("texts");
        *expected = texts;
        strike_out(&mut expected, screen.screen());
        drop((expected, screen));
        self
    }

    /// Waits until all that was expected has shown.
    pub fn has_shown_them(&mut self) -> &mut Terminal {
        let expected = Arc::clone(&self.expected);
        let what = format!("{:?}", expected.lock().expect("texts"));
        self.until(&what, |_| expected.lock().expect("texts").is_empty())
    }

    /// Waits until it shows this, which a program that has ended may have left there.
    pub fn shown(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().contains(what) {
            assert!(Instant::now() < deadline, "no {what:?}:\n{}", self.text());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Waits until it no longer shows this.
    pub fn hides(&mut self, what: &str) -> &mut Terminal {
        self.until(&format!("no {what}"), |text| !text.contains(what))
    }

    /// Waits until what it shows is so.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> &mut Terminal {
        self.until_within(PATIENCE, what, is_so)
    }

    /// Waits until it shows this, after work that takes longer than a screen does.
    pub fn shows_within(&mut self, patience: Duration, what: &str) -> &mut Terminal {
        self.until_within(patience, what, |text| text.contains(what))
    }

    fn until_within(
        &mut self,
        patience: Duration,
        what: &str,
        is_so: impl Fn(&str) -> bool,
    ) -> &mut Terminal {
        let deadline = Instant::now() + patience;
        loop {
            let text = self.text();
            if is_so(&text) {
                return self;
            }
            let ended = self.program.try_wait().expect("a process of ours");
            assert!(
                Instant::now() < deadline && ended.is_none(),
                "waited in vain for {what:?}; the program {}; the screen:\n{text}",
                ended.map_or_else(|| "runs".to_owned(), |e| e.to_string())
            );
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub fn resize(&mut self, width: u16, height: u16) -> &mut Terminal {
        let master = self.master.as_ref().expect("a terminal");
        let mut screen = self.screen.lock().expect("a screen");
        master.resize(size(width, height)).expect("resized");
        screen.screen_mut().set_size(cells(height), cells(width));
        drop(screen);
        self
    }

    pub fn signal(&mut self, signal: Signal) -> &mut Terminal {
        support::signal(self.process(), signal);
        self
    }

    pub fn process(&self) -> u32 {
        self.program.process_id().expect("a process")
    }

    /// The terminal goes away, as when its window is closed.
    pub fn hang_up(&mut self) {
        // The thread that reads holds the terminal too; it lets go at the next output, which painting everything again makes.
        self.closing.store(true, Ordering::SeqCst);
        self.press("\u{c}");
        if let Some(reading) = self.reading.take() {
            reading.join().expect("a thread of ours");
        }
        self.keys = None;
        self.master = None;
    }

    /// Waits until the program has ended.
    pub fn ends(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.program.try_wait().expect("a process of ours") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end; the screen:\n{}",
                self.text()
            );
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Whether clicks go to the program.
    pub fn has_the_mouse(&self) -> bool {
        is_taken(self.screen.lock().expect("a screen").screen())
    }

    /// Presses the left button in the middle of this text, and lets it go.
    pub fn click(&mut self, what: &str) -> &mut Terminal {
        let (x, y) = self.place_of(what);
        self.press(&format!("\u{1b}[<0;{x};{y}M\u{1b}[<0;{x};{y}m"))
    }

    /// Presses the left button in the middle of this text, moves by so many columns and lines, and lets it go.
    pub fn drag(&mut self, what: &str, (across, down): (usize, usize)) -> &mut Terminal {
        let (x, y) = self.place_of(what);
        let (to_x, to_y) = (x + across, y + down);
        self.press(&format!(
            "\u{1b}[<0;{x};{y}M\u{1b}[<32;{to_x};{to_y}M\u{1b}[<0;{to_x};{to_y}m"
        ))
    }

    /// Column and line of the middle of this text, from 1.
    fn place_of(&mut self, what: &str) -> (usize, usize) {
        self.shows(what);
        let text = self.text();
        let found = text.lines().enumerate().find_map(|(y, line)| {
            let (before, _) = line.split_once(what)?;
            Some((before.chars().count() + what.chars().count() / 2, y))
        });
        let (x, y) = found.unwrap_or_else(|| panic!("no {what:?}:\n{text}"));
        (x + 1, y + 1)
    }

    /// Whether the terminal is as a shell would want it: main screen, cursor, no brackets around pastes, no mouse, echo.
    #[track_caller]
    pub fn assert_restored(&self) {
        let deadline = Instant::now() + PATIENCE;
        let master = self.master.as_ref().expect("a terminal");
        loop {
            let modes = format!("{:?}", master.get_termios().expect("modes").local_flags);
            let parser = self.screen.lock().expect("a screen");
            let screen = parser.screen();
            let taken = [
                ("no line editing", !modes.contains("ICANON")),
                ("no echo", !modes.contains("ECHO ")),
                ("the alternate screen", screen.alternate_screen()),
                ("no cursor", screen.hide_cursor()),
                ("pastes in brackets", screen.bracketed_paste()),
                ("the mouse", is_taken(screen)),
            ];
            drop(parser);
            let left: Vec<&str> = taken.iter().filter(|(_, t)| *t).map(|(n, _)| *n).collect();
            if left.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "it leaves {left:?} behind: {modes}"
            );
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Leaves what is expected and is not on the screen.
fn strike_out(expected: &mut Vec<String>, screen: &vt100::Screen) {
    if !expected.is_empty() {
        let text = screen.contents();
        expected.retain(|what| !text.contains(what.as_str()));
    }
}

fn is_taken(screen: &vt100::Screen) -> bool {
    screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None
}

/// At least one.
fn cells(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN)
}

fn size(width: u16, height: u16) -> PtySize {
    PtySize {
        rows: height,
        cols: width,
        pixel_width: 0,
        pixel_height: 0,
    }
}
