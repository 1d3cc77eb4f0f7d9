//! The forms in which a secret may be written that undoing escapes does not bring back: encoded as a whole, quoted, or one line of it.
//! Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::MIN_BYTES;

/// A shorter line of a secret with several is no secret worth the name.
const LINE_BYTES: usize = 8;

/// Every form of a value that is looked for, the value itself first.
pub(super) fn of(value: &str) -> Vec<Vec<u8>> {
    let mut texts = vec![value.to_owned(), value.trim().to_owned()];
    texts.extend(percent_decoded(value));
    let mut forms: Vec<Vec<u8>> = Vec::new();
    for text in &texts {
        forms.push(text.clone().into_bytes());
        forms.push(text.replace(' ', "+").into_bytes());
        // A quote within quotes: two shells' ways, and SQL's.
        for quoted in [r"'\''", r#"'"'"'"#, "''"] {
            forms.push(text.replace('\'', quoted).into_bytes());
        }
        forms.extend(base64(text.as_bytes()));
        forms.extend(hex(text.as_bytes()));
        // Output is read by lines.
        let lines = text.lines().map(str::trim);
        let told = lines.filter(|line| line.len() >= LINE_BYTES && !line.starts_with("-----"));
        if text.trim().contains('\n') {
            forms.extend(told.map(|line| line.as_bytes().to_vec()));
        }
    }
    forms.retain(|form| form.len() >= MIN_BYTES);
    forms.sort();
    forms.dedup();
    forms
}

/// The characters of BASE64 that depend on these bytes alone, wherever among others they begin.
fn base64(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let mut shifted = vec![0; before];
            shifted.extend_from_slice(bytes);
            let encoded = engine.encode(&shifted);
            let from = [0, 2, 3][before];
            // A last character that holds fewer than its six bits depends on what follows.
            let to = shifted.len() * 8 / 6;
            if to > from {
                forms.push(encoded.as_bytes()[from..to].to_vec());
            }
        }
    }
    forms
}

fn hex(bytes: &[u8]) -> [Vec<u8>; 2] {
    let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [lower.to_uppercase().into_bytes(), lower.into_bytes()]
}

/// The text with percent-encoding undone, where that is another one.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut found = None;
    super::views::each(text.as_bytes(), &mut |view| {
        if found.is_none() && text.contains('%') {
            found = String::from_utf8(view.bytes.clone()).ok();
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_wherever_it_begins() {
        let forms = of("hunter2!");
        for before in ["", "a", "ab", "user:", "xy:zz"] {
            for after in ["", "!", "@h", "abc"] {
                let whole = STANDARD_NO_PAD.encode(format!("{before}hunter2!{after}"));
                let found = forms.iter().any(|form| {
                    whole
                        .as_bytes()
                        .windows(form.len())
                        .any(|part| part == form.as_slice())
                });
                assert!(found, "{before}…{after}: {whole}");
            }
        }
    }

    #[test]
    fn a_value_of_several_lines_is_hidden_line_by_line() {
        let forms = of("-----BEGIN KEY-----\nc29tZSBzZWNyZXQ=\nabc\n-----END KEY-----\n");
        assert!(forms.contains(&b"c29tZSBzZWNyZXQ=".to_vec()));
        assert!(!forms.contains(&b"-----BEGIN KEY-----".to_vec()));
        assert!(!forms.contains(&b"abc".to_vec()));
    }
}
