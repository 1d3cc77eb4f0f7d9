//! Our link to PostgreSQL is cut, silently or by resets, while the application goes on writing there: before the rollback and to its end, amid the
//! rollback, or for a while before it. What is lost was committed after the moment that R2+ names, so no longer than the cut has lasted; and once
//! PostgreSQL answers, `salvage make` finds it.

use std::time::Duration;

use cutover::session::Outcome;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::judged::{self, green};
use super::link::{Link, State};
use super::switched::{Application, Following, Night, pause};
use crate::step::bench::red;
use crate::support;

struct Play {
    rng: StdRng,
    night: Night,
    link: Link,
    how: State,
    following: Following,
    application: Application,
}

/// What a rollback came to.
struct Back {
    said: String,
    fenced: Outcome,
    brought: Outcome,
}

pub async fn cut_off(seed: u64) -> Result<String, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let database = support::database().await;
    let link = Link::to(&database.url).await;
    let mut night = Night::switched(&mut rng, database).await;
    night.by_way_of(&link);
    if rng.random_bool(0.5) {
        night.fence_sqlite().await;
    }
    let every = Duration::from_millis(rng.random_range(10..250));
    let following = night.follow(every).await;
    let application = night.application(seed, false).await;
    following.keeps_rows().await;
    pause(&mut rng, 100..900).await;
    let play = Play {
        rng,
        night,
        link,
        how: if seed.is_multiple_of(2) {
            State::Reset
        } else {
            State::Silent
        },
        following,
        application,
    };
    match seed % 3 {
        0 => Box::pin(play.for_a_while()).await,
        1 => Box::pin(play.until_the_end()).await,
        _ => Box::pin(play.amid_the_rollback()).await,
    }
}

impl Play {
    async fn until_the_end(mut self) -> Result<String, String> {
        self.link.set(self.how);
        pause(&mut self.rng, 100..900).await;
        let mut night = self.night;
        night.hand_over(&mut self.rng, self.following).await;
        let fenced = night.bench.row("R1+").await;
        let brought = night.bench.row("R2+").await;
        if red(&fenced) != ["target_fenced"] || brought.ok {
            return Err(format!("R1+: {}; R2+: {}", fenced.summary, brought.summary));
        }
        green("R3", &night.bench.row("R3").await)?;
        let done = self.application.halted().await;
        let server = night.without_application().await;
        let committed = judged::committed(&server, &done).await;
        let said = judged::has_all_until_then(&night, &brought, &committed)?;
        self.link.set(State::Up);
        night.made_anew().await?;
        judged::has_all(&night, &server, committed, &said).await?;
        drop(server);
        night.leave().await;
        Ok(said)
    }

    async fn amid_the_rollback(mut self) -> Result<String, String> {
        let delay_ms = self.rng.random_range(0..150);
        let back = self.rolled_back(Some(delay_ms)).await?;
        Ok(back.said)
    }

    /// What the feed has missed it reads when it is up again, or the rollback does.
    async fn for_a_while(mut self) -> Result<String, String> {
        self.link.set(self.how);
        pause(&mut self.rng, 100..900).await;
        self.link.set(State::Up);
        pause(&mut self.rng, 0..900).await;
        let back = self.rolled_back(None).await?;
        // To R1+ a machine that stands still is a PostgreSQL that does not answer.
        let is_silent = red(&back.fenced).contains(&"target_fenced");
        match back.brought.ok || is_silent {
            true => Ok(back.said),
            false => Err(back.said),
        }
    }

    /// R1+ to R3; the link is cut so many milliseconds after R2+ has begun.
    async fn rolled_back(self, cut_after_ms: Option<u64>) -> Result<Back, String> {
        let (mut rng, mut night) = (self.rng, self.night);
        night.hand_over(&mut rng, self.following).await;
        let fenced = night.bench.row("R1+").await;
        // Where the machine stood still, R1+ keeps nobody out, and what is written after R2+ would be nobody's.
        let done = self.application.halted().await;
        let server = night.without_application().await;
        let (link, how) = (self.link.clone(), self.how);
        let cutting = tokio::spawn(async move {
            if let Some(ms) = cut_after_ms {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                link.set(how);
            }
        });
        let brought = night.bench.row("R2+").await;
        cutting.await.expect("no panic");
        green("R3", &night.bench.row("R3").await)?;
        let committed = judged::committed(&server, &done).await;
        let said = match brought.ok {
            true => format!("{} transactions; {}", committed.len(), brought.summary),
            false => judged::has_all_until_then(&night, &brought, &committed)?,
        };
        self.link.set(State::Up);
        if !brought.ok {
            night.made_anew().await?;
        }
        judged::has_all(&night, &server, committed, &said).await?;
        drop(server);
        night.leave().await;
        Ok(Back {
            said,
            fenced,
            brought,
        })
    }
}
