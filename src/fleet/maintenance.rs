//! Whether an instance is in maintenance, by its own page (`fleet.maintenance`). Where nothing tells, that is *not known*.
//!
//! Not in here: when it should be (`session::maintenance`).

use std::time::Duration;

use regex::Regex;

use super::request;
use crate::runbook::{Instance, MaintenancePage};
use crate::session::maintenance::{Seen, Sight};

/// A page longer than this says nothing.
const PAGE_LIMIT_BYTES: usize = 256 * 1024;

/// What an instance's page says of it. `time_limit` is for the whole answer.
pub async fn by_page(
    client: &reqwest::Client,
    page: &MaintenancePage,
    instance: &Instance,
    time_limit: Duration,
) -> Seen {
    let url = page.url.replace("{url}", &instance.url);
    let answer = request::get(client, &url, time_limit, PAGE_LIMIT_BYTES).await;
    let (sight, how) = match answer {
        Ok(answer) => match said(page, &String::from_utf8_lossy(&answer.body)) {
            Ok(sight) => (sight, "its page says so".to_owned()),
            Err(why) => (
                Sight::Unknown,
                format!("{why}: {} {}", answer.status, answer.start()),
            ),
        },
        Err(error) => (Sight::Unknown, format!("its page was asked: {error}")),
    };
    Seen {
        place: instance.id.clone(),
        sight,
        how,
    }
}

/// Which of the two patterns matches; both or neither says nothing.
fn said(page: &MaintenancePage, body: &str) -> Result<Sight, &'static str> {
    // Both were compiled when the runbook was read; what does not compile any more matches nothing.
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|regex| regex.is_match(body));
    match (matches(&page.on), matches(&page.off)) {
        (true, false) => Ok(Sight::On),
        (false, true) => Ok(Sight::Off),
        (true, true) => Err("both patterns of `fleet.maintenance` match its page"),
        (false, false) => Err("neither pattern of `fleet.maintenance` matches its page"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_one_of_two_things_or_nothing() {
        let page = MaintenancePage {
            url: "{url}/ready".to_owned(),
            on: r#""maintenance":true"#.to_owned(),
            off: r#""maintenance":false"#.to_owned(),
        };
        assert_eq!(said(&page, r#"{"maintenance":true}"#), Ok(Sight::On));
        assert_eq!(said(&page, r#"{"maintenance":false}"#), Ok(Sight::Off));
        assert!(said(&page, "busy").is_err_and(|why| why.contains("neither")));
        let both = r#"{"maintenance":true,"was":{"maintenance":false}}"#;
        assert!(said(&page, both).is_err_and(|why| why.contains("both")));
    }
}
