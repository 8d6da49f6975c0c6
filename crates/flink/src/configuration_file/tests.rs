use proptest::prelude::*;

use super::{ConfigurationFileError, Entries, LossKind, parse, render};
use crate::version::ConfigurationFormat::{Flat, Nested};

fn entries(pairs: &[(&str, &str)]) -> Entries {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Values that YAML readers like to misread.
const AWKWARD: [&str; 34] = [
    "",
    " ",
    "~",
    "null",
    "true",
    "Yes",
    "NO",
    "on",
    "y",
    "014",
    "0x1F",
    "0o17",
    "1e3",
    "1_000",
    ".5",
    "1.50",
    "12:30:45",
    "2020-01-01",
    "-",
    "- a",
    "? a",
    "a: b",
    "a:",
    "a #b",
    "a#b",
    "#a",
    "[a, b]",
    "{a: b}",
    "'q'",
    "\"q\"",
    "a\nb",
    "tab\there",
    "&a *b !c |d >e %f `g",
    "\u{2028}\u{85}\u{feff}é😀\u{7}",
];

#[test]
fn the_nested_file_holds_every_value() {
    let mut all = Entries::new();
    for (index, value) in AWKWARD.into_iter().enumerate() {
        all.insert(format!("a.b{index}.c"), value.to_owned());
        all.insert(
            format!(
                "z.{}",
                if value.trim() == value && !value.chars().any(char::is_control) && !value.is_empty() {
                    value.replace('.', "_")
                } else {
                    format!("k{index}")
                }
            ),
            "v".to_owned(),
        );
    }
    let rendered = render(&all, Nested).unwrap();
    assert_eq!(parse(&rendered.text, Nested).unwrap(), all, "{}", rendered.text);
    assert!(rendered.losses.is_empty());
}

#[test]
fn the_nested_file_reads_at_a_glance() {
    let all = entries(&[
        ("taskmanager.memory.process.size", "640m"),
        ("taskmanager.numberOfTaskSlots", "2"),
        ("execution.checkpointing.interval", "10 s"),
        ("execution.checkpointing.dir", "file:///data/checkpoints"),
        ("web.cancel.enable", "false"),
        ("env.java.opts.all", "--add-opens=java.base/java.lang=ALL-UNNAMED"),
    ]);
    let expected = "\
env:
  java:
    opts:
      all: \"--add-opens=java.base/java.lang=ALL-UNNAMED\"
execution:
  checkpointing:
    dir: file:///data/checkpoints
    interval: 10 s
taskmanager:
  memory:
    process:
      size: 640m
  numberOfTaskSlots: 2
web:
  cancel:
    enable: \"false\"
";
    assert_eq!(render(&all, Nested).unwrap().text, expected);
}

#[test]
fn keys_that_clash_are_both_named() {
    for (pairs, shorter, longer) in [
        (&[("a", "1"), ("a.b", "2")][..], "a", "a.b"),
        (&[("a.b.c.d", "1"), ("a.b", "2"), ("a-b", "3")][..], "a.b", "a.b.c.d"),
    ] {
        let error = render(&entries(pairs), Nested).unwrap_err();
        assert_eq!(
            error,
            ConfigurationFileError::PrefixClash { shorter: shorter.to_owned(), longer: longer.to_owned() }
        );
        assert!(render(&entries(pairs), Flat).is_ok());
    }
    let error = render(&entries(&[("state.backend", "x"), ("state.backend.local-recovery", "y")]), Nested)
        .unwrap_err();
    assert!(error.to_string().ends_with("use `state.backend.type` in place of `state.backend`"), "{error}");
}

#[test]
fn keys_that_only_begin_alike_do_not_clash() {
    let all = entries(&[("a.b", "1"), ("a.bc", "2"), ("a-b.c", "3"), ("a.b-c", "4")]);
    assert_eq!(parse(&render(&all, Nested).unwrap().text, Nested).unwrap(), all);
}

#[test]
fn the_flat_file_names_what_it_loses() {
    let all = entries(&[
        ("a", "x # y"),
        ("b", "one\ntwo"),
        ("c", " "),
        ("d", "b: c"),
        ("e", "  ok \n"),
        ("f", "#"),
    ]);
    let rendered = render(&all, Flat).unwrap();
    assert_eq!(rendered.text, "a: x\nb: one\nd: b: c\ne: ok\n");
    let losses: Vec<_> = rendered.losses.iter().map(|loss| (loss.key.as_str(), loss.kind)).collect();
    assert_eq!(
        losses,
        [
            ("a", LossKind::CutAtHash),
            ("b", LossKind::FirstLineOnly),
            ("c", LossKind::Empty),
            ("f", LossKind::CutAtHash)
        ]
    );
    let back = parse(&rendered.text, Flat).unwrap();
    assert_eq!(back, entries(&[("a", "x"), ("b", "one"), ("d", "b: c"), ("e", "ok")]));
}

/// What Flink 1.20 makes of this file, line by line.
#[test]
fn the_flat_file_reads_as_flink_reads_it() {
    let text = "# c\na.nul: ~\na.hash: a#b\na.quoted: 'x y'\na.colon: b: c\na.nospace:value\na.dup: 1\na.dup: 2\np: 1\np.q: 2\na.nothing:   \n";
    let expected = entries(&[
        ("a.nul", "~"),
        ("a.hash", "a"),
        ("a.quoted", "'x y'"),
        ("a.colon", "b: c"),
        ("a.dup", "2"),
        ("p", "1"),
        ("p.q", "2"),
    ]);
    assert_eq!(parse(text, Flat).unwrap(), expected);
}

/// What Flink 1.20 and 2.1 make of this file; lists come in Flink's text form.
#[test]
fn the_nested_file_reads_as_flink_reads_it() {
    let text = "a:\n  empty: \"\"\n  under: 1_000\n  yes: yes\n  t: true\n  f: 1.50\n  e: 1e3\n  hex: 0x1F\n  date: 2020-01-01\n  \
                list: [a, 'b;c', 3]\n  q: '2'\n  hash: a#b\n  blk: |\n    one\n    two\n\"x.y\": dotted\n";
    let expected = entries(&[
        ("a.empty", ""),
        ("a.under", "1_000"),
        ("a.yes", "yes"),
        ("a.t", "true"),
        ("a.f", "1.5"),
        ("a.e", "1000.0"),
        ("a.hex", "31"),
        ("a.date", "2020-01-01"),
        ("a.list", "a;'b;c';3"),
        ("a.q", "2"),
        ("a.hash", "a#b"),
        ("a.blk", "one\ntwo\n"),
        ("x.y", "dotted"),
    ]);
    assert_eq!(parse(text, Nested).unwrap(), expected);
    assert_eq!(parse("# nothing\n", Nested).unwrap(), Entries::new());
}

#[test]
fn a_nested_file_that_flink_would_not_read_is_an_error_that_says_where() {
    for (text, word) in [
        ("a:\n  b: ~\n", "`a.b` has no value"),
        ("a: [[1]]\n", "`a` is a list of more than plain values"),
        ("- a\n", "the top is no mapping"),
        ("a: 1\na: 2\n", "line 2"),
        ("a: [1\nb: 2\n", "line"),
        ("a:\n  b: 1\na.b: 2\n", "`a.b` twice"),
    ] {
        let error = parse(text, Nested).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn keys_that_a_file_cannot_hold_are_refused() {
    for (key, format, word) in [
        ("", Flat, "empty"),
        (" a", Nested, "space"),
        ("a\nb", Flat, "line break"),
        ("a#b", Flat, "comment"),
        ("a: b", Flat, "ends a key"),
        (&"a.".repeat(70)[..], Nested, "64 parts"),
        (&"a".repeat(1001)[..], Flat, "1000 bytes"),
    ] {
        let error = render(&entries(&[(key, "v")]), format).unwrap_err().to_string();
        assert!(error.contains(word), "{key}: {error}");
    }
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let text = "a: b\n".repeat(300_000);
    assert!(matches!(parse(&text, Nested), Err(ConfigurationFileError::TooLong { .. })));
}

proptest! {
    #[test]
    fn any_text_survives_the_nested_file(values in proptest::collection::vec(any::<String>(), 1..8)) {
        let all: Entries = values.iter().enumerate().map(|(index, value)| (format!("k{index}.v"), value.clone())).collect();
        let text = render(&all, Nested).unwrap().text;
        prop_assert_eq!(parse(&text, Nested).unwrap(), all, "{}", text);
    }

    #[test]
    fn what_the_flat_file_keeps_it_keeps(values in proptest::collection::vec("[ -~]{0,20}", 1..8)) {
        let all: Entries = values.iter().enumerate().map(|(index, value)| (format!("k{index}.v"), value.clone())).collect();
        let rendered = render(&all, Flat).unwrap();
        let back = parse(&rendered.text, Flat).unwrap();
        for (key, value) in &all {
            if !rendered.losses.iter().any(|loss| &loss.key == key) {
                prop_assert_eq!(back.get(key).map(String::as_str), Some(value.trim()));
            }
        }
    }
}
