//! How containers end and start again.

use std::path::Path;

use anyhow::{Result, ensure};
use kube::api::LogParams;
use serde_json::json;

use super::{
    Bench, Stage, condition, container, ended_before_with, ended_with, is_running, phase, reason, restarts,
    shell,
};
use crate::node::{Image, OOM_AFTER_ANNOTATION};

/// Each policy with each way to end.
pub(super) async fn restart_policies_and_exit_codes(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "restarts").await?;
    let spec =
        |policy: &str, script: &str| json!({"restartPolicy": policy, "containers": [shell("c", script)]});
    stage.run("never", spec("Never", "exit 3")).await?;
    stage.run("done", spec("OnFailure", "exit 0")).await?;
    stage.run("mended", spec("OnFailure", "mkdir /made 2>/dev/null; exit 4")).await?;
    stage.run("always", spec("Always", "kill -9 $$ & wait; exit 7")).await?;

    let never = stage.until("never", "Failed", |pod| phase(pod) == "Failed").await?;
    ensure!(ended_with(&never, "c") == Some(3) && reason(&never, "c") == Some("Error"), "{:?}", never.status);
    ensure!(restarts(&never, "c") == 0 && condition(&never, "Ready") == Some("False"), "{:?}", never.status);
    let done = stage.until("done", "Succeeded", |pod| phase(pod) == "Succeeded").await?;
    ensure!(
        ended_with(&done, "c") == Some(0) && reason(&done, "c") == Some("Completed"),
        "{:?}",
        done.status
    );
    stage.until("mended", "restarts", |pod| restarts(pod, "c") >= 1 && phase(pod) == "Running").await?;

    let always =
        stage.until("always", "CrashLoopBackOff", |pod| reason(pod, "c") == Some("CrashLoopBackOff")).await?;
    ensure!(phase(&always) == "Running" && ended_before_with(&always, "c") == Some(7), "{:?}", always.status);
    let status = container(&always, "c").and_then(|status| status.state.clone());
    let message =
        status.and_then(|state| state.waiting).and_then(|waiting| waiting.message).unwrap_or_default();
    let expected = format!("restarting failed container=c pod=always_{}(", stage.namespace);
    ensure!(message.starts_with("back-off ") && message.contains(&expected), "{message}");
    stage.strike().await
}

/// An image without an entry, and its arrival.
pub(super) async fn images_that_cannot_be_pulled(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "images").await?;
    let image = format!("late/{}:1", stage.namespace);
    let spec = json!({"containers": [{"name": "c", "image": image, "command": ["sleep", "600"]}]});
    stage.run("late", spec).await?;
    stage.until("late", "ErrImagePull", |pod| reason(pod, "c") == Some("ErrImagePull")).await?;
    let late =
        stage.until("late", "ImagePullBackOff", |pod| reason(pod, "c") == Some("ImagePullBackOff")).await?;
    ensure!(phase(&late) == "Pending" && condition(&late, "Ready") == Some("False"), "{:?}", late.status);
    bench.node.add_image(&image, Image::machine());
    let late = stage.until("late", "Running", |pod| phase(pod) == "Running").await?;
    ensure!(restarts(&late, "c") == 0, "{:?}", late.status);
    stage.strike().await
}

/// A program as an image, with a directory laid over it that it can write to and does not change.
pub(super) async fn images_of_programs_and_layers(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "layers").await?;
    let layer = tempfile::tempdir()?;
    std::fs::write(layer.path().join("given"), "given\n")?;
    let name = format!("own/{}:1", stage.namespace);
    let image = Image::program(Path::new("/bin/cat")).with_path(layer.path(), "/opt/own/deep");
    bench.node.add_image(&name, image);
    let reader = json!({"name": "c", "image": name, "args": ["/opt/own/deep/given"]});
    stage.run("reader", json!({"restartPolicy": "Never", "containers": [reader]})).await?;
    let script = "cd /opt/own/deep && echo more > made && cat given made && rm given";
    let writer = json!({"name": "c", "image": name, "command": ["sh", "-c", script]});
    stage.run("writer", json!({"restartPolicy": "Never", "containers": [writer]})).await?;
    for (pod, expected) in [("reader", "given\n"), ("writer", "given\nmore\n")] {
        stage.until(pod, "Succeeded", |pod| phase(pod) == "Succeeded").await?;
        let log = stage.log(pod, &LogParams::default()).await?;
        ensure!(log == expected, "{pod}: {log}");
    }
    let left: Vec<_> = std::fs::read_dir(layer.path())?.flatten().map(|entry| entry.file_name()).collect();
    ensure!(left == ["given"], "a container changed its image: {left:?}");
    stage.strike().await
}

/// By annotation, and on demand.
pub(super) async fn out_of_memory(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "memory").await?;
    let metadata = json!({"name": "small", "annotations": {OOM_AFTER_ANNOTATION: "300"}});
    stage
        .run_with(metadata, json!({"restartPolicy": "Never", "containers": [shell("c", "sleep 600")]}))
        .await?;
    stage.run("big", json!({"containers": [shell("c", "sleep 600"), shell("other", "sleep 600")]})).await?;
    let small = stage.until("small", "Failed", |pod| phase(pod) == "Failed").await?;
    ensure!(
        ended_with(&small, "c") == Some(137) && reason(&small, "c") == Some("OOMKilled"),
        "{:?}",
        small.status
    );
    stage.until("big", "Running", |pod| phase(pod) == "Running").await?;
    bench.node.run_out_of_memory(&stage.namespace, "big", "c")?;
    let big = stage.until("big", "restarted", |pod| restarts(pod, "c") == 1 && is_running(pod, "c")).await?;
    let before =
        container(&big, "c").and_then(|status| status.last_state.clone()).and_then(|state| state.terminated);
    let before = before.and_then(|ended| ended.reason);
    ensure!(before.as_deref() == Some("OOMKilled") && restarts(&big, "other") == 0, "{:?}", big.status);
    stage.strike().await
}

/// A command that no path leads to.
pub(super) async fn programs_that_are_not_there(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "programs").await?;
    let spec = json!({"restartPolicy": "Never", "containers": [
        {"name": "c", "image": "busybox:1", "command": ["no-such-program"]}]});
    stage.run("none", spec).await?;
    let none = stage.until("none", "Failed", |pod| phase(pod) == "Failed").await?;
    ensure!(
        ended_with(&none, "c") == Some(128) && reason(&none, "c") == Some("StartError"),
        "{:?}",
        none.status
    );
    let ended =
        container(&none, "c").and_then(|status| status.state.clone()).and_then(|state| state.terminated);
    let message = ended.and_then(|ended| ended.message).unwrap_or_default();
    ensure!(message.contains("executable file not found in $PATH"), "{message}");
    stage.strike().await
}
