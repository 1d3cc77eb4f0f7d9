//! In which order the ways of an address are tried.

use super::*;

/// The modes that are tried for a host at `address`.
fn modes(url: &str, address: &str) -> Vec<SslMode> {
    let endpoint = Endpoint::parse_in(url, &|_| None).unwrap();
    endpoint.modes(&endpoint.hosts[0], Some(address.parse().unwrap()))
}

#[test]
fn plain_text_leaves_the_machine_only_when_it_is_stated() {
    assert_eq!(modes("postgres://u@h/d", "10.0.0.1"), [SslMode::Require]);
    assert_eq!(modes("postgres://u@h/d", "127.0.0.1"), [SslMode::Prefer]);
    assert_eq!(modes("postgres://u@h/d", "::1"), [SslMode::Prefer]);
    assert_eq!(
        modes("postgres://u@h/d?sslmode=disable", "10.0.0.1"),
        [SslMode::Disable]
    );
    assert_eq!(
        modes("postgres://u@h/d?sslmode=verify-full", "10.0.0.1"),
        [SslMode::VerifyFull]
    );
    assert_eq!(
        modes("postgres://u@h/d?sslmode=prefer", "10.0.0.1"),
        [SslMode::Prefer, SslMode::Disable]
    );
}
