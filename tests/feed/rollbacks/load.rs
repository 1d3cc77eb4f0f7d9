//! The application: connections that write side by side what applications write, seeded, each transaction with what the server answered to it.
//!
//! A transaction whose commit was answered is acknowledged. One that was refused is not, and neither is one whose commit nobody answered: the
//! server knows what became of that.

use std::time::Duration;

use cutover::clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::model::{Change, Done};
use super::world::{
    ACCOUNTS, ENTRIES, EVENTS, Form, KINDS, LOG, Row, TABLES, TAGS, any_value, key_of, literal,
    rows, sql, tag,
};

/// Nobody waits long for a row that another transaction has, so that no two wait for each other.
const SET: &str = "SET lock_timeout = '80ms'; SET TIME ZONE 'UTC'";

/// Writes over this connection until it may not any more, or nobody waits for it. Gives what was committed, or may have been.
pub async fn write(client: Client, seed: u64, of_log: bool, halt: CancellationToken) -> Vec<Done> {
    let mut writer = Writer {
        client,
        rng: StdRng::seed_from_u64(seed),
        seed,
        words: 0,
        of_log,
        pending: None,
        done: Vec::new(),
    };
    halt.run_until_cancelled(writer.work()).await;
    writer.settle(false);
    writer.done
}

/// Why a statement was not done.
enum Stop {
    /// Another transaction is in the way: this one is given up.
    Transaction,
    /// There is no right to write any more, or no server.
    Connection,
}

struct Writer {
    client: Client,
    rng: StdRng,
    seed: u64,
    /// Words that were made.
    words: u64,
    of_log: bool,
    /// What is being committed.
    pending: Option<Done>,
    done: Vec<Done>,
}

impl Writer {
    async fn work(&mut self) {
        if self.client.batch_execute(SET).await.is_err() {
            return;
        }
        loop {
            match self.transaction().await {
                Ok(()) => {}
                Err(Stop::Transaction) => {
                    if self.client.batch_execute("ROLLBACK").await.is_err() {
                        return;
                    }
                }
                Err(Stop::Connection) => return,
            }
            self.pause(4).await;
        }
    }

    /// The application's own pace.
    async fn pause(&mut self, most_ms: u64) {
        let pause = Duration::from_millis(self.rng.random_range(0..most_ms));
        tokio::time::sleep(pause).await;
    }

    async fn transaction(&mut self) -> Result<(), Stop> {
        self.run("BEGIN").await?;
        // Some begin early and commit late.
        let is_long = self.rng.random_bool(0.08);
        let acts = match is_long {
            true => 6,
            false => self.rng.random_range(1..4),
        };
        let mut changes = Vec::new();
        for _ in 0..acts {
            match self.rng.random_bool(0.15) {
                true => self.act_in_a_savepoint(&mut changes).await?,
                false => self.act(&mut changes).await?,
            }
            if is_long {
                self.pause(100).await;
            }
        }
        let turn = "SELECT nextval('app.turn'), pg_current_xact_id()";
        let told = self.ask(turn).await?;
        self.pending = Some(Done {
            turn: at(&told[0], 0).parse().expect("a number"),
            xid: at(&told[0], 1).parse().expect("a number"),
            acked_ms: None,
            changes,
        });
        let committed = self.run("COMMIT").await;
        self.settle(committed.is_ok());
        committed
    }

    /// What was to be committed is, or may be.
    fn settle(&mut self, is_acked: bool) {
        if let Some(mut done) = self.pending.take() {
            done.acked_ms = is_acked.then(clock::now_ms);
            self.done.push(done);
        }
    }

    async fn act_in_a_savepoint(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        self.run("SAVEPOINT one").await?;
        let before = changes.len();
        self.act(changes).await?;
        match self.rng.random_bool(0.5) {
            true => {
                changes.truncate(before);
                self.run("ROLLBACK TO one").await
            }
            false => self.run("RELEASE one").await,
        }
    }

    async fn act(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let acts = if self.of_log { 50 } else { 47 };
        match self.rng.random_range(0..acts) {
            0..4 => self.new_account(changes).await,
            4..7 => self.counted_account(changes).await,
            7..11 => self.swapped_names(changes).await,
            11..13 => self.account_gone(changes).await,
            13..15 => self.account_moved(changes).await,
            15..20 => self.entry(changes).await,
            20..22 => self.entry_moved_or_gone(changes).await,
            22..26 => self.tag(changes).await,
            26..29 => self.tag_moved(changes).await,
            29..33 => self.tag_gone_and_back(changes).await,
            33..37 => self.new_kind(changes).await,
            37..40 => self.changed_kind(changes).await,
            40..46 => self.many_events(changes).await,
            46 => self.emptied(changes).await,
            _ => self.logged(changes).await,
        }
    }

    async fn new_account(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let name = literal(&self.word());
        let insert = format!("INSERT INTO \"Accounts\" (\"Name\", \"N\") VALUES ({name}, 0)");
        self.put(ACCOUNTS, &insert, changes).await
    }

