//! The instances of an application, by the `.env` files that configure them: one for each, which differ in their ports. Pure.

use std::collections::BTreeMap;

use super::File;
use super::dotenv::{Entry, entries};
use super::ports::port_of;
use super::switch::{Choice, Surroundings, choice, is_postgres};
use crate::runbook::reader::is_id;

/// Words in the name of a slot that no user is led to.
const STAGING: [&str; 3] = ["staging", "stage", "preprod"];

/// Names of files for a place or a purpose, which are no instances.
const PURPOSES: [&str; 10] = [
    "dev",
    "development",
    "prod",
    "production",
    "local",
    "test",
    "common",
    "base",
    "default",
    "shared",
];

/// An instance's own configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// The instance; empty where one file is all.
    pub id: String,
    pub path: String,
    /// The port at which it listens, and the line.
    pub port: Option<(u16, usize)>,
}

/// The files that configure the instances, and the key that they have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// The path of a file, with `{instance}` where they differ.
    pub pattern: String,
    /// The instances, the staging slot among them.
    pub slots: Vec<Configured>,
    /// The key that chooses the database, and the file in which it was found.
    pub choice: (Choice, String),
}

/// A file with what was read of it.
struct Read<'f> {
    file: &'f File,
    entries: Vec<Entry>,
    choice: Option<Choice>,
}

/// Whether a name is that of a staging slot.
pub fn is_staging(id: &str) -> bool {
    let id = id.to_lowercase();
    let mut words = id.split(|c: char| !c.is_alphabetic());
    words.any(|word| STAGING.contains(&word))
}

