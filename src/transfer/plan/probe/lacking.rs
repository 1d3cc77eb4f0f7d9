//! What a session of ours lacks that a rule of the target's asks for: a right, or a setting that only the application makes. The load asks
//! the same rule as the same role and fails by it, so that it is a problem, with the statement that mends it.

use tokio_postgres::{Client, Error};

/// The statement that gives what is missing; none where the error tells of something else, or does not tell of what.
pub(super) async fn mended_by(client: &Client, error: &Error) -> Result<Option<String>, Error> {
    let Some(db) = error.as_db_error() else {
        return Ok(None);
    };
    // A rule that reads tables does so within a function; outside of one it is our own question that reads them.
    let inside = db.where_().is_some();
    let Some(lacking) = Lacking::of(db.code().code(), db.message(), inside) else {
        return Ok(None);
    };
    let sql = "SELECT quote_ident(current_user), quote_ident(current_database())";
    let row = client.query_one(sql, &[]).await?;
    Ok(Some(lacking.statement(row.get(0), row.get(1))))
}

/// What is missing.
#[derive(Debug, PartialEq, Eq)]
enum Lacking {
    /// This right on this object, as GRANT names it.
    Right(&'static str, String),
    /// A setting of the session.
    Setting(String),
}

impl Lacking {
    fn of(code: &str, message: &str, inside: bool) -> Option<Self> {
        match code {
            "42501" => {
                let object = message.strip_prefix("permission denied for ")?;
                let (kind, name) = object.split_once(' ')?;
                let (right, kind) = match kind {
                    "function" => ("EXECUTE", "FUNCTION"),
                    "schema" => ("USAGE", "SCHEMA"),
                    "type" => ("USAGE", "TYPE"),
                    "sequence" if inside => ("USAGE, SELECT", "SEQUENCE"),
                    "table" | "view" if inside => ("SELECT", "TABLE"),
                    _ => return None,
                };
                Some(Self::Right(right, format!("{kind} {name}")))
            }
            // Settings of an application's have a dot.
            "42704" if message.contains("parameter") => {
                let name = message.split('"').nth(1)?;
                name.contains('.').then(|| Self::Setting(name.to_owned()))
            }
            _ => None,
        }
    }

    fn statement(&self, role: &str, database: &str) -> String {
        match self {
            Self::Right(right, object) => format!("GRANT {right} ON {object} TO {role}"),
            Self::Setting(name) => {
                format!("ALTER ROLE {role} IN DATABASE {database} SET {name} = '…'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lacking;

    fn said(code: &str, message: &str, inside: bool) -> Option<String> {
        Lacking::of(code, message, inside).map(|lacking| lacking.statement("app", "shop"))
    }

    #[test]
    fn a_right_and_a_setting_have_their_statements() {
        let function = said("42501", "permission denied for function ck", false);
        assert_eq!(
            function.as_deref(),
            Some("GRANT EXECUTE ON FUNCTION ck TO app")
        );
        let setting = "unrecognized configuration parameter \"app.tenant\"";
        assert_eq!(
            said("42704", setting, false).as_deref(),
            Some("ALTER ROLE app IN DATABASE shop SET app.tenant = '…'")
        );
        let table = "permission denied for table cfg";
        assert_eq!(said("42501", table, false), None);
        assert!(said("42501", table, true).is_some());
        assert_eq!(said("42704", "type \"a.b\" does not exist", false), None);
        assert_eq!(said("22P02", setting, false), None);
    }
}
