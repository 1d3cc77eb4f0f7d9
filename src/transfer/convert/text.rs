//! Text and bytes: what passes byte for byte, and what PostgreSQL cannot hold.

use crate::runbook::transfer::ColumnPolicy;
use crate::transfer::convert::{Field, LARGE_VALUE_BYTES, Reject, Use, Uses};
use crate::transfer::kind::Kind;

/// PostgreSQL refuses to allocate more for one value; a little is left for the value's own header.
pub const MAX_VALUE_BYTES: usize = 0x3fff_ffff - 64;

/// Why a text does not fit that is shorter than `char(n)` and ends in blanks of its own.
pub const BLANK_AT_THE_END: &str = "ends in a blank, which char(n) cannot tell from its padding";

/// Text into `text`, `varchar(n)`, `citext`, `char(n)`.
pub fn text<'v>(
    value: &'v [u8],
    kind: &Kind,
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Field<'v>, Reject> {
    let clean = !value.contains(&0);
    match std::str::from_utf8(value) {
        Ok(checked) if clean => {
            let uses = length(checked, kind, policy)?;
            let field = pass(value, &[], out)?;
            Ok(Field { uses, ..field })
        }
        checked => {
            let (repaired, mut uses) = repair(value, checked.is_ok(), clean, policy)?;
            uses.0 |= length(&repaired, kind, policy)?.0;
            put_bytes(repaired.as_bytes(), out)?;
            Ok(Field { tail: None, uses })
        }
    }
}

/// Whether bytes are what somebody would call text: UTF-8 without control characters other than those that shape lines.
pub fn is_readable(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| {
        text.chars()
            .all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
    })
}

/// Short text that is known to be clean.
pub fn plain(
    value: &[u8],
    kind: &Kind,
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    text(value, kind, policy, out).map(|field| field.uses)
}

/// Bytes that pass unchanged behind `prefix`: copied when short, left to the caller as a tail when large.
pub fn pass<'v>(value: &'v [u8], prefix: &[u8], out: &mut Vec<u8>) -> Result<Field<'v>, Reject> {
    if value.len() < LARGE_VALUE_BYTES {
        out.extend_from_slice(&((value.len() + prefix.len()) as i32).to_be_bytes());
        out.extend_from_slice(prefix);
        out.extend_from_slice(value);
        return Ok(Field::PLAIN);
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(too_large(value.len()));
    }
    out.extend_from_slice(&((value.len() + prefix.len()) as i32).to_be_bytes());
    out.extend_from_slice(prefix);
    Ok(Field {
        tail: Some(value),
        uses: Uses::NONE,
    })
}

/// Bytes of our own making.
pub fn put_bytes(value: &[u8], out: &mut Vec<u8>) -> Result<(), Reject> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(too_large(value.len()));
    }
    out.extend_from_slice(&(value.len() as i32).to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

fn too_large(bytes: usize) -> Reject {
    Reject::never(format!(
        "{bytes} bytes; PostgreSQL holds at most 1 GiB in a value"
    ))
}

fn repair(
    value: &[u8],
    valid: bool,
    clean: bool,
    policy: &ColumnPolicy,
) -> Result<(String, Uses), Reject> {
    let mut uses = Uses::NONE;
    if !valid && !policy.invalid_utf8_replace {
        return Err(Reject::unless(
            "invalid_utf8: replace",
            "the text is not valid UTF-8",
        ));
    }
    if !clean && !policy.nul_strip {
        return Err(Reject::unless(
            "nul: strip",
            "the text holds a NUL character, which PostgreSQL's text cannot hold",
        ));
    }
    let mut text = String::from_utf8_lossy(value).into_owned();
    if !valid {
        uses.add(Use::InvalidUtf8);
    }
    if !clean {
        text.retain(|c| c != '\0');
        uses.add(Use::Nul);
    }
    Ok((text, uses))
}

/// Checks the limit in characters, before the server would cut or pad.
fn length(text: &str, kind: &Kind, policy: &ColumnPolicy) -> Result<Uses, Reject> {
    match kind {
        Kind::Text(Some(limit)) if text.len() > *limit as usize => {
            let characters = text.chars().count();
            if characters > *limit as usize {
                return Err(Reject::never(format!(
                    "{characters} characters, varchar({limit}) holds {limit}"
                )));
            }
            Ok(Uses::NONE)
        }
        Kind::Char(limit) => padded(text, *limit as usize, policy),
        _ => Ok(Uses::NONE),
    }
}

fn padded(text: &str, limit: usize, policy: &ColumnPolicy) -> Result<Uses, Reject> {
    let characters = text.chars().count();
    if characters > limit {
        return Err(Reject::never(format!(
            "{characters} characters, char({limit}) holds {limit}"
        )));
    }
    // Without padding, all values of the column are of full length, and each comes back as it is, with its blanks.
    if characters == limit {
        return Ok(Uses::NONE);
    }
    if text.ends_with(' ') {
        return Err(Reject::never(BLANK_AT_THE_END));
    }
    if policy.char_padding_pad {
        return Ok(Uses::one(Use::CharPadding));
    }
    Err(Reject::unless(
        "char_padding: pad",
        format!("{characters} characters, char({limit}) pads it with blanks"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tests::column;
    use super::BLANK_AT_THE_END;
    use crate::transfer::kind::Kind;
    use rusqlite::types::ValueRef;

    #[test]
    fn blanks_that_fill_a_char_are_kept_and_others_are_told_from_padding() {
        let taken = |text: &str, settings: &[(&str, &str)]| {
            let mut out = Vec::new();
            let field =
                column(Kind::Char(2), settings).encode(ValueRef::Text(text.as_bytes()), &mut out);
            field.map(|_| out[4..].to_vec())
        };
        let (none, pad): ([(&str, &str); 0], _) = ([], [("char_padding", "pad")]);
        for text in ["  ", "F ", " F", "é "] {
            assert_eq!(taken(text, &none), Ok(text.as_bytes().to_vec()), "{text:?}");
            assert_eq!(taken(text, &pad), Ok(text.as_bytes().to_vec()), "{text:?}");
        }
        assert_eq!(taken("F", &pad), Ok(b"F".to_vec()));
        assert!(taken("F", &none).is_err());
        for settings in [&none[..], &pad[..]] {
            let refused = taken(" ", settings).expect_err("a blank that padding would hide");
            assert_eq!(refused.reason, BLANK_AT_THE_END);
        }
    }
}
