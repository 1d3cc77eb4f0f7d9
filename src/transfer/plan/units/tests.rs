//! What numbers stand for, by their values alone. Not in here: which columns are asked (`guess`).

use super::*;

const DOTNET: World = World {
    dotnet: true,
    django: false,
    core_data: false,
    strapi: false,
    text_order: false,
    beside: None,
};

fn verdict(numbers: &[&str], world: World) -> Verdict {
    let mut seen = Numbers::default();
    numbers
        .iter()
        .for_each(|digits| seen.see((*digits).to_owned(), world));
    seen.moments(false, None)
}

#[test]
fn a_unit_is_told_by_all_numbers_or_not_at_all() {
    let plain = World::default();
    for (numbers, world, unit) in [
        (&["1612521072", "915148800"][..], plain, Epoch::S),
        (&["1612521072.25", "-631152000"], plain, Epoch::S),
        (&["1712521072575", "-631152000000"], plain, Epoch::Ms),
        (&["1712521072575000"], plain, Epoch::Us),
        (&["1712521072575000000"], plain, Epoch::Ns),
        (&["638448068960000000"], DOTNET, Epoch::Ticks),
        (
            &["638448068960000000", "5250134087387387904"],
            DOTNET,
            Epoch::DotnetBinary,
        ),
        (&["2460370.02426"], plain, Epoch::Julian),
        (&["45351.5"], plain, Epoch::Oadate),
        (&["19782"], plain, Epoch::Days),
        (&["-7000", "3000", "11500"], plain, Epoch::Days),
        (&["2426000.5", "2451544.5"], plain, Epoch::Julian),
        (
            &["20240229123456", "20261129015707"],
            plain,
            Epoch::Calendar,
        ),
        (&["20240229"], plain, Epoch::Calendar),
        (
            &["1709251199999", "253402300799999", "1711852200120"],
            plain,
            Epoch::Ms,
        ),
        (&["1709251199", "253402300799"], plain, Epoch::S),
    ] {
        match verdict(numbers, world) {
            Verdict::Unit(found, examples) => {
                assert_eq!(found, unit, "{numbers:?}");
                assert!(!examples.is_empty());
            }
            Verdict::Unknown(why) => panic!("{numbers:?}: {why}"),
        }
    }
    // Only .NET writes the kind of a time into the highest bits.
    assert!(matches!(
        verdict(&["5250134087387387904"], plain),
        Verdict::Unit(Epoch::DotnetBinary, _)
    ));
    // EF's offsets could be nanoseconds, were they not .NET's.
    let ef = ((638_448_068_960_000_000_i64 / 1_000) << 11 | 120).to_string();
    assert!(matches!(
        verdict(&[&ef], DOTNET),
        Verdict::Unit(Epoch::EfOffset, _)
    ));
    assert!(matches!(verdict(&[&ef], plain), Verdict::Unknown(_)));
    let Verdict::Unknown(why) = verdict(&["751000000.25", "720000000"], plain) else {
        panic!("1993 or 2024");
    };
    assert!(why.contains("since 2001"), "{why}");
}

#[test]
fn no_unit_is_told_where_another_zero_or_a_calendar_fits() {
    let core_data = World {
        core_data: true,
        ..World::default()
    };
    for (numbers, world, word) in [
        (
            &["730901234567890000", "700000000000000000"][..],
            World::default(),
            "since 2001",
        ),
        (
            &["730901234567", "731901234567"],
            World::default(),
            "since 2001",
        ),
        (
            &["620000000000000000", "640000000000000000"],
            World::default(),
            "since 2001",
        ),
        (
            &["-50000000", "94700000.5", "751000000"],
            core_data,
            "since 2001",
        ),
        (
            &["3791232000", "3792000000"],
            World::default(),
            "since 1904",
        ),
        (&["3917376000"], World::default(), "since 1900"),
        (
            &["202402291234", "202212312359"],
            World::default(),
            "YYYYMMDDhhmm",
        ),
        (&["2402291234"], World::default(), "YYMMDDhhmm"),
        (
            &["2024022912", "2023123123"],
            World::default(),
            "YYYYMMDDhh",
        ),
        (&["50449", "54101.25"], World::default(), "modified Julian"),
        (&["20515", "24000", "28700"], World::default(), "oadate: 19"),
        (
            &["1709210096", "1709210097", "9999999999"],
            World::default(),
            "`epoch: s`",
        ),
        (
            &["1709210096", "1709210097", "-62135596800"],
            World::default(),
            "values: { -62135596800",
        ),
        (&["5", "7"], World::default(), "oadate: 1900"),
    ] {
        match verdict(numbers, world) {
            Verdict::Unknown(why) => assert!(why.contains(word), "{numbers:?}: {why}"),
            Verdict::Unit(unit, _) => panic!("{numbers:?}: {unit:?}"),
        }
    }
}

