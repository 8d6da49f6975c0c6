//! A real Flink, started, killed and ended. Needs the feature `real-flink`, a `javac`, and in `DREY_TEST_FLINK` the
//! directory with the distributions, each in a directory named by its version.
#![cfg(feature = "real-flink")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod high_availability;
mod starting;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use drey_flink::FlinkVersion;
use drey_local::distribution::Distributions;
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use support::Project;

const LIMIT: Duration = Duration::from_secs(180);

/// Little memory, and a checkpoint each second.
const SMALL: [(&str, &str); 8] = [
    ("execution.checkpointing.interval", "1 s"),
    ("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION"),
    ("parallelism.default", "1"),
    ("jobmanager.memory.jvm-metaspace.size", "128m"),
    ("taskmanager.memory.jvm-metaspace.size", "128m"),
    ("taskmanager.memory.managed.size", "0"),
    ("taskmanager.memory.network.min", "16m"),
    ("taskmanager.memory.network.max", "16m"),
];

/// One Flink at a time: two starve each other on a small machine.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

fn project() -> Project {
    let mut project = Project::new();
    let distributions = std::env::var_os("DREY_TEST_FLINK").map(PathBuf::from);
    let distributions = distributions.expect("set DREY_TEST_FLINK: see the head of this file");
    // The launcher looks in `flink` below its cache.
    std::os::unix::fs::symlink(distributions, project.path().join("flink")).unwrap();
    project.distributions.cache = project.path().to_owned();
    project
}

/// The jar of the examples, compiled once against the oldest Flink that it is to run on.
static JAR: LazyLock<PathBuf> = LazyLock::new(|| {
    let project = project();
    let distributions = Distributions::new(project.distributions.clone(), reqwest::Client::new());
    let flink = distributions.find(FlinkVersion::new(1, 20)).expect("Flink 1.20 is in DREY_TEST_FLINK");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/jobs/build.sh");
    let jar = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples.jar");
    let built = Command::new("sh").arg(script).arg(flink.home).arg(&jar).status().unwrap();
    assert!(built.success());
    jar
});

fn job(entry_class: &str) -> serde_json::Value {
    json!({
        "jarURI": format!("local://{}", JAR.display()),
        "entryClass": entry_class, "args": ["--rate", "5"], "parallelism": 1
    })
}
