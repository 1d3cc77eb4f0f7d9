//! Whether a column can take the next number of its sequence: its type with length and precision, the checks of its domains, and the
//! table's checks over this column alone. The server is asked with an assignment that no row sees.
//!
//! Where sequences stand and what they are set to is [`super`]'s business.

use tokio_postgres::{Client, Error};

use super::form::{self, Affixes};
use super::{Hindrance, Holds, Sequence};
use crate::postgres::quoted;

/// The setting in which the answer comes back: a DO block returns nothing.
const ANSWER: &str = "cutover.answer";

impl Sequence {
    /// What stands against this number as the next one.
    pub(super) async fn hindrance(
        &self,
        client: &Client,
        next: i64,
    ) -> Result<Option<Hindrance>, Error> {
        let value = match &self.holds {
            Holds::Unread => {
                let default = self.default.clone().unwrap_or_default();
                return Ok(Some(Hindrance::Unread(default)));
            }
            // The other operands are not always the same, and may do something when they are computed.
            Holds::Text(Affixes { prefix: None, .. }) => return Ok(None),
            Holds::Numbers | Holds::Negatives | Holds::Text(_) => self.value(next),
        };
        let refused = self.refused(client, &value, next).await?;
        Ok(refused.map(Hindrance::Refused))
    }

    /// The value that the column gets with this number, as SQL.
    fn value(&self, next: i64) -> String {
        let default = self.default.as_deref();
        let made = default.and_then(|default| form::with_number(default, next));
        made.unwrap_or_else(|| format!("'{next}'::bigint"))
    }

    /// Why the column refuses this value; none where it takes it, or where the server could not be asked.
    async fn refused(
        &self,
        client: &Client,
        value: &str,
        next: i64,
    ) -> Result<Option<String>, Error> {
        let checks: String = self
            .checks
            .iter()
            .map(|check| self.checked(check))
            .collect();
        // A text that does not show the whole number would come again.
        let read_back = match &self.holds {
            Holds::Text(affixes) => format!(
                "IF substring(cutover_value::text from '{}')::bigint IS DISTINCT FROM '{next}'::bigint THEN
                   RAISE EXCEPTION '% does not show the number {next}', cutover_value; END IF;",
                affixes.pattern().replace('\'', "''")
            ),
            Holds::Numbers | Holds::Negatives | Holds::Unread => String::new(),
        };
        let ask = format!(
            "DO $cutover$ BEGIN DECLARE cutover_value {} := {value}; BEGIN {checks} {read_back} END;
               PERFORM pg_catalog.set_config('{ANSWER}', '', false);
             EXCEPTION WHEN OTHERS THEN PERFORM pg_catalog.set_config('{ANSWER}', SQLERRM, false); END $cutover$",
            self.column_type
        );
        client.batch_execute(&ask).await?;
        let row = client
            .query_one("SELECT nullif(current_setting($1, true), '')", &[&ANSWER])
            .await?;
        Ok(row.get(0))
    }

    fn checked(&self, check: &str) -> String {
        let column = quoted(&self.column);
        format!(
            "PERFORM FROM (SELECT cutover_value AS {column}) AS cutover_row WHERE ({check}) IS FALSE;
             IF FOUND THEN RAISE EXCEPTION 'a check refuses %', cutover_value; END IF; "
        )
    }
}
