//! Flat configuration, durations, booleans, memory sizes and defaults.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use drey_api::configuration::{ConfigurationError, flatten, parse_boolean, parse_duration_ms};
use drey_api::defaults::Defaults;
use drey_api::kinds::FlinkVersion;
use drey_api::memory::{Amount, format_bytes, parse_bytes};

fn flat(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn trees_become_flat() {
    let tree = json!({
        "taskmanager.numberOfTaskSlots": 2,
        "state": { "backend": { "type": "rocksdb", "incremental": true }, "savepoints.dir": "s3://x" },
        "pipeline": { "jars": ["a.jar", "b.jar", 3], "none": [] },
        "fraction": 0.0001,
        "whole": 1.0,
        "nothing": null,
        "empty": {}
    });
    let expected = flat(&[
        ("taskmanager.numberOfTaskSlots", "2"),
        ("state.backend.type", "rocksdb"),
        ("state.backend.incremental", "true"),
        ("state.savepoints.dir", "s3://x"),
        ("pipeline.jars", "a.jar;b.jar;3"),
        ("pipeline.none", ""),
        ("fraction", "1.0E-4"),
        ("whole", "1.0"),
        ("nothing", "null"),
    ]);
    assert_eq!(flatten(&tree).unwrap(), expected);
    assert_eq!(flatten(&Value::Null).unwrap(), BTreeMap::new());
}

#[test]
fn the_later_spelling_of_a_key_wins() {
    let nested_last = flatten(&json!({ "a.b": "1", "a": { "b": "2" } })).unwrap();
    assert_eq!(nested_last, flat(&[("a.b", "2")]));
    let flat_last = flatten(&json!({ "a": { "b": "2" }, "a.b": "1" })).unwrap();
    assert_eq!(flat_last, flat(&[("a.b", "1")]));
}

#[test]
fn trees_that_are_none_are_refused() {
    assert_eq!(flatten(&json!("x")), Err(ConfigurationError::NotAMap { found: "a string" }));
    assert_eq!(flatten(&json!([1])), Err(ConfigurationError::NotAMap { found: "a list" }));
    let nested = flatten(&json!({ "a": { "b": [{ "c": 1 }] } })).unwrap_err();
    assert_eq!(nested.to_string(), "key `a.b`: expected a list of plain values, found a map in it");
}

#[test]
fn durations() {
    let table = [
        ("10s", 10_000),
        ("10 s", 10_000),
        (" 10 seconds ", 10_000),
        ("1 min", 60_000),
        ("5 m", 300_000),
        ("1 h", 3_600_000),
        ("2 hours", 7_200_000),
        ("1 d", 86_400_000),
        ("1 DAYS", 86_400_000),
        ("500 ms", 500),
        ("500", 500),
        ("0", 0),
        ("1500 µs", 1),
        ("2000000 ns", 2),
        ("PT10S", 10_000),
        ("PT1H30M", 5_400_000),
        ("pt0.5s", 500),
        ("-PT1M", -60_000),
    ];
    for (text, expected) in table {
        assert_eq!(parse_duration_ms(text), Ok(expected), "{text}");
    }
    for text in ["", "s", "10 parsecs", "1.5 s", "-5 s", "99999999999999999999 ms", "200000000000 d", "P"] {
        assert!(parse_duration_ms(text).is_err(), "{text}");
    }
}

#[test]
fn booleans() {
    assert_eq!(parse_boolean("true"), Ok(true));
    assert_eq!(parse_boolean("FALSE"), Ok(false));
    for text in ["yes", "1", ""] {
        assert!(parse_boolean(text).unwrap_err().to_string().contains("is not `true` or `false`"));
    }
}

#[test]
fn memory_sizes() {
    let gibibyte = 1_i64 << 30;
    for text in
        ["2g", "2G", "2gb", "2GB", "2gib", "2Gi", "2 g", "2048m", "2048Mi", "2147483648", "2147483648b"]
    {
        assert_eq!(parse_bytes(text), Ok(2 * gibibyte), "{text}");
    }
    assert_eq!(parse_bytes("1.5G"), Ok(1_500_000_000));
    assert_eq!(parse_bytes("1.5gb"), Ok(1_500_000_000));
    assert_eq!(parse_bytes("1.5Gi"), Ok(1_610_612_736));
    assert_eq!(parse_bytes("1e9"), Ok(1_000_000_000));
    assert_eq!(parse_bytes("100"), Ok(100));
    for text in ["", "g", "invalid", "-1g", "-1", "1.5", "2x", "9999999999999g", "1..5G", "1.3Gi"] {
        assert!(parse_bytes(text).is_err(), "{text}");
    }
}

#[test]
fn quantities() {
    let read = |text: &str| Amount::parse(text).unwrap();
    assert_eq!(read("500m").as_f64(), 0.5);
    assert_eq!(read("2").whole(), Some(2));
    assert_eq!(read("0.5").whole(), None);
    assert_eq!(read("1e3").whole(), Some(1000));
    assert_eq!(read("5e-1").as_f64(), 0.5);
    assert_eq!(read("-1").signum(), -1);
    assert_eq!(read("0m").signum(), 0);
    assert_eq!(read(".5Gi").whole(), Some(1 << 29));
    for text in ["", "m", "notacpu", "1.2.3", "1kk", "1e", "--1", "1e99"] {
        assert!(Amount::parse(text).is_err(), "{text}");
    }
}

#[test]
fn defaults_by_namespace_and_version() {
    let operator = "kubernetes.operator.default-configuration";
    let defaults = Defaults::new(BTreeMap::from(
        [
            ("k".to_owned(), "base"),
            ("only-base".to_owned(), "base"),
            (format!("{operator}.namespace.team.k"), "namespace"),
            (format!("{operator}.namespace.team-b.k"), "other namespace"),
            (format!("{operator}.flink-version.v1_18+.k"), "since 1.18"),
            (format!("{operator}.flink-version.v1_20+.k"), "since 1.20"),
            (format!("{operator}.flink-version.v2_0.k"), "exactly 2.0"),
        ]
        .map(|(key, value)| (key, value.to_owned())),
    ));
    let value = |namespace: &str, version: Option<FlinkVersion>| {
        defaults.effective(namespace, version).get("k").cloned().unwrap()
    };
    assert_eq!(value("x", None), "base");
    assert_eq!(value("team", None), "namespace");
    assert_eq!(value("team", Some(FlinkVersion::V1_17)), "namespace");
    assert_eq!(value("team", Some(FlinkVersion::V1_19)), "since 1.18");
    assert_eq!(value("x", Some(FlinkVersion::V1_20)), "since 1.20");
    assert_eq!(value("x", Some(FlinkVersion::V2_0)), "exactly 2.0");
    assert_eq!(value("x", Some(FlinkVersion::V2_1)), "since 1.20");
}

proptest! {
    /// A flat map stays as it is, and nesting it does not change it.
    #[test]
    fn nesting_does_not_matter(map in prop::collection::btree_map("[a-z]{1,4}\\.[a-z]{1,4}", "[ -~]{0,8}", 0..8)) {
        let written_flat: Value = map.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect::<serde_json::Map<_, _>>().into();
        let mut nested = serde_json::Map::new();
        for (key, value) in &map {
            let (outer, inner) = key.split_once('.').unwrap();
            nested.entry(outer).or_insert_with(|| json!({}))[inner] = Value::from(value.as_str());
        }
        prop_assert_eq!(&flatten(&written_flat).unwrap(), &map);
        prop_assert_eq!(&flatten(&Value::Object(nested)).unwrap(), &map);
    }

    #[test]
    fn written_memory_is_read_back(bytes in 0..i64::MAX) {
        prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
    }

    #[test]
    fn whole_units_are_read_back(amount in 0..1_000_000_i64, shift in prop::sample::select(vec![0, 10, 20, 30])) {
        prop_assert_eq!(parse_bytes(&format_bytes(amount << shift)), Ok(amount << shift));
    }

    #[test]
    fn written_durations_are_read_back(ms in 0..i64::MAX / 1000) {
        prop_assert_eq!(parse_duration_ms(&ms.to_string()), Ok(ms));
        prop_assert_eq!(parse_duration_ms(&format!("{ms} ms")), Ok(ms));
        let iso = jiff::SignedDuration::from_millis(ms).to_string();
        prop_assert_eq!(parse_duration_ms(&iso), Ok(ms));
    }

    #[test]
    fn no_text_breaks_a_reader(text in ".{0,24}") {
        let _ = (parse_duration_ms(&text), parse_bytes(&text), Amount::parse(&text).map(Amount::whole));
        prop_assert!(drey_api::schedule::Schedule::parse(&text).is_ok() || !text.trim().is_empty());
    }
}
