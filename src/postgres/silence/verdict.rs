//! What a look at a silent session means. Pure; time comes in as a duration of silence.

use std::time::Duration;

use crate::text::printable;

/// Silence up to here is nothing to look into.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// Between looks.
const EVERY: Duration = Duration::from_secs(5);
/// Between two sentences about a session that works.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// A server that answers nobody for so long is away.
const AWAY: Duration = Duration::from_secs(60);

/// What a second connection saw of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It works, or waits for somebody else.
    Works {
        /// The statement, as the server has it.
        statement: String,
        /// Who holds the lock that it waits for.
        blockers: Option<String>,
    },
    /// It waits for us, who wait for it.
    Idle,
    /// It waits until we read what it has sent.
    Unread,
    /// The server does not have it any more.
    Gone,
    /// The server answers, and lets nobody look: it is full, or the role may not.
    Refused(String),
    NoAnswer(String),
}

/// What to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    Tell(String),
    Lost(String),
}

/// The looks of one silence.
#[derive(Debug, Default)]
pub(super) struct Looks {
    looked: Option<Duration>,
    told: Option<Duration>,
    /// Seen idle or gone the last time. A message may be on its way at one look; at two it is not.
    was_over: bool,
}

impl Looks {
    pub(super) fn is_due(&self, silent: Duration) -> bool {
        silent >= self.looked.map_or(FIRST_LOOK, |looked| looked + EVERY)
    }

    pub(super) fn judge(&mut self, silent: Duration, seen: Seen) -> Verdict {
        self.looked = Some(silent);
        let was_over = std::mem::take(&mut self.was_over);
        let after_s = silent.as_secs();
        match seen {
            Seen::Idle | Seen::Gone if !was_over => {
                self.was_over = true;
                Verdict::Wait
            }
            Seen::Unread => Verdict::Wait,
            Seen::Idle => Verdict::Lost(format!(
                "PostgreSQL has ended the statement, and its answer has not arrived for {after_s} s: it was lost on the way, and the \
                 connection is given up"
            )),
            Seen::Gone => Verdict::Lost(format!(
                "PostgreSQL does not know this session any more, and no answer has arrived for {after_s} s: the connection is given up"
            )),
            Seen::NoAnswer(why) if silent >= AWAY => Verdict::Lost(format!(
                "PostgreSQL has answered nothing for {after_s} s, on a second connection neither ({why}): the connection is given up"
            )),
            Seen::NoAnswer(why) => self.tell(
                silent,
                format!(
                    "PostgreSQL has not answered for {after_s} s, and a second connection gets no answer either: {why}. After {} s it is \
                     given up",
                    AWAY.as_secs()
                ),
            ),
            Seen::Refused(why) => self.tell(
                silent,
                format!("PostgreSQL has not answered for {after_s} s, and nobody can look why: {why}"),
            ),
            Seen::Works {
                statement,
                blockers,
            } => {
                let statement = printable(&statement, 160);
                let waits = match blockers {
                    Some(blockers) => format!(
                        "; it waits for a lock of {}, who can end it",
                        printable(&blockers, 400)
                    ),
                    None => String::new(),
                };
                self.tell(
                    silent,
                    format!("PostgreSQL has been at it for {after_s} s: {statement}{waits}"),
                )
            }
        }
    }

    fn tell(&mut self, silent: Duration, sentence: String) -> Verdict {
        if self.told.is_some_and(|told| silent < told + TELL_EVERY) {
            return Verdict::Wait;
        }
        self.told = Some(silent);
        Verdict::Tell(sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works(blockers: Option<&str>) -> Seen {
        Seen::Works {
            statement: "CREATE INDEX x".to_owned(),
            blockers: blockers.map(str::to_owned),
        }
    }

    /// Looks at a session at the moments at which it is looked at; gives `told`, `wait` or `lost` with the second.
    fn story(seen: impl Fn(u64) -> Seen) -> Vec<(u64, String)> {
        let mut looks = Looks::default();
        let mut told = Vec::new();
        for s in 0..120 {
            let silent = Duration::from_secs(s);
            if !looks.is_due(silent) {
                continue;
            }
            match looks.judge(silent, seen(s)) {
                Verdict::Wait => {}
                Verdict::Tell(sentence) => told.push((s, sentence)),
                Verdict::Lost(sentence) => {
                    told.push((s, format!("lost: {sentence}")));
                    break;
                }
            }
        }
        told
    }

    #[test]
    fn a_statement_that_takes_long_is_waited_for_and_told_of() {
        let told = story(|_| works(None));
        let at: Vec<u64> = told.iter().map(|(s, _)| *s).collect();
        assert_eq!(at, [10, 40, 70, 100]);
        assert!(!told.iter().any(|(_, sentence)| sentence.contains("lost")));
    }

    #[test]
    fn who_holds_the_lock_is_named() {
        let told = story(|_| {
            works(Some(
                "session 7 (app as psql, idle in transaction since 90 s)",
            ))
        });
        assert!(
            told[0].1.contains("a lock of session 7 (app as psql"),
            "{told:?}"
        );
    }

    #[test]
    fn an_answer_that_was_lost_is_given_up_at_the_second_look() {
        for seen in [Seen::Idle, Seen::Gone] {
            let told = story(|_| seen.clone());
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0].0, 15);
            assert!(told[0].1.starts_with("lost: "), "{told:?}");
        }
        // Once idle and once at work is an answer on its way, and then the next statement.
        let told = story(|s| if s % 10 == 0 { Seen::Idle } else { works(None) });
        assert!(
            told.iter()
                .all(|(_, sentence)| !sentence.starts_with("lost"))
        );
    }

    #[test]
    fn a_server_that_answers_nobody_is_away_after_a_minute() {
        let told = story(|_| Seen::NoAnswer("refused".to_owned()));
        let last = told.last().expect("told");
        assert_eq!(last.0, 60);
        assert!(last.1.starts_with("lost: "), "{told:?}");
        // A server that says no is there.
        let told = story(|_| Seen::Refused("too many connections".to_owned()));
        assert!(
            told.iter()
                .all(|(_, sentence)| !sentence.starts_with("lost"))
        );
    }
}
