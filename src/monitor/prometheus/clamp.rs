//! PromQL whose windows reach back no further than allowed. Pure.

/// The query with each range (`[5m]`, `[1h:1m]`) that is longer than this cut to it. What is no range, such as text within quotes,
/// stays as it is.
pub fn clamped(query: &str, reach_ms: i64) -> String {
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(position) = rest.find(['[', '"', '\'', '`']) {
        let (before, from) = rest.split_at(position);
        out.push_str(before);
        let length = match from.starts_with('[') {
            true => from.find(']').map(|end| end + 1),
            false => quoted(from),
        };
        let (piece, after) = from.split_at(length.unwrap_or(from.len()));
        match piece.strip_prefix('[').and_then(|p| p.strip_suffix(']')) {
            Some(range) => out.push_str(&cut(range, reach_ms)),
            None => out.push_str(piece),
        }
        rest = after;
    }
    out + rest
}

/// Length of the quoted text that this begins with.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == quote && !escaped;
        // Between backticks a backslash is one.
        escaped = *c == '\\' && !escaped && quote != '`';
        closes
    });
    end.map(|(position, c)| position + c.len_utf8())
}

fn cut(range: &str, reach_ms: i64) -> String {
    let (length, step) = match range.split_once(':') {
        Some((length, step)) => (length, format!(":{step}")),
        None => (range, String::new()),
    };
    match milliseconds(length.trim()) {
        Some(ms) if ms > reach_ms => format!("[{reach_ms}ms{step}]"),
        _ => format!("[{range}]"),
    }
}

/// `5m`, `1h30m`, `100ms`, `300`.
fn milliseconds(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit());
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let unit = after.find(|c: char| c.is_ascii_digit());
        let (unit, after) = after.split_at(unit.unwrap_or(after.len()));
        let factor = match unit {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        let ms = number.parse::<i64>().ok()?.checked_mul(factor)?;
        total = total.checked_add(ms)?;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_longer_are_cut_and_nothing_else_is() {
        let of = |query| clamped(query, 90_000);
        assert_eq!(
            of(r#"sum(rate(x{code=~"5.."}[5m])) / sum(rate(x[1m]))"#),
            r#"sum(rate(x{code=~"5.."}[90000ms])) / sum(rate(x[1m]))"#
        );
        assert_eq!(
            of(r#"max_over_time(x{a="[5m] \" [1h]"}[1h30m:1m])"#),
            r#"max_over_time(x{a="[5m] \" [1h]"}[90000ms:1m])"#
        );
        for as_it_is in ["x", "x[", "x{a=\"open", "x[5parsecs]", "x[90s]", "`[5m]"] {
            assert_eq!(of(as_it_is), as_it_is);
        }
        assert_eq!(of("x[300]"), "x[90000ms]");
    }
}
