//! What answers come to: in both forms that compose has, and whatever else a command may print.

use std::time::Duration;

use super::*;
use crate::runbook::action::Effect;

fn discovery(prints: Prints) -> Discovery {
    let argv = vec!["list".to_owned()];
    Discovery {
        action: Action::new(Effect::Command { argv }, Duration::from_secs(1)),
        prints,
    }
}

fn services(service: &str) -> Discovery {
    discovery(Prints::Containers {
        port: 5000,
        service: service.to_owned(),
        staging: Some("staging".to_owned()),
    })
}

/// `id url host` and `canary`, a line each; or what there was in the place of instances.
fn told(discovered: Discovered) -> String {
    match discovered {
        Discovered::NotAsked => "not asked".to_owned(),
        Discovered::Instances(instances) => {
            let lines = instances.iter().map(|instance| {
                let canary = if instance.canary { " canary" } else { "" };
                format!("{} {} {}{canary}", instance.id, instance.url, instance.host)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        Discovered::Nothing { found, hint } => format!("{found}; {}", hint.unwrap_or_default()),
    }
}

#[test]
fn a_command_prints_a_list_or_an_object_a_line() {
    let own = discovery(Prints::Instances);
    let lines = "{\"id\":\"app-1\",\"url\":\"http://10.0.0.1:5000/\",\"canary\":true}\n{\"id\":\"app-2\",\"url\":\"https://b.internal\",\"host\":\"b\",\"zone\":3}\n";
    let expected = "app-1 http://10.0.0.1:5000 10.0.0.1 canary\napp-2 https://b.internal b";
    assert_eq!(told(own.read(lines)), expected);
    let list = format!("[{}]", lines.trim().replace('\n', ","));
    assert_eq!(told(own.read(&list)), expected);
}

#[test]
fn what_is_no_instance_is_named_with_what_was_printed() {
    let own = discovery(Prints::Instances);
    for (printed, expected) in [
        ("", "none; it printed nothing"),
        ("[]", "none; it printed `[]`"),
        (
            "oops",
            "no JSON: expected value at line 1 column 1; it printed `oops`",
        ),
        ("[1]", "`1` in the place of an object; it printed `[1]`"),
        (
            r#"{"id":"a b","url":"http://h"}"#,
            "`a b` as `id` of the instance 1, where a short name of letters, digits and . _ - + (at most 40) is expected",
        ),
        (
            r#"{"id":"a","url":"h:1"}"#,
            "`h:1` as `url` of the instance 1, where an http or https URL without a query is expected",
        ),
        (
            r#"{"id":"a","url":"http://me:hunter2@h"}"#,
            "where an http or https URL without a query is expected",
        ),
        (
            r#"[{"id":"a","url":"http://h"},{"id":"b"}]"#,
            "nothing as `url` of the instance 2",
        ),
        (
            r#"{"id":"a","url":"http://h","host":"-oProxyCommand=x"}"#,
            "`-oProxyCommand=x` as `host` of the instance 1",
        ),
        (
            r#"{"id":"a","url":"http://h","canary":"yes"}"#,
            "`yes` as `canary` of the instance 1, where true or false is expected",
        ),
        (
            r#"[{"id":"a","url":"http://h"},{"id":"a","url":"http://i"}]"#,
            "2 instances with the id `a`",
        ),
    ] {
        let said = told(own.read(printed));
        assert!(said.contains(expected), "{printed}: {said}");
    }
}

const CONTAINERS: &str = r#"
{"Name":"shop-app-2-1","Service":"app-2","State":"running","Publishers":[{"URL":"0.0.0.0","TargetPort":5000,"PublishedPort":5002,"Protocol":"tcp"},{"URL":"::","TargetPort":5000,"PublishedPort":5002,"Protocol":"tcp"}]}
{"Name":"shop-app-1-1","Service":"app-1","State":"running","Publishers":[{"URL":"10.0.0.7","TargetPort":5000,"PublishedPort":5001,"Protocol":"tcp"},{"URL":"0.0.0.0","TargetPort":9000,"PublishedPort":9001,"Protocol":"tcp"}]}
{"Name":"shop-staging-1","Service":"staging","State":"running","Publishers":[{"URL":"0.0.0.0","TargetPort":5000,"PublishedPort":5009,"Protocol":"tcp"}]}
{"Name":"shop-worker-1","Service":"worker","State":"running","Publishers":[{"URL":"","TargetPort":5000,"PublishedPort":0,"Protocol":"tcp"}]}
{"Name":"shop-db-1","Service":"db","State":"running","Publishers":null}
"#;

#[test]
fn services_that_publish_the_port_are_instances_in_both_forms() {
    let expected = "app-1 http://10.0.0.7:5001 10.0.0.7\napp-2 http://127.0.0.1:5002 127.0.0.1";
    assert_eq!(told(services("{instance}").read(CONTAINERS)), expected);
    let list = format!("[{}]", CONTAINERS.trim().replace('\n', ","));
    assert_eq!(told(services("{instance}").read(&list)), expected);
    let by_part = told(services("app-{instance}").read(CONTAINERS));
    assert!(by_part.starts_with("1 http://10.0.0.7:5001"), "{by_part}");
    let none = told(services("web").read(CONTAINERS));
    assert!(
        none.starts_with("no container that runs and publishes its port 5000"),
        "{none}"
    );
}

#[test]
fn a_service_of_several_containers_is_refused_with_what_to_do() {
    let twice = CONTAINERS.replace("\"app-1\"", "\"app-2\"");
    let said = told(services("{instance}").read(&twice));
    assert!(
        said.starts_with("2 containers of the service `app-2`"),
        "{said}"
    );
    assert!(said.contains("a service for each instance"), "{said}");
    assert_eq!(containers(CONTAINERS), Ok(5));
    assert_eq!(containers("[]\n"), Ok(0));
}

/// Who is there, in a line each, and how many should be; or why that cannot be used.
fn mustered(printed: &str) -> String {
    match discovery(Prints::Instances).members(printed) {
        Err(why) => why,
        Ok(Members { all, wanted }) => {
            let lines = all.iter().map(|member| {
                let revision = member.revision.as_deref().unwrap_or("-");
                let started = member.started_unix_s.unwrap_or(-1);
                format!("{} {} {revision} {started}", member.name, member.url)
            });
            let wanted = wanted.map(|wanted| format!("wanted {wanted}"));
            lines.chain(wanted).collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn an_answer_may_say_what_runs_since_when_and_how_many_should_be_there() {
    let one = r#"{"id":"app-1","url":"http://a:1","revision":"5d9","started":"2026-03-01T02:00:00+01:00"}"#;
    let two = r#"{"id":"app-2","url":"http://a:2","revision":7,"started":1772326800.5}"#;
    let three = r#"{"id":"app-3","url":"http://a:3","revision":null}"#;
    assert_eq!(
        mustered(&format!(r#"{one}{two}{three}{{"wanted":4}}"#)),
        "app-1 http://a:1 5d9 1772326800\napp-2 http://a:2 7 1772326800\napp-3 http://a:3 - -1\nwanted 4"
    );
    // At the opening it is no instance.
    let own = discovery(Prints::Instances);
    let found = told(own.read(&format!(r#"[{{"wanted":4}},{three}]"#)));
    assert_eq!(found, "app-3 http://a:3 a");
    for (printed, why) in [
        (r#"{"wanted":3}"#.to_owned(), "none; it printed"),
        (format!(r#"{three}{{"wanted":0}}"#), "`0` as `wanted`"),
        (
            format!(r#"{three}{{"wanted":1}}{{"wanted":2}}"#),
            "`wanted` twice",
        ),
        (
            r#"{"id":"app-1","url":"http://a:1","started":"now"}"#.to_owned(),
            "`\"now\"` as `started` of app-1",
        ),
        (
            r#"{"id":"app-1","url":"http://a:1","revision":[]}"#.to_owned(),
            "`[]` as `revision` of app-1",
        ),
    ] {
        let said = mustered(&printed);
        assert!(said.contains(why), "{printed}: {said}");
    }
}