#[test]
fn mixed_units_are_named_and_small_numbers_are_not_guessed() {
    let plain = World::default();
    let Verdict::Unknown(why) = verdict(&["1612521072", "1712521072575"], plain) else {
        panic!("two units");
    };
    assert!(
        why.contains("1 of 2 as s (1612521072 → 2021-02-05 10:31:12)"),
        "{why}"
    );
    assert!(why.contains("1 of 2 as ms"), "{why}");
    assert!(why.contains("median"), "{why}");
    for numbers in [
        &["5", "1700000000"][..],
        &["86400000", "1700000000000"],
        &["1", "2"],
    ] {
        assert!(
            matches!(verdict(numbers, plain), Verdict::Unknown(_)),
            "{numbers:?}"
        );
    }
}

#[test]
fn durations_are_djangos_microseconds_or_nobodys() {
    let mut seen = Numbers::default();
    seen.see("1500000".to_owned(), World::default());
    let Verdict::Unknown(why) = seen.durations(World::default()) else {
        panic!("a guess");
    };
    assert!(
        why.contains("us: 1.5 s") && why.contains("s: 17 d 08:40:00"),
        "{why}"
    );
    let django = World {
        django: true,
        ..World::default()
    };
    assert_eq!(
        seen.durations(django),
        Verdict::Unit(Epoch::Us, vec!["1500000 → 1.5 s".to_owned()])
    );
}

#[test]
fn many_numbers_have_a_median_too() {
    let mut seen = Numbers::default();
    for n in 0..100_000_u64 {
        seen.see((1_600_000_000 + n).to_string(), World::default());
    }
    assert!(seen.sample.len() <= SAMPLE && seen.sample.len() > SAMPLE / 4);
    let mut other = Numbers::default();
    other.see("1712521072575".to_owned(), World::default());
    seen.merge(other);
    assert_eq!(seen.count, 100_001);
    assert!(matches!(seen.moments(false, None), Verdict::Unknown(_)));
}

#[test]
fn what_can_be_stated_comes_first() {
    let why = |numbers: &[&str], beside| {
        let mut seen = Numbers::default();
        for digits in numbers {
            seen.see((*digits).to_owned(), World::default());
        }
        match seen.moments(false, beside) {
            Verdict::Unknown(why) => (why, seen.mixed()),
            Verdict::Unit(unit, _) => panic!("{numbers:?}: {unit:?}"),
        }
    };
    for numbers in [
        &[
            "1709251199999",
            "-3600000",
            "7258118400000",
            "1709251199998",
        ][..],
        &[
            "1709251199999",
            "7258118400000",
            "7258118400001",
            "1709251199998",
        ],
        &["1709210096148", "1709210096149", "86400037", "86400038"],
    ] {
        let (why, mend) = why(numbers, None);
        assert!(
            why.starts_with("State `epoch: ms` if all of them count so"),
            "{why}"
        );
        assert_eq!(mend, None, "{numbers:?}");
    }
    let beside = Some((Epoch::S, 2));
    let (why, _mend) = why(&["1709210096148", "86400037"], beside);
    assert!(
        why.starts_with("2 other columns of this file count in s. State `epoch: s` if all of them count so, `epoch: ms`"),
        "{why}"
    );
}

#[test]
fn the_fewer_numbers_are_mended() {
    let mend = |numbers: &[&str]| {
        let mut seen = Numbers::default();
        for digits in numbers {
            seen.see((*digits).to_owned(), World::default());
        }
        let mend = seen.mixed().expect("two units");
        (mend.unit, mend.sql("c").0)
    };
    assert_eq!(
        mend(&["1612521072", "1712521072575", "1712521072576"]),
        ("ms", "c * 1000".to_owned())
    );
    assert_eq!(
        mend(&["1612521072", "1612521073", "1712521072575"]),
        ("s", "c / 1000.0".to_owned())
    );
}

#[test]
fn milliseconds_of_strapi_are_of_any_time() {
    let strapi = World {
        strapi: true,
        ..World::default()
    };
    let verdict = |numbers: &[&str], world| {
        let mut seen = Numbers::default();
        for digits in numbers {
            seen.see((*digits).to_owned(), world);
        }
        seen.moments(false, None)
    };
    let numbers = ["-86400000", "1706745600000", "7258118400000"];
    assert!(matches!(
        verdict(&numbers, strapi),
        Verdict::Unit(Epoch::Ms, _)
    ));
    let elsewhere = verdict(&numbers, World::default());
    assert!(matches!(elsewhere, Verdict::Unknown(_)), "{elsewhere:?}");
    let mixed = verdict(&["1706745600", "1706745600000"], strapi);
    assert!(
        matches!(mixed, Verdict::Unknown(_)),
        "seconds of today: {mixed:?}"
    );
}

#[test]
fn nanoseconds_are_not_named_where_milliseconds_would_start_1970() {
    let mut seen = Numbers::default();
    for digits in ["1706745600000", "1706745600001", "900000000000000000"] {
        seen.see(digits.to_owned(), World::default());
    }
    let Verdict::Unknown(why) = seen.moments(false, None) else {
        panic!("no unit is right for all of them");
    };
    assert!(!why.contains("`epoch: ns`"), "{why}");
    assert!(
        why.contains(
            "State `epoch: ms` if the others count so, and what 900000000000000000 stands for"
        ),
        "{why}"
    );
}
