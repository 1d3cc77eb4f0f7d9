//! Finds actions by what a person remembers of them: a key, the start of a word, a few letters in order.
//!
//! Not in here: whether what is found can be done (`Action::now`).

use super::{ACTIONS, Action, Do, Keys};

/// How well a word of the query fits, from best to worst; between equals fewer skipped letters win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It is the action's key.
    Key,
    /// The label begins with it.
    Start,
    /// A word of the label begins with it.
    Word,
    /// The label holds it.
    Inside,
    /// Its letters are in the label, in order, so many others between them.
    Letters(usize),
    /// A word of the sentence in help begins with it.
    Sentence,
}

/// The actions among these that fit every word of the query, the best first, else in the order of the table. The search itself is not
/// among them.
pub fn found(query: &str, keys: &Keys, among: impl Fn(&Action) -> bool) -> Vec<&'static Action> {
    let words: Vec<&str> = query.split_whitespace().collect();
    let fits = |action: &'static Action| {
        let each: Option<Vec<Fit>> = words.iter().map(|word| fit(word, keys, action)).collect();
        // The word that fits worst decides.
        each.map(|fits| (fits.into_iter().max(), action))
    };
    let mut all: Vec<_> = ACTIONS
        .iter()
        .filter(|action| action.act != Do::Palette && among(action))
        .filter_map(fits)
        .collect();
    all.sort_by_key(|(worst, _)| *worst);
    all.into_iter().map(|(_, action)| action).collect()
}

fn fit(word: &str, keys: &Keys, action: &Action) -> Option<Fit> {
    // `R` and `r` are different keys.
    if keys.of(action).iter().any(|key| key.shown() == word) {
        return Some(Fit::Key);
    }
    let word = word.to_lowercase();
    let label = action.label.to_lowercase();
    if label.starts_with(&word) {
        return Some(Fit::Start);
    }
    let starts = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric())
            .any(|w| w.starts_with(&word))
    };
    if starts(&label) {
        return Some(Fit::Word);
    }
    if label.contains(&word) {
        return Some(Fit::Inside);
    }
    let letters = skipped(&word, &label).map(Fit::Letters);
    letters.or_else(|| starts(&action.help.to_lowercase()).then_some(Fit::Sentence))
}

/// Letters of a text between the first and the last of the word's, if it has those in order.
fn skipped(word: &str, text: &str) -> Option<usize> {
    let mut wanted = word.chars().peekable();
    let mut skipped = 0;
    let mut begun = false;
    for c in text.chars() {
        match wanted.peek() {
            None => break,
            Some(next) if *next == c => {
                wanted.next();
                begun = true;
            }
            Some(_) => skipped += usize::from(begun),
        }
    }
    wanted.peek().is_none().then_some(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in_all(query: &str) -> Vec<&'static Action> {
        found(query, &Keys::default(), |_| true)
    }

    fn first(query: &str) -> Do {
        found_in_all(query).first().expect("something").act
    }

    #[test]
    fn every_action_is_found_by_its_label_and_by_its_key() {
        assert_eq!(
            found_in_all("").len(),
            ACTIONS.len() - 1,
            "all but the search"
        );
        for action in ACTIONS.iter().filter(|a| a.act != Do::Palette) {
            for query in [action.label.to_owned(), action.keys[0].shown()] {
                let acts: Vec<Do> = found_in_all(&query).iter().map(|a| a.act).collect();
                assert!(acts.contains(&action.act), "{query:?}: {acts:?}");
            }
        }
    }

    #[test]
    fn what_fits_best_comes_first() {
        assert_eq!(first("R"), Do::RollBack, "a key");
        assert_eq!(first("roll b"), Do::RollBack, "starts of words");
        assert_eq!(first("freeze"), Do::Extend, "a word of the label");
        assert_eq!(first("xfz"), Do::Extend, "letters in order");
        assert_eq!(first("shell"), Do::Suspend, "a word of its sentence");
        assert!(found_in_all("zzz").is_empty());
        assert!(found_in_all("hold zzz").is_empty(), "every word must fit");
    }
}
