//! Reads a theme file. Not in here: what the meanings are for.
//!
//! ```toml
//! inherits = "default"            # embedded, or a file beside this one
//! [palette]
//! rose = "#ff7b85"
//! [styles]
//! danger = { fg = "rose", bold = true }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use super::{Meaning, Theme, embedded, is_path};

/// Parents of parents of … before it must be a circle.
const MAX_GENERATIONS: usize = 8;

/// What is wrong with a theme.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    #[error("there is no theme “{name}”; the embedded ones are {known}, others are TOML files")]
    Unknown { name: String, known: String },
    #[error("cannot read the theme {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("theme {name}: {why}")]
    Syntax { name: String, why: String },
    #[error("theme {name}: “{key}” is none of the meanings")]
    Meaning { name: String, key: String },
    #[error(
        "theme {name}: {key}: “{color}” is neither in the palette nor a colour (#rrggbb, 0–255, a name)"
    )]
    Color {
        name: String,
        key: String,
        color: String,
    },
    #[error("theme {name} inherits itself")]
    Circle { name: String },
    #[error("theme {name} has no style for {missing}")]
    Incomplete { name: String, missing: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    inherits: Option<String>,
    #[serde(default)]
    palette: BTreeMap<String, String>,
    #[serde(default)]
    styles: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    bold: bool,
    #[serde(default)]
    dim: bool,
    #[serde(default)]
    italic: bool,
    #[serde(default)]
    underline: bool,
    #[serde(default)]
    reverse: bool,
}

/// Reads a theme and its parents; children override palette and styles.
pub fn load(name: &str) -> Result<Theme, ThemeError> {
    let mut generations = Vec::new();
    let mut next = Some(name.to_owned());
    let mut folder = PathBuf::new();
    while let Some(current) = next {
        if generations.len() == MAX_GENERATIONS {
            return Err(ThemeError::Circle { name: name.into() });
        }
        let text = read(&current, &mut folder)?;
        let file: File = toml::from_str(&text).map_err(|e| ThemeError::Syntax {
            name: current.clone(),
            why: e.to_string().trim_end().replace('\n', " "),
        })?;
        next = file.inherits.clone();
        generations.push((current, file));
    }
    let mut palette = BTreeMap::new();
    let mut styles: BTreeMap<Meaning, (String, Entry)> = BTreeMap::new();
    for (owner, file) in generations.into_iter().rev() {
        palette.extend(file.palette);
        for (key, entry) in file.styles {
            let meaning = Meaning::named(&key).ok_or_else(|| ThemeError::Meaning {
                name: owner.clone(),
                key,
            })?;
            styles.insert(meaning, (owner.clone(), entry));
        }
    }
    resolve(name, &palette, &styles)
}

fn read(name: &str, folder: &mut PathBuf) -> Result<String, ThemeError> {
    if let Some(text) = embedded(name) {
        return Ok(text.to_owned());
    }
    if !is_path(name) {
        let known: Vec<_> = Theme::embedded().collect();
        return Err(ThemeError::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        });
    }
    let path = folder.join(name);
    *folder = path.parent().unwrap_or(Path::new("")).to_owned();
    std::fs::read_to_string(&path).map_err(|source| ThemeError::Read { path, source })
}

fn resolve(
    name: &str,
    palette: &BTreeMap<String, String>,
    entries: &BTreeMap<Meaning, (String, Entry)>,
) -> Result<Theme, ThemeError> {
    let missing: Vec<_> = Meaning::ALL
        .iter()
        .filter(|(m, _)| !entries.contains_key(m))
        .map(|(_, n)| *n)
        .collect();
    if !missing.is_empty() {
        return Err(ThemeError::Incomplete {
            name: name.to_owned(),
            missing: missing.join(", "),
        });
    }
    let mut styles = [Style::new(); Meaning::ALL.len()];
    for (meaning, key) in Meaning::ALL {
        let (owner, entry) = &entries[&meaning];
        let color = |text: &Option<String>| {
            text.as_ref()
                .map(|c| {
                    let resolved = palette.get(c).unwrap_or(c);
                    parse_color(resolved).ok_or_else(|| ThemeError::Color {
                        name: owner.clone(),
                        key: key.to_owned(),
                        color: c.clone(),
                    })
                })
                .transpose()
        };
        styles[meaning as usize] = Style {
            fg: color(&entry.fg)?,
            bg: color(&entry.bg)?,
            ..Style::new().add_modifier(entry.modifiers())
        };
    }
    Ok(Theme {
        name: name.to_owned(),
        styles,
    })
}

impl Entry {
    fn modifiers(&self) -> Modifier {
        let set = [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.reverse, Modifier::REVERSED),
        ];
        set.iter()
            .filter(|(on, _)| *on)
            .fold(Modifier::empty(), |all, (_, m)| all | *m)
    }
}

/// `#rrggbb`, an index of the 256, or a name of the 16; `reset` is the terminal's own.
fn parse_color(text: &str) -> Option<Color> {
    text.parse().ok()
}
