//! The encoding of reconciled specs: byte for byte what upstream wrote, and nothing lost.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use drey_api::kinds::{
    FlinkDeploymentSpec, FlinkVersion, JobManagerSpec, JobSpec, JobState, Resource, TaskManagerSpec,
    UpgradeMode, read,
};
use drey_api::reconciled::{Format, Reconciled, ReconciledError, decode, encode, same};

/// Every `lastReconciledSpec` and `lastStableSpec` that release 1.15.0 of the Java operator wrote in a
/// recorded life of two deployments.
const RECORDED: &str = include_str!("../fixtures/reconciled-1.15.0.txt");

#[test]
fn recorded_specs_keep_their_bytes() {
    let mut count = 0;
    for line in RECORDED.lines() {
        let reconciled = decode(line).unwrap();
        assert_eq!(reconciled.format, Format::Release1_15);
        assert_eq!(encode(&reconciled), line);
        count += 1;
    }
    assert!(count > 10);
}

/// A spec that carries every kind of value, as a release that knows `resources` writes it.
const WITH_RESOURCES: &str = concat!(
    r#"{"spec":{"job":null,"restartNonce":9007199254740993,"flinkConfiguration":{"a":{"b":[1,"x",0.5]},"#,
    r#""tiny":1.0E-4,"huge":1.0E20,"on":true,"none":null,"text":"tab\t\u0001 \"q\" \\ é / \u001F"},"#,
    r#""image":null,"imagePullPolicy":null,"serviceAccount":"flink","flinkVersion":"v2_1","ingress":"#,
    r#"{"template":"x","className":null,"annotations":{"a":"b"},"labels":null,"tls":[{"hosts":["h"]}]},"#,
    r#""podTemplate":null,"jobManager":{"resource":{"cpu":1.0,"memory":"2g","ephemeralStorage":null},"#,
    r#""resources":null,"replicas":2,"podTemplate":{"metadata":{"labels":{"x":"y"}}}},"taskManager":"#,
    r#"{"resource":null,"resources":{"limits":{"cpu":"2","memory":"2Gi"},"requests":{"cpu":"500m"}},"#,
    r#""replicas":3,"podTemplate":null},"logConfiguration":{"log4j-console.properties":"a\nb"},"#,
    r#""mode":"standalone"},"resource_metadata":{"apiVersion":"flink.apache.org/v1beta1","#,
    r#""firstDeployment":true},"ours":{"kept":[1]}}"#
);

#[test]
fn every_kind_of_value_keeps_its_bytes() {
    let reconciled = decode(WITH_RESOURCES).unwrap();
    assert_eq!(reconciled.format, Format::Release1_16);
    assert!(reconciled.first_deployment);
    assert_eq!(reconciled.extra.get("ours"), Some(&json!({ "kept": [1] })));
    assert_eq!(encode(&reconciled), WITH_RESOURCES);
}

