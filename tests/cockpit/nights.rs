//! Whole nights through terminals, on the real sandbox: a real application, a real PostgreSQL, real faults.

use std::time::Duration;

use rustix::process::Signal;

use super::terminal::Terminal;

const SPEED: &str = "20";
/// A minute of the runbook lasts a second and a half: V1 to V5 have fifteen of them, and a busy machine needs more than fifteen seconds.
const FAST: &str = "40";

/// Requests a second: enough to judge by, and few enough for unoptimised programs beside another night.
const RATE: &str = "60";

/// How long the sandbox may take: it starts a server and an application, makes the rows and rehearses the whole night with them.
const SET_UP: Duration = Duration::from_secs(600);

/// A sandbox and the cockpit that opened it. Ends with the test.
struct Night {
    folder: tempfile::TempDir,
    sandbox: String,
    robin: Terminal,
}

impl Night {
    fn begin(rows: &str, speed: &str) -> Night {
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = folder.path().join("sandbox");
        let sandbox = sandbox.to_str().expect("UTF-8").to_owned();
        let args = [
            "demo", "--speed", speed, "--rows", rows, "--rate", RATE, "--dir", &sandbox,
        ];
        let robin = Terminal::open(&args, folder.path(), (120, 40));
        let mut night = Night {
            folder,
            sandbox,
            robin,
        };
        night.robin.shows_within(SET_UP, "The first minute");
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
        let people: [(&str, &[&str]); 3] = [
            ("2", &["K3", "K4", "K8"]),
            ("4", &["K8"]),
            ("1", &["K6", "K7", "K8"]),
        ];
        for (digit, gates) in people {
            robin.press("p").shows("Whom do you want to play?");
            robin.press(digit).shows("you play");
            sign(robin, gates);
        }
        robin.shows("starts A1");
    }

    /// From the freeze to the switch, with Dan's and Quinn's signatures.
    fn up_to_the_switch(&mut self, quinn: &mut Terminal) {
        self.robin.press("\r").shows("signs K1 and K2");
        let mut dan = self.join("dba", (100, 30));
        sign(&mut dan, &["K1", "K2"]);
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
    let mut night = Night::begin("4000", SPEED);
    night.up_to_the_freeze();
    let mut quinn = night.join("qa", (80, 24));
    night.up_to_the_switch(&mut quinn);
    night.robin.press("\r").shows("G1 is running");
    // The countdown lasts a second and a half at this speed.
    let on_both = [
        "FIRED",
        "Nobody can stop it",
        "ROLLING BACK",
        "rolling back for",
    ];
    let at_robins = [&["burns", "BURNING"][..], &on_both[..]].concat();
    night.robin.expects(&at_robins);
    quinn.expects(&on_both);
    night.robin.press("F").shows("Inject a fault");
    choose(&mut night.robin, "5xx");
    for terminal in [&mut night.robin, &mut quinn] {
        terminal.has_shown_them();
    }
    night
        .robin
        .shows("Rolled back: the application serves from SQLite again");
    quinn.shows("The application serves from SQLite again");
    night.robin.press("q");
    assert_eq!(night.robin.ends().exit_code(), 4);
    night.robin.assert_restored();
}

/// The release manager drives, the DBA watches the pool, QA signs; and QA's terminal is killed before that.
#[test]
fn three_people_take_it_to_release() {
    let mut night = Night::begin("2000", FAST);
    night.up_to_the_freeze();
    let mut dan = night.join("dba", (120, 40));
    let mut quinn = night.join("qa", (80, 24));
    dan.press("3").shows("max");
    night.robin.shows("Dan").shows("Quinn");
    night.robin.press("\r").shows("signs K1 and K2");
    dan.press("6").shows("YOU");
    sign(&mut dan, &["K1", "K2"]);
    night.robin.shows("starts B1").press("\r");
    quinn.signal(Signal::KILL);
    quinn.ends();
    night.robin.shows("signs K5");
    let mut quinn = night.join("qa", (80, 24));
    quinn.shows("YOU");
    sign(&mut quinn, &["K5"]);
    for terminal in [&mut night.robin, &mut dan] {
        terminal.shows("8 of 8 green");
    }
    dan.press("9").shows("✓ equal").press("\r");
    dan.shows("INTEGER → integer")
        .press("\u{1b}")
        .hides("Esc back");
    night.robin.press("\r").shows("G1 is running");
    night
        .robin
        .until("half an hour since the switch", |text| {
            since_the_switch(text) >= Some(30)
        })
        .shows("completes the release");
    // It is not theirs to say.
    quinn.press("c").shows("release manager");
    night.robin.press("c").shows("Complete the release");
    night.robin.press("tool-catalogue-1\r");
    for terminal in [&mut night.robin, &mut dan, &mut quinn] {
        terminal.shows("The release is complete");
        terminal.press("q");
        assert_eq!(terminal.ends().exit_code(), 0);
        terminal.assert_restored();
    }
}

/// Signs these gates, in the order in which the cursor finds them.
fn sign(terminal: &mut Terminal, gates: &[&str]) {
    for gate in gates {
        terminal.press(" ").shows(&format!("Sign {gate} as"));
        terminal.press(" ").shows(&format!("done: {gate} signed"));
    }
}

/// How many minutes of the runbook the header says that the switch is ago.
fn since_the_switch(text: &str) -> Option<u32> {
    let clocks = text.match_indices("switch ").filter_map(|(at, word)| {
        let rest = &text[at + word.len()..];
        let clock = rest
            .split(|c: char| c != ':' && !c.is_ascii_digit())
            .next()?;
        let parts: Vec<u32> = clock.split(':').map_while(|p| p.parse().ok()).collect();
        match parts[..] {
            [minutes, _] => Some(minutes),
            [hours, minutes, _] => Some(hours * 60 + minutes),
            _ => None,
        }
    });
    clocks.max()
}

/// Moves to a line of a list and chooses it.
fn choose(terminal: &mut Terminal, name: &str) {
    for _ in 0..20 {
        let here = chosen(&terminal.text());
        if here.split_whitespace().any(|w| w == name) {
            terminal.press("\r").shows("injected");
            return;
        }
        terminal
            .press("j")
            .until("another line", |text| chosen(text) != here);
    }
    panic!("{name} is not in the list:\n{}", terminal.text());
}

/// The line of a list under the cursor.
fn chosen(text: &str) -> String {
    let line = text.lines().filter_map(|l| l.split_once("┃▸")).next_back();
    line.map_or_else(String::new, |(_, rest)| {
        rest.split('┃').next().unwrap_or_default().to_owned()
    })
}

#[test]
fn a_rough_night_a_closed_terminal_and_a_rollback_by_hand() {
    let mut night = Night::begin("200000", SPEED);
    night.up_to_the_freeze();
    let mut quinn = night.join("qa", (120, 40));
    night.robin.press("\r").shows("signs K1 and K2");
    let mut dan = night.join("dba", (120, 40));
    sign(&mut dan, &["K1", "K2"]);
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
    for terminal in [&mut night.robin, &mut quinn, &mut dan] {
        terminal.expects(&["ROLLING BACK"]);
    }
    night.robin.press("tool-catalogue-1\r");
    for terminal in [&mut night.robin, &mut quinn, &mut dan] {
        terminal.has_shown_them();
    }
    night
        .robin
        .shows("Rolled back: the application serves from SQLite again");
    night.robin.signal(Signal::TERM);
    night.robin.ends();
    night.robin.assert_restored();
}
