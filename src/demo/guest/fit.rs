//! Whether a PostgreSQL server that is there will do for a sandbox, and whether a role may make what a sandbox needs: asked before anything is
//! made.

use tokio_postgres::{Client, Row};

use super::Error;
use crate::demo::programs::OLDEST_MAJOR;
use crate::postgres::{self, Endpoint, SslMode, identity, pooler, quoted};

/// Connections that one instance of the application opens at most: its pool and the one beside it.
const PER_INSTANCE: i64 = 9;
/// What an import, an engine and those who look on open.
const BESIDE: i64 = 16;

/// What matters of a server and of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) role: String,
    pub(super) version: i32,
    pub(super) is_superuser: bool,
    may_make_databases: bool,
    may_make_roles: bool,
    inherits: bool,
    is_standby: bool,
    free: i64,
}

/// What [`Facts`] are read from.
const FACTS: &str = "
    SELECT r.rolname::text, pg_catalog.current_setting('server_version_num')::int, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolinherit,
           pg_catalog.pg_is_in_recovery(),
           pg_catalog.current_setting('max_connections')::bigint - pg_catalog.current_setting('superuser_reserved_connections')::bigint
             - coalesce(pg_catalog.current_setting('reserved_connections', true)::bigint, 0)
             - (SELECT coalesce(sum(numbackends), 0)::bigint FROM pg_catalog.pg_stat_database)
    FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER";

impl Facts {
    fn of(row: &Row) -> Facts {
        Facts {
            role: row.get(0),
            version: row.get(1),
            is_superuser: row.get(2),
            may_make_databases: row.get(3),
            may_make_roles: row.get(4),
            inherits: row.get(5),
            is_standby: row.get(6),
            free: row.get(7),
        }
    }

    /// What is missing, each with what would give it.
    fn problems(&self, instances: u32) -> Vec<String> {
        let role = quoted(&self.role);
        let mut problems = Vec::new();
        let oldest = i32::try_from(OLDEST_MAJOR * 10_000).expect("BUG: a version is small");
        if self.version < oldest {
            problems.push(format!(
                "it is PostgreSQL {}, and {OLDEST_MAJOR} or newer is needed",
                self.version / 10_000
            ));
            return problems;
        }
        if self.is_standby {
            problems
                .push("it is a standby, in which nothing can be made: name the primary".to_owned());
            return problems;
        }
        if !self.is_superuser {
            let lacks: Vec<&str> = [
                (self.may_make_databases, "CREATEDB"),
                (self.may_make_roles, "CREATEROLE"),
                // Before 16 a role that does not inherit can do nothing with what belongs to the roles that it makes.
                (self.inherits || self.version >= 160_000, "INHERIT"),
            ]
            .iter()
            .filter(|(has, _)| !has)
            .map(|(_, right)| *right)
            .collect();
            if !lacks.is_empty() {
                problems.push(format!(
                    "{role} lacks {}; wanted are CREATEDB and CREATEROLE, no more, and a superuser gives what is missing by: ALTER ROLE {role} {}",
                    lacks.join(" and "),
                    lacks.join(" ")
                ));
            }
            if self.version < 150_000 {
                problems.push(format!(
                    "before PostgreSQL 15 the schema public of every database belongs to the superuser, so that {role} cannot keep others out \
                     of it; wanted is a superuser, or PostgreSQL 15"
                ));
            }
        }
        let wanted = PER_INSTANCE * i64::from(instances + 1) + BESIDE;
        if self.free < wanted {
            problems.push(format!(
                "{} of its connections are free, and a sandbox of {instances} instances may open {wanted}: end idle clients, or raise \
                 max_connections, by: ALTER SYSTEM SET max_connections = …, and a restart",
                self.free
            ));
        }
        problems
    }
}