#[test]
fn the_format_follows_who_wrote_it() {
    let bare = JobManagerSpec::default();
    let spec = FlinkDeploymentSpec { job_manager: Some(bare), ..FlinkDeploymentSpec::default() };
    let mut reconciled = Reconciled::new(Arc::new(spec), false);
    assert!(
        encode(&reconciled).contains(r#""jobManager":{"resource":null,"replicas":1,"podTemplate":null}"#)
    );
    reconciled.format = Format::Release1_16;
    let later = encode(&reconciled);
    assert!(later.contains(r#"{"resource":null,"resources":null,"replicas":1,"podTemplate":null}"#));
    assert_eq!(decode(&later).unwrap(), reconciled);
}

#[test]
fn the_format_of_old_releases_is_read() {
    let old = r#"{"apiVersion":"flink.apache.org/v1alpha1","image":"flink:1.15","flinkVersion":"v1_15"}"#;
    let reconciled = decode(old).unwrap();
    assert_eq!(reconciled.spec.image.as_deref(), Some("flink:1.15"));
    assert_eq!(reconciled.spec.flink_version, Some(FlinkVersion::V1_15));
    assert!(!reconciled.first_deployment);
    assert!(encode(&reconciled).contains(r#""resource_metadata":{"apiVersion":"flink.apache.org/v1beta1""#));

    let with_metadata = r#"{"spec":{"image":"i"},"resource_metadata":{"apiVersion":"flink.apache.org/v1beta1","metadata":{"generation":2},"firstDeployment":true}}"#;
    let reconciled = decode(with_metadata).unwrap();
    assert!(reconciled.first_deployment);
    // Upstream's reader fails on any key here that it does not know.
    assert!(encode(&reconciled).ends_with(
        r#""resource_metadata":{"apiVersion":"flink.apache.org/v1beta1","firstDeployment":true}}"#
    ));
}

#[test]
fn unknown_spec_fields_are_dropped_and_absent_configuration_is_empty() {
    let text = r#"{"spec":{"image":"i","fromTheFuture":1},"resource_metadata":{"firstDeployment":false}}"#;
    let encoded = encode(&decode(text).unwrap());
    assert!(!encoded.contains("fromTheFuture"));
    assert!(encoded.contains(r#""flinkConfiguration":{},"#));
}

#[test]
fn what_cannot_be_read_is_named() {
    let path = |text: &str| match decode(text).unwrap_err() {
        ReconciledError::Field(error) => error.path,
        other => other.to_string(),
    };
    assert_eq!(
        path(r#"{"spec":{"job":{"upgradeMode":"later"}},"resource_metadata":{}}"#),
        "spec.job.upgradeMode"
    );
    assert_eq!(path(r#"{"job":{"parallelism":"two"}}"#), "job.parallelism");
    assert_eq!(path("[]"), "expected a JSON object");
    assert!(path("{").starts_with("not JSON"));
}

#[test]
fn the_same_spec_in_other_bytes_is_the_same() {
    let one = encode(&decode(r#"{"spec":{"image":"i","mode":"native"},"resource_metadata":{}}"#).unwrap());
    let other = r#"{"resource_metadata":{"firstDeployment":false},"spec":{"mode":"native","image":"i"}}"#;
    assert_ne!(one, other);
    assert!(same(&one, other));
    assert!(same("not json", "not json"));
    assert!(!same("not json", &one));
    assert!(!same(&one, &one.replace("native", "standalone")));
    assert!(!same(&one, &one.replace("false}", "true}")));
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12_f64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = scalar();
    let inner = leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z.]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-z.]{1,8}", inner, 0..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn job() -> impl Strategy<Value = JobSpec> {
    let modes = prop::sample::select(UpgradeMode::ALL);
    let states = prop::sample::select(JobState::ALL);
    let args = prop::collection::vec(".{0,8}", 0..4);
    (any::<i32>(), modes, states, args, any::<Option<i64>>(), any::<Option<bool>>()).prop_map(
        |(parallelism, upgrade_mode, state, args, nonce, allow)| JobSpec {
            parallelism,
            upgrade_mode,
            state,
            args,
            savepoint_redeploy_nonce: nonce,
            allow_non_restored_state: allow,
            ..JobSpec::default()
        },
    )
}

fn spec() -> impl Strategy<Value = FlinkDeploymentSpec> {
    let versions = prop::option::of(prop::sample::select(FlinkVersion::ALL));
    let cpu = prop::option::of(0.0..1e9_f64);
    let parts = (prop::option::of(job()), any::<Option<i64>>(), tree(), prop::option::of(".{0,8}"));
    (parts, versions, cpu, any::<Option<i32>>()).prop_map(
        |((job, restart_nonce, configuration, image), flink_version, cpu, replicas)| FlinkDeploymentSpec {
            job,
            restart_nonce,
            flink_configuration: Some(configuration).filter(|tree| *tree != json!({})),
            image,
            flink_version,
            job_manager: Some(JobManagerSpec {
                resource: Some(Resource { cpu, memory: None, ephemeral_storage: None }),
                ..JobManagerSpec::default()
            }),
            task_manager: replicas
                .map(|replicas| TaskManagerSpec { replicas: Some(replicas), ..TaskManagerSpec::default() }),
            ..FlinkDeploymentSpec::default()
        },
    )
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(spec in spec(), first_deployment: bool, later: bool) {
        let format = if later { Format::Release1_16 } else { Format::Release1_15 };
        let reconciled = Reconciled { format, ..Reconciled::new(Arc::new(spec), first_deployment) };
        let text = encode(&reconciled);
        let decoded = decode(&text).unwrap();
        prop_assert_eq!(&decoded.spec, &reconciled.spec);
        prop_assert_eq!(decoded.first_deployment, first_deployment);
        prop_assert_eq!(encode(&decoded), text);
    }

    #[test]
    fn a_spec_survives_json(spec in spec()) {
        let value = serde_json::to_value(&spec).unwrap();
        prop_assert_eq!(read::<FlinkDeploymentSpec>(&value).unwrap(), spec);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}") {
        if let Ok(reconciled) = decode(&text) {
            prop_assert!(decode(&encode(&reconciled)).is_ok());
        }
    }
}
