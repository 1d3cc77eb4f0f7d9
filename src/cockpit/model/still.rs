//! A display that stands still, and the model behind it, which goes on: what is drawn and what keys look at is as it was, and nothing is
//! decided by it. A trigger that fires, and a rollback that begins, let the display go on (`update::still`), so that neither is ever hidden.
//!
//! Not in here: which keys do nothing meanwhile (`actions`), and the line that says how old the display is (`view::still`).

use super::Model;
use super::ui::Ui;

/// What goes on.
#[derive(Debug, Clone)]
pub struct Still {
    live: Model,
}

impl Model {
    /// From now on the display stays as it is.
    pub fn stand_still(&mut self) {
        if self.still.is_none() {
            let live = Model {
                ui: Ui::default(),
                ..self.clone()
            };
            self.still = Some(Box::new(Still { live }));
        }
    }

    /// The display shows what is true now; the cursor stays where it is. Says whether it stood still.
    pub fn go_on(&mut self) -> bool {
        let Some(still) = self.still.take() else {
            return false;
        };
        let Still { live } = *still;
        let ui = std::mem::take(&mut self.ui);
        *self = Model { ui, ..live };
        true
    }

    /// What is true now, whatever the display shows.
    pub fn live(&self) -> &Model {
        match &self.still {
            Some(still) => &still.live,
            None => self,
        }
    }

    /// The same, to take in what comes.
    pub fn live_mut(&mut self) -> &mut Model {
        match self.still {
            Some(ref mut still) => &mut still.live,
            None => self,
        }
    }

    /// Real milliseconds for which the display has stood still.
    pub fn still_for_ms(&self) -> i64 {
        (self.live().now_ms - self.now_ms).max(0)
    }
}
