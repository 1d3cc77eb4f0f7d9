//! Keys while something lies over the screen: forms, lists to choose from, texts to read. Not in here: how they look.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::perform::send;
use super::{Effect, Motion, PAGE, Update, filter, palette, say};
use crate::cockpit::actions::{self, Do};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Form, FormKind, Overlay, Pick, PickKind};
use crate::cockpit::theme::Meaning;
use crate::session::Command;

/// Handles a key, if what lies over the screen takes it; `None` leaves it to the table of actions.
pub fn on_key(model: &mut Model, event: KeyEvent) -> Option<Update> {
    let overlay = model.ui.overlay.clone()?;
    match overlay {
        Overlay::Form(form) => form_key(model, form, event),
        Overlay::Pick(pick) => pick_key(model, pick, event),
        Overlay::Palette(palette) => palette::on_key(model, palette, event),
        Overlay::Filter => filter::on_key(model, event),
        Overlay::Help { .. }
        | Overlay::People { .. }
        | Overlay::Guide
        | Overlay::Output { .. }
        | Overlay::Event { .. }
        | Overlay::Table { .. } => reading_key(model, overlay, event),
    }
}

/// Pasted text goes into a field and nowhere else: a paste by accident is no command.
pub fn on_paste(model: &mut Model, text: &str) -> Update {
    match &mut model.ui.overlay {
        Some(Overlay::Form(form)) => form.insert(text),
        Some(Overlay::Palette(palette)) => palette.insert(text),
        Some(Overlay::Filter) => model.ui.insert_into_filter(text),
        _ => say(
            model,
            "pasted text is taken only where something is typed".to_owned(),
            Meaning::Warn,
        ),
    }
    Update::redraw()
}

fn close(model: &mut Model) -> Option<Update> {
    model.ui.overlay = None;
    Some(Update::redraw())
}

fn action_of(model: &Model, event: KeyEvent) -> Option<Do> {
    actions::find(model, event).map(|(a, _)| a.act)
}

/// The key that leaves the cockpit leaves what lies over it first; ^C does not wait for that.
fn leaves(act: Do, event: KeyEvent) -> bool {
    act == Do::Leave && !event.modifiers.contains(KeyModifiers::CONTROL)
}

/// A text to read: keys scroll it, Esc, `q` and its own key close it; other keys do what they always do.
fn reading_key(model: &mut Model, mut overlay: Overlay, event: KeyEvent) -> Option<Update> {
    let act = action_of(model, event)?;
    let own = matches!(
        (&overlay, act),
        (Overlay::Help { .. }, Do::Help)
            | (Overlay::People { .. }, Do::People)
            | (Overlay::Guide, Do::Guide)
            | (Overlay::Output { .. }, Do::Output | Do::Differences)
            | (Overlay::Event { .. }, Do::Event)
            | (Overlay::Table { .. }, Do::Table)
    );
    if own || act == Do::Back || leaves(act, event) {
        return close(model);
    }
    let Some(motion) = Motion::of(act) else {
        // The guide says which key to press next, so pressing it closes the guide.
        if overlay == Overlay::Guide {
            model.ui.overlay = None;
        }
        return None;
    };
    // What the last frame could scroll; a key pressed before any frame moves freely, and drawing keeps it within.
    let most = model.ui.targets.scrolls_to().unwrap_or(usize::MAX - PAGE);
    match &mut overlay {
        Overlay::Help { scroll }
        | Overlay::People { scroll }
        | Overlay::Event { scroll, .. }
        | Overlay::Table { scroll, .. } => {
            *scroll = motion.apply((*scroll).min(most), most + 1);
        }
        Overlay::Output { up, .. } => *up = motion.apply_from_end(*up, most + 1),
        _ => {}
    }
    model.ui.overlay = Some(overlay);
    Some(Update::redraw())
}

fn pick_key(model: &mut Model, mut pick: Pick, event: KeyEvent) -> Option<Update> {
    let lines = match pick.kind {
        PickKind::Person => model.session.charter.people.len(),
        // The last line takes every fault back.
        PickKind::Fault => model.faults.len() + 1,
        PickKind::Theme => model.ui.look.themes().len(),
    };
    let act = action_of(model, event);
    let is_left = event.code == KeyCode::Esc || act.is_some_and(|act| leaves(act, event));
    if is_left {
        model.ui.overlay = None;
        return Some(Update::with(undressed(model, pick.kind)));
    }
    match event.code {
        KeyCode::Enter | KeyCode::Char(' ') => return Some(chosen(model, pick)),
        KeyCode::Char(c @ '1'..='9') => {
            let at = c as usize - '1' as usize;
            if at < lines {
                pick.at = at;
                return Some(chosen(model, pick));
            }
        }
        _ => {
            if let Some(motion) = act.and_then(Motion::of) {
                pick.at = motion.apply(pick.at, lines);
            }
        }
    }
    Some(pointed_at(model, pick))
}

/// The cursor is on this line: a theme is shown for now.
fn pointed_at(model: &mut Model, pick: Pick) -> Update {
    model.ui.overlay = Some(Overlay::Pick(pick));
    let shown = match pick.kind {
        PickKind::Theme => theme_at(model, pick),
        PickKind::Person | PickKind::Fault => None,
    };
    Update::with(shown.map(Effect::SetTheme).into_iter().collect())
}

