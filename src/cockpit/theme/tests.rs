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
        assert_eq!((style.fg, style.bg), (None, None), "{name}");
    }
    let (theme, warning) = Theme::choose(Some("light"), true, Depth::True);
    assert_eq!(
        (theme.name.as_str(), warning),
        ("mono", None),
        "NO_COLOR wins"
    );
}

#[test]
fn text_can_be_read_on_its_ground() {
    let decoration = [Meaning::Border];
    for name in ["default", "light"] {
        let theme = Theme::load(name).expect("embedded");
        for (meaning, key) in Meaning::ALL {
            if decoration.contains(&meaning) {
                continue;
            }
            let style = theme.style(meaning);
            let ratio = contrast(style.fg.expect("fg"), style.bg.expect("bg"));
            assert!(ratio >= 4.5, "{name}: {key} has a contrast of {ratio:.2}");
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
