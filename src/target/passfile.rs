//! libpq's password file: `host:port:database:user:password`, first match wins.
