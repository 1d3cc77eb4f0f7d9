//! libpq URLs: a password that stands in one shows in no text that is made of it; what is shown of an address leads to the same place.
#![no_main]

use cutover::postgres::Endpoint;
use cutover_fuzz::{PASSWORD, assert_harmless};
use libfuzzer_sys::fuzz_target;

fn environment(name: &str) -> Option<String> {
    match name {
        "USER" => Some("somebody".to_owned()),
        "HOME" => Some("/nowhere".to_owned()),
        _ => None,
    }
}

/// Everything that is shown of an address.
fn shown(endpoint: &Endpoint) -> String {
    format!(
        "{endpoint:?} {} {} {}",
        endpoint.redacted(),
        endpoint.host_label(),
        endpoint.identity()
    )
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Endpoint::parse_in(text, &environment) {
        Ok(endpoint) => {
            let redacted = endpoint.redacted();
            let again = Endpoint::parse_in(&redacted, &environment);
            let again = again.unwrap_or_else(|why| panic!("{redacted:?} of {text:?}: {why}"));
            assert_eq!(again.redacted(), redacted, "{text:?}");
            assert_eq!(again.identity(), endpoint.identity(), "{text:?}");
            assert_eq!(again.user(), endpoint.user(), "{text:?}");
        }
        Err(why) => assert_harmless(&why.to_string()),
    }
    if text.contains(PASSWORD) {
        return;
    }
    // The password in its place, and the rest as it comes; and among the parameters.
    let (address, rest) = text.split_once('?').unwrap_or((text, ""));
    let stated = [
        format!("postgres://u:{PASSWORD}@{text}"),
        format!("postgresql://{address}?password={PASSWORD}&{rest}"),
    ];
    for url in &stated {
        let shown = match Endpoint::parse_in(url, &environment) {
            Ok(endpoint) if endpoint.has_password_in_url() => shown(&endpoint),
            // Where the parser takes it for another part, it is none.
            Ok(_) => continue,
            Err(why) => format!("{why} {why:?}"),
        };
        assert!(!shown.contains(PASSWORD), "{url:?} shows {shown}");
    }
});
