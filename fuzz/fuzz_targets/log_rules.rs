//! Log rules: the first line is a pattern, the second one a rule for a field (`path=pattern`), the others are lines of a log. The first rule of
//! which everything holds decides, and an endpoint is harmless and short.
#![no_main]

use cutover::monitor::logs::rules::Rules;
use cutover::runbook::LogRule;
use cutover_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|b| *b == b'\n');
    let mut text = || String::from_utf8(lines.next().unwrap_or_default().to_vec()).ok();
    let (Some(pattern), Some(field)) = (text(), text()) else {
        return;
    };
    let fields = field
        .split_once('=')
        .map(|(path, pattern)| (path.to_owned(), pattern.to_owned()));
    let rule = |category: &str, pattern: Option<String>, fields: Vec<(String, String)>| LogRule {
        category: category.to_owned(),
        pattern,
        fields: fields.into_iter().collect(),
        endpoint: vec!["Scopes.RequestPath".to_owned(), "path".to_owned()],
    };
    let Ok(one) = Rules::new(&[rule("first", Some(pattern.clone()), Vec::new())]) else {
        return;
    };
    let Ok(both) = Rules::new(&[
        rule("fields", None, fields.clone().into_iter().collect()),
        rule("first", Some(pattern), Vec::new()),
        rule("rest", None, Vec::new()),
    ]) else {
        return;
    };
    for line in lines {
        let sorted = both.sort(line).expect("the last rule takes every line");
        if let Some(endpoint) = &sorted.endpoint {
            assert_harmless(endpoint);
            assert!(
                !endpoint.contains(['\n', '?', '#']) && endpoint.chars().count() <= 400,
                "{endpoint:?}"
            );
        }
        let matches = one.sort(line).is_some();
        match sorted.category {
            "fields" => {}
            "first" => assert!(matches),
            category => assert!(category == "rest" && !matches),
        }
    }
});
