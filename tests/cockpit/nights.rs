//! Whole nights through terminals, on the real sandbox: a real application, a real PostgreSQL, real faults.

use rustix::process::Signal;

use super::terminal::Terminal;

const SPEED: &str = "20";

/// A sandbox and the cockpit that opened it. Ends with the test.
struct Night {
    folder: tempfile::TempDir,
    sandbox: String,
    robin: Terminal,
}

impl Night {
    fn begin(rows: &str) -> Night {
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = folder.path().join("sandbox");
        let sandbox = sandbox.to_str().expect("UTF-8").to_owned();
        let args = ["demo", "--speed", SPEED, "--rows", rows, "--dir", &sandbox];
        let robin = Terminal::open(&args, folder.path(), (120, 40));
        let mut night = Night {
            folder,
            sandbox,
            robin,
        };
        night.robin.shows("The first minute");
        night.robin.press("\u{1b}").hides("The first minute");
        night.robin.shows("● live");
        night
    }

    /// Another cockpit on the same session.
    fn join(&self, role: &str, size: (u16, u16)) -> Terminal {
        let session = format!("{}/.cutover/tool-catalogue-1", self.sandbox);
        let args = ["join", "--dir", &session, "--as", role];
        let mut terminal = Terminal::open(&args, self.folder.path(), size);
        terminal.shows("Go / no-go");
        terminal
    }

    /// From the first key to the freeze: everybody is played in one terminal.
    fn up_to_the_freeze(&mut self) {
        let robin = &mut self.robin;
        robin.press("\r").shows("P2 waits for");
        for (digit, name) in [("1", "Robin"), ("2", "Ada"), ("3", "Dan"), ("4", "Quinn")] {
            robin.press("p").shows("Whom do you want to play?");
            robin.press(digit).shows(&format!("you play {name}"));
            robin.press("\r").shows("done: confirmed being on call");
        }
        robin.shows("A1 waits: ");
        for (digit, gates) in [("2", 3), ("1", 3), ("4", 1)] {
            robin.press("p").shows("Whom do you want to play?");
            robin.press(digit).shows("you play");
            for _ in 0..gates {
                robin.press(" ").shows("A signature covers the runbook");
                robin.press(" ").shows("signed").hides("A signature covers");
                robin.hides("asking the engine");
            }
        }
        robin
            .press("p")
            .shows("Whom")
            .press("1")
            .shows("you play Robin");
        robin.shows("starts A1");
    }

    /// From the freeze to the switch, with Dan's and Quinn's signatures.
    fn up_to_the_switch(&mut self, quinn: &mut Terminal) {
        self.robin.press("\r").shows("signs K1 and K2");
        let mut dan = self.join("dba", (100, 30));
        for _ in 0..2 {
            dan.press(" ").shows("A signature covers the runbook");
            dan.press(" ").shows("signed").hides("A signature covers");
            dan.hides("asking the engine");
        }
        dan.press("q").ends();
        dan.assert_restored();
        self.robin.shows("starts B1").press("\r");
        self.robin.shows("signs K5");
        quinn
            .shows("YOU")
            .press(" ")
            .shows("Sign K5 as QA")
            .press("\r");
        self.robin
            .shows("GO: every gate is green")
            .shows("8 of 8 green");
    }
}

impl Drop for Night {
    fn drop(&mut self) {
        let stop = std::process::Command::new(crate::support::cutover())
            .args(["demo", "--stop", "--dir", &self.sandbox])
            .output();
        drop(stop);
    }
}

#[test]
fn errors_after_the_switch_end_in_a_rollback_on_every_screen() {
    let mut night = Night::begin("4000");
    night.up_to_the_freeze();
    let mut quinn = night.join("qa", (80, 24));
    night.up_to_the_switch(&mut quinn);
    night.robin.press("\r").shows("G1 is running");
    night.robin.press("F").shows("Inject a fault");
    choose(&mut night.robin, "5xx");
    night.robin.shows("burns").shows("BURNING");
    for terminal in [&mut night.robin, &mut quinn] {
        terminal.shows("FIRED").shows("Nobody can stop it");
    }
    for terminal in [&mut night.robin, &mut quinn] {
        terminal.shows("ROLLING BACK").shows("rolling back for");
    }
    night
        .robin
        .shows("Rolled back: the application serves from SQLite again");
    quinn.shows("The application serves from SQLite again");
    night.robin.press("q");
    assert_eq!(night.robin.ends().exit_code(), 4);
    night.robin.assert_restored();
}

/// Moves to a line of a list and chooses it.
fn choose(terminal: &mut Terminal, name: &str) {
    for _ in 0..20 {
        let text = terminal.text();
        let chosen = text.lines().find(|l| l.contains('▸') && l.contains("┃"));
        let here = chosen.is_some_and(|l| l.split_whitespace().any(|w| w == name));
        if here {
            terminal.press("\r").shows("injected");
            return;
        }
        let before = text.clone();
        terminal
            .press("j")
            .until("another line", |now| now != before);
    }
    panic!("{name} is not in the list:\n{}", terminal.text());
}

#[test]
fn a_rough_night_a_closed_terminal_and_a_rollback_by_hand() {
    let mut night = Night::begin("120000");
    night.up_to_the_freeze();
    let mut quinn = night.join("qa", (120, 40));
    night.robin.press("\r").shows("signs K1 and K2");
    let mut dan = night.join("dba", (120, 40));
    dan.press(" ")
        .shows("A signature")
        .press(" ")
        .shows("K1 signed");
    dan.press(" ")
        .shows("Sign K2")
        .press(" ")
        .shows("K2 signed");
    night.robin.shows("starts B1").press("\r");
    // Dan watches the import, and his window is closed in the middle of it.
    dan.shows("Import in transactional batches")
        .shows("rows")
        .shows("/s");
    dan.hang_up();
    dan.ends();
    let mut dan = night.join("dba", (120, 40));
    dan.shows("✓ D2").shows("signs K5");
    for n in 0..40u16 {
        dan.resize(20 + n * 31 % 180, 5 + n * 17 % 50);
    }
    dan.resize(120, 40).shows("q leave");
    quinn
        .shows("YOU")
        .press(" ")
        .shows("Sign K5 as QA")
        .press("\r");
    night.robin.shows("GO: every gate is green").press("\r");
    night.robin.shows("F2 is running");
    night
        .robin
        .press("R")
        .shows("To begin, type tool-catalogue-1");
    night.robin.press("tool-catalogue-1\r");
    for terminal in [&mut night.robin, &mut quinn, &mut dan] {
        terminal.shows("ROLLING BACK");
    }
    night
        .robin
        .shows("Rolled back: the application serves from SQLite again");
    night.robin.signal(Signal::TERM);
    night.robin.ends();
    night.robin.assert_restored();
}
