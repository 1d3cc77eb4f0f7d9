//! A gate that wants an SSH key, signed in a cockpit in a real terminal. Not in here: what such a signature must say.

use std::path::Path;

use cutover::ssh;

use super::{Night, kept};
use crate::cockpit::terminal::Terminal;

/// The cockpit of Quinn, who plays nobody else, with this key.
fn join(night: &Night, key: &Path) -> Terminal {
    let folder = night.folder.dir().to_str().expect("UTF-8");
    let key = key.to_str().expect("UTF-8");
    let home = night.dir.path().to_str().expect("UTF-8");
    let env = [
        (ssh::KEY_VARIABLE, key),
        ("SSH_AUTH_SOCK", ""),
        ("HOME", home),
    ];
    let args = ["join", "--dir", folder, "--as", "quinn"];
    let mut terminal = Terminal::open_with(&args, night.dir.path(), (100, 30), &env);
    terminal.shows("Go / no-go");
    terminal
}

/// To K8, and its form.
fn open_k8(terminal: &mut Terminal) {
    for _ in 0..8 {
        terminal.press("j");
    }
    terminal.press(" ").shows("Sign K8 as QA");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cockpit_signs_with_the_persons_key_and_says_why_it_cannot() {
    let mut night = Night::begin().await;
    tokio::task::block_in_place(|| {
        let mut terminal = join(&night, &night.keys.at("nowhere"));
        open_k8(&mut terminal);
        terminal.press(" ").shows("✗").shows("nowhere");
        terminal.press("q");
        assert_eq!(terminal.ends().exit_code(), 0);
        assert_eq!(kept(&night.folder).len(), 0);

        let mut terminal = join(&night, &night.keys.at("quinn"));
        open_k8(&mut terminal);
        terminal.press(" ").shows("done: K8 signed");
        terminal.press("q");
        assert_eq!(terminal.ends().exit_code(), 0);
        terminal.assert_restored();
    });
    let kept = kept(&night.folder);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].principal, "quinn");
    night.end().await;
}