/// A line of what lies over the screen was clicked: the cursor goes there, and where it is already, that is chosen.
pub fn on_line(model: &mut Model, n: usize) -> Update {
    match model.ui.overlay.clone() {
        Some(Overlay::Pick(pick)) if pick.at == n => chosen(model, pick),
        Some(Overlay::Pick(pick)) => pointed_at(model, Pick { at: n, ..pick }),
        Some(Overlay::Palette(palette)) => palette::on_line(model, palette, n),
        _ => Update::nothing(),
    }
}

fn theme_at(model: &Model, pick: Pick) -> Option<String> {
    model.ui.look.themes().into_iter().nth(pick.at)
}

/// Nothing was chosen: a theme that was shown for now is taken off.
pub fn undressed(model: &Model, kind: PickKind) -> Vec<Effect> {
    match kind {
        PickKind::Theme => vec![Effect::SetTheme(model.ui.look.theme.clone())],
        PickKind::Person | PickKind::Fault => Vec::new(),
    }
}

fn chosen(model: &mut Model, pick: Pick) -> Update {
    model.ui.overlay = None;
    match pick.kind {
        PickKind::Person => {
            let Some(person) = model.session.charter.people.get(pick.at).cloned() else {
                return Update::redraw();
            };
            model.play(Some(person.id));
            say(
                model,
                format!("you play {} now", person.name),
                Meaning::Sandbox,
            );
            Update::with(vec![Effect::Present(model.ui.view)])
        }
        PickKind::Theme => {
            let Some(name) = theme_at(model, pick) else {
                return Update::redraw();
            };
            model.ui.look.theme.clone_from(&name);
            Update::with(vec![Effect::SetTheme(name)])
        }
        PickKind::Fault => {
            let picked = model.faults.get(pick.at).cloned();
            if let Some((name, why)) = picked
                .as_ref()
                .and_then(|f| Some((&f.name, f.unavailable.as_ref()?)))
            {
                say(model, format!("{name} is {why}"), Meaning::Sandbox);
                return Update::redraw();
            }
            let name = picked.map(|f| f.name);
            let asked = match &name {
                Some(name) => format!("injected {name}"),
                None => "took every fault back".to_owned(),
            };
            model.ui.asked = Some(asked);
            Update::with(vec![Effect::Inject(name)])
        }
    }
}

fn form_key(model: &mut Model, mut form: Form, event: KeyEvent) -> Option<Update> {
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    let fields = form.fields.len();
    match event.code {
        KeyCode::Esc => return close(model),
        KeyCode::Char('c') if ctrl => return close(model),
        KeyCode::Char('z' | 'l') if ctrl => return None,
        KeyCode::Enter => return Some(submitted(model, form)),
        // Space opened the form and signs; only after something was typed it is a blank.
        KeyCode::Char(' ')
            if matches!(form.kind, FormKind::Sign { .. }) && form.text(0).is_empty() =>
        {
            return Some(submitted(model, form));
        }
        KeyCode::Tab | KeyCode::Down if fields > 0 => form.at = (form.at + 1) % fields,
        KeyCode::BackTab | KeyCode::Up if fields > 0 => form.at = (form.at + fields - 1) % fields,
        KeyCode::Backspace => {
            if let Some(field) = form.fields.get_mut(form.at) {
                field.text.pop();
            }
            form.problem = None;
        }
        KeyCode::Char('u') if ctrl => {
            if let Some(field) = form.fields.get_mut(form.at) {
                field.text.clear();
            }
        }
        KeyCode::Char(c) if !ctrl => form.insert(c.encode_utf8(&mut [0; 4])),
        _ => {}
    }
    model.ui.overlay = Some(Overlay::Form(form));
    Some(Update::redraw())
}

fn submitted(model: &mut Model, mut form: Form) -> Update {
    match form.command(&model.session.charter.session) {
        Ok(command) => {
            model.ui.overlay = None;
            let asked = words(&command);
            send(model, command, asked)
        }
        Err(problem) => {
            form.problem = Some(problem);
            model.ui.overlay = Some(Overlay::Form(form));
            Update::redraw()
        }
    }
}

/// A command as something that has been done.
fn words(command: &Command) -> String {
    match command {
        Command::StartStep { .. } | Command::StartDiscarding { .. } => "started".to_owned(),
        Command::Confirm { .. } => "confirmed".to_owned(),
        Command::Sign { gate, .. } => format!("{gate} signed"),
        Command::Withdraw { gate, .. } => format!("{gate} withdrawn"),
        Command::Hold { .. } => "held".to_owned(),
        Command::Resume => "resumed".to_owned(),
        Command::Skip { step, .. } => format!("{step} skipped"),
        Command::DecideUnknown { step, .. } => format!("{step} decided"),
        Command::ExtendFreeze { .. } => "freeze extended".to_owned(),
        Command::RollBack { .. } => "rollback begun".to_owned(),
        Command::Complete => "release completed".to_owned(),
        Command::Note { .. } => "note written".to_owned(),
        Command::Close { .. } => "closed".to_owned(),
        Command::Retry { .. } => "rows of the rollback run again".to_owned(),
        Command::Correct { .. } => "correction recorded".to_owned(),
    }
}
