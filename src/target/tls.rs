//! TLS as libpq's `sslmode` means it, on rustls.
