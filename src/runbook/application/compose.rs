//! A file of Docker Compose: which services serve the application, where they are reached, from which file they take their environment. Pure.
//! Not in here: asking compose (`fleet::discovery`).

use super::yaml::{Node, load};
use crate::runbook::reader::is_id;

/// Images that are no application.
const OTHERS: [&str; 17] = [
    "postgres",
    "mysql",
    "mariadb",
    "redis",
    "valkey",
    "memcached",
    "nginx",
    "traefik",
    "caddy",
    "haproxy",
    "rabbitmq",
    "mailhog",
    "mailpit",
    "prometheus",
    "grafana",
    "minio",
    "adminer",
];

/// A service that serves the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    /// Where it is published on this host, and the line.
    pub published: (String, usize),
    /// The file from which it takes its environment, and the line.
    pub env_file: Option<(String, usize)>,
    /// The path that its health check asks, and the line.
    pub health: Option<(String, usize)>,
    /// How many containers there are of it.
    pub replicas: u64,
    /// Keys of its environment that stand in the file itself, with values, and lines.
    pub environment: Vec<(String, String, usize)>,
}

/// The services that are published and are no server of something else.
pub fn services(text: &str) -> Vec<Service> {
    let Some(root) = load(text) else {
        return Vec::new();
    };
    let Some(services) = root.get("services") else {
        return Vec::new();
    };
    let entries = services.entries().iter();
    entries
        .filter_map(|(name, node)| service(name, node))
        .collect()
}

/// The services that publish a port which the file does not tell, such as `${PORT}:80`, each with its line.
pub fn unclear(text: &str) -> Vec<(String, usize)> {
    let root = load(text);
    let services = root.as_ref().and_then(|root| root.get("services"));
    let entries = services.map(Node::entries).unwrap_or_default();
    let is_unclear = |name: &str, node: &Node| {
        let ports = node.get("ports").map(Node::list).unwrap_or_default();
        let is_told = ports.iter().any(|port| published(port).is_some());
        is_own(name, node) && !ports.is_empty() && !is_told
    };
    let unclear = entries.iter().filter(|(name, node)| is_unclear(name, node));
    unclear
        .map(|(name, node)| (name.clone(), node.line))
        .collect()
}

/// Whether it may be the application, and no server of something else.
fn is_own(name: &str, node: &Node) -> bool {
    let image = node.get("image").and_then(Node::text).unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    is_id(name) && !OTHERS.iter().any(|other| image.starts_with(other))
}

fn service(name: &str, node: &Node) -> Option<Service> {
    if !is_own(name, node) {
        return None;
    }
    let ports = node.get("ports")?.list();
    Some(Service {
        name: name.to_owned(),
        published: ports.iter().find_map(published)?,
        env_file: node.get("env_file").and_then(env_file),
        health: node.get("healthcheck").and_then(health),
        replicas: replicas(node),
        environment: node.get("environment").map(environment).unwrap_or_default(),
    })
}

/// `5001:5000`, `127.0.0.1:5001:5000`, or the long form.
fn published(node: &Node) -> Option<(String, usize)> {
    let (host, port) = match node.text() {
        Some(text) => {
            let text = text.split('/').next()?;
            let (outside, _) = text.rsplit_once(':')?;
            match outside.rsplit_once(':') {
                Some((host, port)) => (host.to_owned(), port.to_owned()),
                None => (String::new(), outside.to_owned()),
            }
        }
        None => {
            let port = node.get("published")?.text()?.to_owned();
            let host = node.get("host_ip").and_then(Node::text);
            (host.unwrap_or_default().to_owned(), port)
        }
    };
    let port: u16 = port.parse().ok()?;
    if host.contains('$') {
        return None;
    }
    let host = match host.as_str() {
        "" | "0.0.0.0" | "[::]" | "::" => "127.0.0.1",
        other => other,
    };
    Some((format!("http://{host}:{port}"), node.line))
}

/// The last of several: it wins.
fn env_file(node: &Node) -> Option<(String, usize)> {
    let last = node.list().last().unwrap_or(node);
    let path = last.text().or_else(|| last.get("path")?.text())?;
    let path = path.strip_prefix("./").unwrap_or(path);
    Some((path.to_owned(), last.line))
}

/// The path of the first address in the check's command.
fn health(node: &Node) -> Option<(String, usize)> {
    let test = node.get("test")?;
    let texts = test.list().iter().chain([test]).filter_map(Node::text);
    let whole: Vec<&str> = texts.collect();
    let whole = whole.join(" ");
    let (_, behind) = whole.split_once("://")?;
    let end = |c: char| c.is_whitespace() || "\"'|;)".contains(c);
    let address = behind.split(end).next()?;
    let path = address.find('/').map(|at| &address[at..])?;
    Some((path.to_owned(), test.line))
}

fn replicas(node: &Node) -> u64 {
    let deployed = node.get("deploy").and_then(|deploy| deploy.get("replicas"));
    let said = deployed.or(node.get("scale")).and_then(Node::text);
    said.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A map, or a list of `KEY=value`.
fn environment(node: &Node) -> Vec<(String, String, usize)> {
    let of_map = node.entries().iter().filter_map(|(key, value)| {
        let text = value.text()?;
        Some((key.clone(), text.to_owned(), value.line))
    });
    let of_list = node.list().iter().filter_map(|item| {
        let (key, value) = item.text()?.split_once('=')?;
        Some((key.to_owned(), value.to_owned(), item.line))
    });
    of_map.chain(of_list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
services:
  app-1: &app
    build: .
    ports: ["127.0.0.1:5001:5000"]
    env_file: [common.env, ./env/app-1.env]
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:5000/healthz?deep=1"]
    environment:
      MODE: production
  app-2:
    <<: *app
    ports:
      - target: 5000
        published: "5002"
    deploy: { replicas: 3 }
  db:
    image: docker.io/library/postgres:17
    ports: ["5432:5432"]
  worker:
    build: .
"#;

    #[test]
    fn services_that_are_published_serve() {
        let read = services(FILE);
        let names: Vec<_> = read
            .iter()
            .map(|s| (s.name.as_str(), s.published.0.as_str(), s.replicas))
            .collect();
        assert_eq!(
            names,
            [
                ("app-1", "http://127.0.0.1:5001", 1),
                ("app-2", "http://127.0.0.1:5002", 3)
            ]
        );
        let first = &read[0];
        let file = Some(("env/app-1.env".to_owned(), 6));
        assert_eq!(first.env_file, file);
        let health = first.health.as_ref().map(|(path, _)| path.as_str());
        assert_eq!(health, Some("/healthz?deep=1"));
        let mode = ("MODE".to_owned(), "production".to_owned(), 10);
        assert_eq!(first.environment, [mode]);
        assert!(services("services: [").is_empty());
        assert!(unclear(FILE).is_empty());
    }

    #[test]
    fn a_port_that_a_variable_holds_is_told_and_not_guessed() {
        let text = "services:\n  web:\n    ports: [\"${BIND:-127.0.0.1}:5001:80\"]\n  api:\n    ports: [\"${PORT}:80\"]\n  app:\n    ports: [\"${BIND}:1:80\", \"5002:80\"]\n";
        let names = |found: Vec<(String, usize)>| found.into_iter().map(|(name, _)| name);
        let unclear: Vec<String> = names(unclear(text)).collect();
        assert_eq!(unclear, ["web", "api"]);
        let read = services(text);
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].published.0, "http://127.0.0.1:5002");
    }
}