/// The largest set of files that are alike; one alone where no two are.
pub fn slots(files: &[&File], around: Surroundings<'_>) -> Option<Slots> {
    let read: Vec<Read<'_>> = files.iter().map(|file| read(file, around)).collect();
    let mut sets: BTreeMap<String, Vec<(String, &Read<'_>)>> = BTreeMap::new();
    for read in &read {
        for (pattern, id) in patterns(&read.file.path) {
            sets.entry(pattern).or_default().push((id, read));
        }
    }
    let chooses = |set: &Vec<(String, &Read<'_>)>| set.iter().any(|(_, r)| r.choice.is_some());
    let sets = sets.into_iter().filter(|(_, set)| chooses(set));
    let several = sets
        .map(|(pattern, set)| (pattern, alike(set)))
        .filter(|(_, set)| set.len() > 1)
        .max_by_key(|(_, set)| set.len());
    match several {
        Some((pattern, set)) => together(pattern, &set),
        None => {
            // Production's own, else the nearest to the folder's root.
            let single = read.iter().filter(|read| read.choice.is_some());
            let only = single.min_by_key(|read| !read.file.path.contains("prod"))?;
            together(only.file.path.clone(), &[(String::new(), only)])
        }
    }
}

fn read<'f>(file: &'f File, around: Surroundings<'_>) -> Read<'f> {
    let entries = entries(&file.text);
    Read {
        choice: choice(&entries, around),
        file,
        entries,
    }
}

/// Those that have the key, whatever its value is there: the staging slot may be on PostgreSQL already.
fn alike<'s, 'f>(set: Vec<(String, &'s Read<'f>)>) -> Vec<(String, &'s Read<'f>)> {
    let key = set
        .iter()
        .find_map(|(_, r)| Some(r.choice.as_ref()?.key.clone()));
    let has = |read: &Read<'_>| read.entries.iter().any(|e| Some(&e.key) == key.as_ref());
    set.into_iter().filter(|(_, read)| has(read)).collect()
}

/// The paths of which this file could be one, and which instance it would be.
fn patterns(path: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = path.split('/').collect();
    let Some((name, folders)) = parts.split_last() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let is_instance = |id: &str| is_id(id) && !PURPOSES.contains(&id.to_lowercase().as_str());
    let own = name.strip_suffix(".env").filter(|stem| is_instance(stem));
    if let (Some(stem), [_, ..]) = (own, folders) {
        let pattern = format!("{}/{{instance}}.env", folders.join("/"));
        found.push((pattern, stem.to_owned()));
    }
    if let Some((folder, above)) = folders.split_last()
        && !above.is_empty()
        && is_instance(folder)
    {
        let pattern = format!("{}/{{instance}}/{name}", above.join("/"));
        found.push((pattern, (*folder).to_owned()));
    }
    found
}

fn together(pattern: String, set: &[(String, &Read<'_>)]) -> Option<Slots> {
    let (choice, path) = set
        .iter()
        .find_map(|(_, r)| Some((r.choice.clone()?, r.file.path.clone())))?;
    // The slot that is on PostgreSQL already says how that is called.
    let other = set.iter().find_map(|(_, read)| {
        let entry = read.entries.iter().find(|e| e.key == choice.key)?;
        is_postgres(&entry.value).then(|| entry.value.clone())
    });
    let to = other.or(choice.to.clone());
    let slots = set.iter().map(|(id, read)| Configured {
        id: id.clone(),
        path: read.file.path.clone(),
        port: read
            .entries
            .iter()
            .find_map(|e| Some((port_of(&e.key, &e.value)?, e.line))),
    });
    Some(Slots {
        pattern,
        slots: slots.collect(),
        choice: (Choice { to, ..choice }, path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::application::tests::file;

    #[test]
    fn a_file_for_each_instance_is_a_pattern() {
        let files = [
            file(".env", "SECRET=x\n"),
            file("instances/app-1.env", "PORT=5001\nDB=sqlite\n"),
            file("instances/app-2.env", "PORT=5002\nDB=sqlite\n"),
            file("instances/staging.env", "PORT=5009\nDB=postgres\n"),
        ];
        let files: Vec<&File> = files.iter().collect();
        let read = slots(&files, Surroundings::default()).expect("slots");
        assert_eq!(read.pattern, "instances/{instance}.env");
        let ids: Vec<_> = read.slots.iter().map(|s| (s.id.as_str(), s.port)).collect();
        assert_eq!(
            ids,
            [
                ("app-1", Some((5001, 1))),
                ("app-2", Some((5002, 1))),
                ("staging", Some((5009, 1)))
            ]
        );
        let (choice, path) = &read.choice;
        assert_eq!((choice.key.as_str(), choice.line), ("DB", 2));
        assert_eq!(choice.to.as_deref(), Some("postgres"));
        assert_eq!(path, "instances/app-1.env");
    }

    #[test]
    fn a_folder_for_each_instance_is_one_too_and_one_file_is_itself() {
        let files = [
            file("run/a/app.env", "DB_CONNECTION=sqlite\n"),
            file("run/b/app.env", "DB_CONNECTION=sqlite\n"),
        ];
        let files: Vec<&File> = files.iter().collect();
        let read = slots(&files, Surroundings::default()).expect("slots");
        assert_eq!(read.pattern, "run/{instance}/app.env");
        let files = [file(".env", "DATABASE_URL=sqlite:///app.db\nPORT=3000\n")];
        let files: Vec<&File> = files.iter().collect();
        let read = slots(&files, Surroundings::default()).expect("a slot");
        assert_eq!(
            (read.pattern.as_str(), read.slots[0].id.as_str()),
            (".env", "")
        );
        let files = [
            file("config/dev.env", "DB=sqlite\n"),
            file("config/production.env", "DB=sqlite\n"),
        ];
        let files: Vec<&File> = files.iter().collect();
        let read = slots(&files, Surroundings::default()).expect("a slot");
        assert_eq!(read.pattern, "config/production.env");
        assert!(is_staging("app-staging") && is_staging("staging2") && !is_staging("app-1"));
        assert!(!is_staging("backstage") && !is_staging("stagecoach-1"));
    }
}