    async fn counted_account(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let Some(row) = self.pick(ACCOUNTS).await? else {
            return Ok(());
        };
        let update = "UPDATE \"Accounts\" SET \"N\" = \"N\" + 1";
        let update = format!("{update} WHERE \"Id\" = {}", at(&row, 0));
        self.put(ACCOUNTS, &update, changes).await
    }

    /// Two accounts have each other's name afterwards, which no other may have.
    async fn swapped_names(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let (Some(one), Some(other)) = (self.pick(ACCOUNTS).await?, self.pick(ACCOUNTS).await?)
        else {
            return Ok(());
        };
        if at(&one, 0) == at(&other, 0) {
            return Ok(());
        }
        let free = self.word();
        for (row, name) in [
            (&one, free.as_str()),
            (&other, at(&one, 1)),
            (&one, at(&other, 1)),
        ] {
            let (id, name) = (at(row, 0), literal(name));
            let update = format!("UPDATE \"Accounts\" SET \"Name\" = {name} WHERE \"Id\" = {id}");
            self.put(ACCOUNTS, &update, changes).await?;
        }
        Ok(())
    }

    async fn account_gone(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let Some(row) = self.pick(ACCOUNTS).await? else {
            return Ok(());
        };
        let delete = format!("DELETE FROM \"Accounts\" WHERE \"Id\" = {}", at(&row, 0));
        self.remove(ACCOUNTS, &delete, changes).await
    }

    async fn account_moved(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let Some(row) = self.pick(ACCOUNTS).await? else {
            return Ok(());
        };
        let to = self.rng.random_range(1_000..1_000_000_000);
        let update = format!(
            "UPDATE \"Accounts\" SET \"Id\" = {to} WHERE \"Id\" = {}",
            at(&row, 0)
        );
        self.shift(ACCOUNTS, &row, &update, changes).await
    }

    async fn entry(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let Some(account) = self.pick(ACCOUNTS).await? else {
            return Ok(());
        };
        let (line, body) = (self.rng.random_range(0..4), literal(&self.word()));
        let insert = format!(
            "INSERT INTO \"Entries\" VALUES ({}, {line}, {body}) ON CONFLICT (\"AccountId\", \"Line\") DO UPDATE SET \"Body\" = excluded.\"Body\"",
            at(&account, 0)
        );
        self.put(ENTRIES, &insert, changes).await
    }

    async fn entry_moved_or_gone(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let Some(row) = self.pick(ENTRIES).await? else {
            return Ok(());
        };
        let is_it = format!(
            "\"AccountId\" = {} AND \"Line\" = {}",
            at(&row, 0),
            at(&row, 1)
        );
        if self.rng.random_bool(0.5) {
            let delete = format!("DELETE FROM \"Entries\" WHERE {is_it}");
            return self.remove(ENTRIES, &delete, changes).await;
        }
        let to = self.rng.random_range(0..8);
        let update = format!("UPDATE \"Entries\" SET \"Line\" = {to} WHERE {is_it}");
        self.shift(ENTRIES, &row, &update, changes).await
    }

    async fn tag(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let (name, weight) = (self.any_tag(), self.rng.random_range(0..1_000));
        let insert = format!(
            "INSERT INTO \"Tags\" VALUES ({name}, {weight}) ON CONFLICT (\"Name\") DO UPDATE SET \"Weight\" = excluded.\"Weight\""
        );
        self.put(TAGS, &insert, changes).await
    }

    async fn tag_moved(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let Some(row) = self.pick(TAGS).await? else {
            return Ok(());
        };
        let (to, from) = (self.any_tag(), literal(at(&row, 0)));
        let update = format!("UPDATE \"Tags\" SET \"Name\" = {to} WHERE \"Name\" = {from}");
        self.shift(TAGS, &row, &update, changes).await
    }

    /// A row is deleted, and mostly made again: as it was, or otherwise.
    async fn tag_gone_and_back(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let Some(row) = self.pick(TAGS).await? else {
            return Ok(());
        };
        let name = literal(at(&row, 0));
        let delete = format!("DELETE FROM \"Tags\" WHERE \"Name\" = {name}");
        self.remove(TAGS, &delete, changes).await?;
        let other = self.rng.random_range(0..1_000).to_string();
        let weight = match self.rng.random_range(0..3) {
            0 => return Ok(()),
            1 => row[1].as_deref(),
            _ => Some(other.as_str()),
        };
        let insert = format!("INSERT INTO \"Tags\" VALUES ({name}, {})", sql(weight));
        self.put(TAGS, &insert, changes).await
    }

    async fn new_kind(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let columns = TABLES[KINDS].columns.iter().skip(1);
        let names: Vec<String> = columns.clone().map(|c| format!("\"{}\"", c.name)).collect();
        let values: Vec<String> = columns.map(|c| sql(any_value(c, &mut self.rng))).collect();
        let (names, values) = (names.join(", "), values.join(", "));
        let insert = format!("INSERT INTO \"Kinds\" ({names}) VALUES ({values})");
        self.put(KINDS, &insert, changes).await
    }