/// Reads the URL, and refuses what it alone shows to be no good.
pub fn endpoint(url: &str) -> Result<Endpoint, Error> {
    const ANY: &str = "It is only connected to there, and nothing is done in that database; `postgres` is one that almost every server has: \
                       postgres://user@host:5432/postgres";
    let environment = |name: &str| std::env::var(name).ok();
    let admin = Endpoint::parse(url)?;
    let refused = |problem: &str, wanted| Error::Url {
        problem: problem.to_owned(),
        wanted,
    };
    if !Endpoint::names_database(url, &environment)? {
        return Err(refused("the URL names no database", ANY));
    }
    if !admin.names_one_server() {
        return Err(refused(
            "the URL names several servers",
            "A sandbox wants one: name the primary alone",
        ));
    }
    let wants_tls = match admin.stated_sslmode() {
        Some(mode) => mode >= SslMode::Require,
        None => !admin.is_on_this_machine(),
    };
    if wants_tls {
        return Err(refused(
            "the way to this server is one for TLS, which the sandbox's sample application does not speak",
            "Take a server on this machine; or, on a network that you trust, say so by ?sslmode=disable",
        ));
    }
    Ok(admin)
}

/// Refuses a server that cannot hold a sandbox of so many instances, before anything is made. Blocks no longer than a connection takes.
///
/// # Errors
/// See [`Error`].
pub async fn examine(url: &str, instances: u32) -> Result<(), Error> {
    let admin = endpoint(url)?;
    pooler::refuse(&admin).await?;
    let client = admin.connect().await?;
    look(&admin, &client, instances).await.map(drop)
}

/// What matters of it, or why it will not do.
pub(super) async fn look(
    admin: &Endpoint,
    client: &Client,
    instances: u32,
) -> Result<Facts, Error> {
    let failed = |e: tokio_postgres::Error| postgres::Error::of_statement("look at the server", &e);
    let row = client.query_one(FACTS, &[]).await.map_err(failed)?;
    let facts = Facts::of(&row);
    let mut problems = facts.problems(instances);
    if let Err(error) = identity(client).await
        && problems.is_empty()
    {
        problems.push(format!(
            "its identity cannot be read, without which nothing there can be known as ours ({}); a superuser gives that right by: \
             GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO {}",
            failed(error),
            quoted(&facts.role)
        ));
    }
    match problems.is_empty() {
        true => Ok(facts),
        false => Err(Error::Unfit {
            host: admin.host_label(),
            role: facts.role,
            problems,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> Facts {
        Facts {
            role: "ann".to_owned(),
            version: 150_018,
            is_superuser: false,
            may_make_databases: true,
            may_make_roles: true,
            inherits: true,
            is_standby: false,
            free: 97,
        }
    }

    #[test]
    fn what_is_missing_is_said_with_the_statement_that_gives_it() {
        assert_eq!(fit().problems(6), Vec::<String>::new());
        let lacks = |facts: Facts| facts.problems(6).join(" | ");
        let said = lacks(Facts {
            may_make_databases: false,
            may_make_roles: false,
            ..fit()
        });
        assert!(
            said.contains("ALTER ROLE \"ann\" CREATEDB CREATEROLE"),
            "{said}"
        );
        let said = lacks(Facts {
            inherits: false,
            ..fit()
        });
        assert!(said.contains("ALTER ROLE \"ann\" INHERIT"), "{said}");
        assert!(
            lacks(Facts {
                version: 130_004,
                ..fit()
            })
            .contains("PostgreSQL 13, and 14 or newer")
        );
        assert!(
            lacks(Facts {
                version: 140_004,
                ..fit()
            })
            .contains("schema public")
        );
        let superuser = Facts {
            version: 140_004,
            is_superuser: true,
            may_make_databases: false,
            ..fit()
        };
        assert_eq!(superuser.problems(6), Vec::<String>::new());
        assert!(
            lacks(Facts {
                is_standby: true,
                ..fit()
            })
            .contains("standby")
        );
        assert!(lacks(Facts { free: 20, ..fit() }).contains("max_connections"));
    }

    #[test]
    fn a_url_that_will_not_do_is_refused_before_anybody_is_asked() {
        let refused = |url: &str| endpoint(url).unwrap_err().to_string();
        assert!(
            refused("postgres://127.0.0.1,127.0.0.2/postgres?user=ann").contains("several servers")
        );
        for tls in [
            "postgres://ann@10.0.0.9/postgres",
            "postgres://ann@127.0.0.1/postgres?sslmode=verify-full",
        ] {
            assert!(refused(tls).contains("?sslmode=disable"), "{tls}");
        }
        assert!(refused("http://h").contains("postgres://"));
    }
}
