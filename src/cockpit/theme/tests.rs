//! Themes: complete, readable, and never in the way.

use super::*;

#[test]
fn every_embedded_theme_has_every_meaning() {
    for name in Theme::embedded() {
        Theme::load(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn mono_has_no_colour() {
    let theme = Theme::load("mono").expect("embedded");
    for (meaning, name) in Meaning::ALL {
        let style = theme.style(meaning);
        let own = Some(Color::Reset);
        assert_eq!((style.fg, style.bg), (own, own), "{name}");
    }
    let (theme, warning) = Theme::choose(Some("light"), true, Depth::True);
    assert_eq!(
        (theme.name.as_str(), warning),
        ("mono", None),
        "NO_COLOR wins"
    );
}

#[test]
fn text_can_be_read_on_its_ground_and_in_a_selected_row() {
    let decoration = [Meaning::Border];
    // What is loud by its ground is no row of a list.
    let never_selected = [Meaning::Alarm];
    for name in Theme::embedded().filter(|name| *name != "mono") {
        let theme = Theme::load(name).expect("embedded");
        // WCAG AA; the theme that promises more keeps that.
        let least = if name == "high-contrast" { 7.0 } else { 4.5 };
        for (meaning, key) in Meaning::ALL {
            if decoration.contains(&meaning) {
                continue;
            }
            let style = theme.style(meaning);
            let ratio = contrast(style.fg.expect("fg"), style.bg.expect("bg"));
            assert!(ratio >= least, "{name}: {key} has a contrast of {ratio:.2}");
            if never_selected.contains(&meaning) {
                continue;
            }
            let selected = style.patch(theme.overlay(Meaning::Selection));
            let ratio = contrast(selected.fg.expect("fg"), selected.bg.expect("bg"));
            assert!(ratio >= 4.5, "{name}: {key}, selected, {ratio:.2}");
        }
    }
}

#[test]
fn every_theme_of_the_folder_is_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("themes");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("themes")
        .map(|entry| entry.expect("a file").path())
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .collect();
    let mut embedded: Vec<String> = Theme::embedded().map(str::to_owned).collect();
    files.sort();
    embedded.sort();
    assert_eq!(files, embedded);
}

/// What tells good from bad must not be a matter of red against green: it differs in lightness, or in blue.
#[test]
fn the_colour_blind_theme_tells_good_from_bad_without_red_against_green() {
    let theme = Theme::load("colour-blind").expect("embedded");
    let color = |meaning| theme.style(meaning).fg.expect("fg");
    for bad in [Meaning::Danger, Meaning::Warn, Meaning::Threshold] {
        for good in [Meaning::Ok, Meaning::Running, Meaning::Baseline] {
            let (Color::Rgb(.., a), Color::Rgb(.., b)) = (color(bad), color(good)) else {
                panic!("true colours");
            };
            assert!(a.abs_diff(b) >= 64, "{bad:?} {good:?}: {a} {b}");
        }
    }
}

#[test]
fn a_broken_theme_warns_and_falls_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = [
        ("styles = 3", "invalid type"),
        (
            "inherits = \"default\"\n[styles]\nok = { fg = \"nocolour\" }\n",
            "neither in the palette",
        ),
        (
            "inherits = \"default\"\n[styles]\nfine = {}\n",
            "none of the meanings",
        ),
        ("inherits = \"broken.toml\"\n", "inherits itself"),
        ("[styles]\nok = {}\n", "has no style for text, muted"),
        ("[styles]\nok = { colour = \"red\" }\n", "unknown field"),
    ];
    for (text, expected) in cases {
        let path = folder.path().join("broken.toml");
        std::fs::write(&path, text).expect("written");
        let (theme, warning) = Theme::choose(path.to_str(), false, Depth::True);
        assert_eq!(theme, Theme::standard(), "{text}");
        let warning = warning.expect("a warning");
        assert!(
            warning.contains(expected),
            "{text:?}: {warning:?} lacks {expected:?}"
        );
    }
    let (_, warning) = Theme::choose(Some("solarised"), false, Depth::True);
    assert!(warning.expect("a warning").contains("default, light, mono"));
}

#[test]
fn a_child_overrides_its_parent() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    std::fs::write(
        &path,
        "inherits = \"default\"\n[palette]\ngreen = \"#00ff00\"\n",
    )
    .expect("written");
    let theme = Theme::load(path.to_str().expect("UTF-8")).expect("sound");
    assert_eq!(theme.style(Meaning::Ok).fg, Some(Color::Rgb(0, 255, 0)));
    assert_eq!(
        theme.style(Meaning::Danger),
        Theme::standard().style(Meaning::Danger)
    );
}

/// As WCAG 2 defines it.
fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(color: Color) -> f64 {
    let Color::Rgb(r, g, b) = color else {
        panic!("{color:?} is not a true colour");
    };
    let linear = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.03928 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}
