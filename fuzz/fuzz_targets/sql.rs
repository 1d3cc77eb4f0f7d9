//! A SQL script taken apart: its statements stand in it in their order with nothing but blanks, comments and semicolons between them, each by
//! itself is one statement, and all of them joined again are the same ones.
#![no_main]

use cutover::postgres::script::split::split;
use cutover_fuzz::assert_line_within;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(script) = std::str::from_utf8(bytes) else {
        return;
    };
    let statements = match split(script) {
        Ok(statements) => statements,
        Err(problem) => return assert_line_within(problem.line, script),
    };
    let mut rest = script.strip_prefix('\u{feff}').unwrap_or(script);
    let mut line = 1;
    for statement in &statements {
        let begin = statement.text.as_ptr() as usize - rest.as_ptr() as usize;
        let (gap, from) = rest.split_at(begin);
        assert!(
            split(gap).is_ok_and(|none| none.is_empty()),
            "{gap:?} lies between"
        );
        line += gap.matches('\n').count();
        assert_eq!(statement.line, line, "{:?}", statement.text);
        line += statement.text.matches('\n').count();
        rest = &from[statement.text.len()..];
        // What begins a file is no statement's: a byte order mark.
        let alone = format!("\n{}", statement.text);
        let alone = split(&alone).expect("a statement by itself");
        assert!(
            alone.len() == 1 && alone[0].text == statement.text,
            "{:?} is {alone:?}",
            statement.text
        );
    }
    assert!(
        split(rest).is_ok_and(|none| none.is_empty()),
        "{rest:?} is left"
    );
    let texts: Vec<&str> = statements.iter().map(|s| s.text).collect();
    let joined = "\n".to_owned() + &texts.join("\n;\n");
    let again = split(&joined).expect("they were statements");
    let again: Vec<&str> = again.iter().map(|s| s.text).collect();
    assert_eq!(again, texts);
});
