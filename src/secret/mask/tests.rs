//! The mask, over every way in which a secret may be written.

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::secret::Password;

fn listed(name: &str, value: &str) -> Secret {
    Secret::Listed {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn mask(secrets: &[Secret]) -> Mask {
    Mask::new(&secrets.iter().cloned().collect(), &BTreeSet::new())
}

#[test]
fn a_listed_value_is_shown_by_its_name_however_it_is_written() {
    let secret = r#"p/w "q"&'x'%é\$"#;
    let mask = mask(&[listed("NAME", secret)]);
    let shell = format!("'{}'", secret.replace('\'', r"'\''"));
    let escaped: String = secret
        .chars()
        .flat_map(|c| match c.is_ascii_alphanumeric() {
            true => vec![c],
            false => vec!['\\', c],
        })
        .collect();
    for written in [
        secret.to_owned(),
        json!(secret).to_string(),
        json!(json!(secret).to_string()).to_string(),
        format!("{secret:?}"),
        percent(secret, true),
        percent(secret, false),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        shell,
        escaped,
        secret
            .replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;"),
        base64::engine::general_purpose::STANDARD.encode(secret),
        base64::engine::general_purpose::URL_SAFE.encode(format!("user:{secret}")),
        crate::format::hex(secret.as_bytes()),
        crate::text::printable(secret, 80),
    ] {
        let shown = mask.text(&written);
        assert!(shown.contains("${NAME}"), "{written} is shown as {shown}");
        let left = shown.replace("${NAME}", "");
        assert!(left.len() < 14, "of {written} is left {left}");
    }
}

/// Percent-encoded: everything but letters and digits, in upper or in lower case.
fn percent(text: &str, upper: bool) -> String {
    text.bytes()
        .map(|byte| match (byte.is_ascii_alphanumeric(), upper) {
            (true, _) => char::from(byte).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        })
        .collect()
}

#[test]
fn secrets_that_overlap_or_hold_each_other_leave_nothing() {
    let mask = mask(&[
        listed("A", "abcdef"),
        listed("B", "defghi"),
        listed("URL", "postgres://u:abcdef@h/db"),
    ]);
    assert_eq!(mask.text("<abcdefghi>"), "<${A}>");
    assert_eq!(mask.text("at postgres://u:abcdef@h/db."), "at ${URL}.");
}

#[test]
fn what_was_cut_off_within_a_secret_shows_no_part_of_it() {
    let mask = mask(&[listed("TOKEN", "0123456789abcdef")]);
    assert_eq!(mask.text("token 0123456789…"), "token ${TOKEN}…");
    assert_eq!(mask.text("…6789abcdef is wrong"), "…${TOKEN} is wrong");
    assert_eq!(mask.text("0123…"), "0123…");
}

#[test]
fn a_short_password_is_hidden_where_it_lets_somebody_in() {
    let password = |user: &str, value: &str| {
        Secret::Password(Password {
            value: value.to_owned(),
            user: user.to_owned(),
        })
    };
    let mask = mask(&[password("app", "app"), password("postgres", "postgres")]);
    assert_eq!(mask.text("the app is up"), "the app is up");
    assert_eq!(
        mask.text("(app:app@db) on postgres"),
        "(app:***@db) on postgres"
    );
}

#[test]
fn a_field_that_a_session_is_found_by_stays() {
    let plain = BTreeSet::from(["postgres".to_owned(), "D2".to_owned()]);
    let secrets = BTreeSet::from([listed("TO", "postgres")]);
    let mask = Mask::new(&secrets, &plain);
    let mut body = json!({"step": "D2", "instance": "postgres", "text": "key = postgres", "n": 1, "postgres": "to postgres"});
    mask.json(&mut body, |_| true);
    assert_eq!(
        body,
        json!({"step": "D2", "instance": "postgres", "text": "key = ${TO}", "n": 1, "postgres": "to ${TO}"})
    );
}

#[test]
fn a_word_of_the_format_stays_and_everything_else_is_hidden() {
    let mask = mask(&[listed("TO", "postgres")]);
    let body = json!({"side": "postgres", "text": "set to postgres", "list": ["postgres!"]});
    let mut shown = body;
    mask.json(&mut shown, |body| body["side"] == "postgres");
    assert_eq!(
        shown,
        json!({"side": "postgres", "text": "set to ${TO}", "list": ["${TO}!"]})
    );
}

#[test]
fn a_hash_stays_unless_it_is_the_secret() {
    let hash = "0123456789".repeat(6) + "abcd";
    let mut body = json!(hash);
    mask(&[listed("PIN", "456789")]).json(&mut body, |_| true);
    assert_eq!(body, json!(hash));
    mask(&[listed("KEY", &hash)]).json(&mut body, |_| true);
    assert_eq!(body, json!("${KEY}"));
}

proptest! {
    #[test]
    fn nothing_of_a_secret_is_left_and_masking_again_changes_nothing(
        secret in "[a-zA-Z0-9/?#@%&\"'\\\\ ]{6,20}",
        before in "[a-z =:/%\\\\]{0,12}",
        after in "[a-z @&;]{0,12}",
    ) {
        prop_assume!(secret.trim().len() >= 6);
        let mask = mask(&[listed("NAME", &secret)]);
        for written in [secret.clone(), percent(&secret, true), json!(secret).to_string()] {
            let text = format!("{before} {written} {after}");
            let shown = mask.text(&text).into_owned();
            prop_assert!(!shown.contains(&written), "{} is shown as {}", text, shown);
            prop_assert_eq!(mask.text(&shown).into_owned(), shown);
        }
    }
}