    async fn changed_kind(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let Some(row) = self.pick(KINDS).await? else {
            return Ok(());
        };
        let is_it = format!("\"Id\" = {}", at(&row, 0));
        if self.rng.random_bool(0.2) {
            let delete = format!("DELETE FROM \"Kinds\" WHERE {is_it}");
            return self.remove(KINDS, &delete, changes).await;
        }
        let mut sets = Vec::new();
        for column in TABLES[KINDS].columns {
            if matches!(column.form, Form::Listed(_)) && self.rng.random_bool(0.3) {
                let value = sql(any_value(column, &mut self.rng));
                sets.push(format!("\"{}\" = {value}", column.name));
            }
        }
        if sets.is_empty() {
            return Ok(());
        }
        let update = format!("UPDATE \"Kinds\" SET {} WHERE {is_it}", sets.join(", "));
        self.put(KINDS, &update, changes).await
    }

    async fn many_events(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let body = literal(&self.word());
        let (of, n) = (self.rng.random_range(2..6), self.rng.random_range(1..40));
        match self.rng.random_range(0..3) {
            0 => {
                let insert = format!(
                    "INSERT INTO \"Events\" (\"Body\") SELECT {body} || g FROM generate_series(1, {n}) g"
                );
                self.put(EVENTS, &insert, changes).await
            }
            1 => {
                let update =
                    format!("UPDATE \"Events\" SET \"Body\" = {body} WHERE \"Id\" % {of} = 0");
                self.put(EVENTS, &update, changes).await
            }
            _ => {
                let delete = format!("DELETE FROM \"Events\" WHERE \"Id\" % {of} = 1");
                self.remove(EVENTS, &delete, changes).await
            }
        }
    }

    async fn emptied(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let tables = [ACCOUNTS, TAGS, KINDS, EVENTS];
        let table = tables[self.rng.random_range(0..tables.len())];
        let truncate = format!("TRUNCATE \"{}\" CASCADE", TABLES[table].name);
        self.run(&truncate).await?;
        changes.push(Change::Emptied(table));
        Ok(())
    }

    async fn logged(&mut self, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let insert = format!("INSERT INTO \"Log\" VALUES ({})", literal(&self.word()));
        self.put(LOG, &insert, changes).await
    }

    /// A text that no other connection makes, and this one once.
    fn word(&mut self) -> String {
        self.words += 1;
        format!("it's {} of {}", self.words, self.seed)
    }

    fn any_tag(&mut self) -> String {
        literal(&tag(self.rng.random_range(0..40)))
    }

    /// Any row of a table, which another transaction may change meanwhile.
    async fn pick(&mut self, table: usize) -> Result<Option<Row>, Stop> {
        let (salt, name) = (self.rng.random::<u32>(), TABLES[table].name);
        let select =
            format!("SELECT * FROM \"{name}\" AS t ORDER BY md5(t::text || '{salt}') LIMIT 1");
        Ok(self.ask(&select).await?.pop())
    }

    /// Rows are so, as the server tells.
    async fn put(&self, table: usize, sql: &str, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let rows = self.ask(&format!("{sql} RETURNING *")).await?;
        changes.extend(rows.into_iter().map(|row| Change::Put(table, row)));
        Ok(())
    }

    async fn remove(&self, table: usize, sql: &str, changes: &mut Vec<Change>) -> Result<(), Stop> {
        let rows = self.ask(&format!("{sql} RETURNING *")).await?;
        changes.extend(
            rows.iter()
                .map(|row| Change::Gone(table, key_of(table, row))),
        );
        Ok(())
    }

    /// A row that had this key has another one.
    async fn shift(
        &self,
        table: usize,
        was: &Row,
        sql: &str,
        changes: &mut Vec<Change>,
    ) -> Result<(), Stop> {
        let rows = self.ask(&format!("{sql} RETURNING *")).await?;
        let moved = |row| Change::Moved(table, key_of(table, was), row);
        changes.extend(rows.into_iter().map(moved));
        Ok(())
    }

    async fn run(&self, sql: &str) -> Result<(), Stop> {
        self.ask(sql).await.map(drop)
    }

    async fn ask(&self, sql: &str) -> Result<Vec<Row>, Stop> {
        match self.client.simple_query(sql).await {
            Ok(messages) => Ok(rows(&messages)),
            Err(error) => Err(stop(sql, &error)),
        }
    }
}

fn at(row: &Row, column: usize) -> &str {
    row[column].as_deref().expect("it is never NULL")
}

fn stop(sql: &str, error: &tokio_postgres::Error) -> Stop {
    let Some(state) = error.code() else {
        return Stop::Connection;
    };
    match state.code() {
        // A key or a reference of another's; a lock that another has.
        code if code.starts_with("23") || code.starts_with("40") || code == "55P03" => {
            Stop::Transaction
        }
        // TRUNCATE and R1+'s REVOKE change the same entry of the catalogue, and the server gives up on one of them.
        "XX000" if sql.starts_with("TRUNCATE") => Stop::Transaction,
        // The right is gone; the session was ended, or the server was.
        code if code == "42501" || code.starts_with("57") => Stop::Connection,
        _ => panic!("{sql}: {error:?}"),
    }
}
