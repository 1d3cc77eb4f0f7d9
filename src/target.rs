//! PostgreSQL: connect, TLS, catalogue, roles, migrations, sequences.
