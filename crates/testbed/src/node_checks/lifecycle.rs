//! Probes, graceful ends, and the order of containers.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams, Patch, PatchParams};
use serde_json::json;

use super::{
    Bench, Stage, container, ended_before_with, ended_with, is_ready, is_running, phase, restarts, shell,
};

/// An HTTP server that says 200 if the file `/signs/web` is there, else 503.
const SERVER: &str = r#"exec perl -MIO::Socket::INET -e '
    my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 8, ReuseAddr => 1) or die $!;
    while (my $client = $server->accept) {
        <$client>;
        my $code = -e "/signs/web" ? "200 OK" : "503 No";
        print $client "HTTP/1.1 $code\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        close $client;
    }'"#;

/// Startup before readiness, readiness both ways, liveness as a restart; by HTTP, TCP and a program.
pub(super) async fn probes(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "probes").await?;
    let signs = tempfile::tempdir()?;
    let sign = |name: &str| signs.path().join(name);
    let server = json!({"name": "c", "image": "busybox:1", "command": ["sh", "-c", SERVER],
        "ports": [{"name": "web", "containerPort": 8080}],
        "volumeMounts": [{"name": "signs", "mountPath": "/signs"}],
        "startupProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {"httpGet": {"port": "web", "path": "/ready"}, "periodSeconds": 1, "failureThreshold": 1},
        "livenessProbe": {"exec": {"command": ["test", "!", "-e", "/signs/dead"]}, "periodSeconds": 1,
            "failureThreshold": 2, "terminationGracePeriodSeconds": 1}});
    let spec =
        json!({"containers": [server], "volumes": [{"name": "signs", "hostPath": {"path": signs.path()}}]});
    stage.run("probed", spec).await?;
    let started = |pod: &Pod| container(pod, "c").and_then(|status| status.started) == Some(true);
    let unready = stage.until("probed", "started", started).await?;
    ensure!(!is_ready(&unready), "ready before its readiness probe: {:?}", unready.status);
    fs::write(sign("web"), "")?;
    stage.until("probed", "ready", is_ready).await?;
    fs::remove_file(sign("web"))?;
    stage.until("probed", "unready again", |pod| is_running(pod, "c") && !is_ready(pod)).await?;
    fs::write(sign("web"), "")?;
    fs::write(sign("dead"), "")?;
    stage.until("probed", "restarted for liveness", |pod| restarts(pod, "c") == 1).await?;
    fs::remove_file(sign("dead"))?;
    let again = stage.until("probed", "ready after the restart", is_ready).await?;
    // Perl ends at TERM by its default as process 1 does not: KILL ended it.
    ensure!(ended_before_with(&again, "c") == Some(137), "{:?}", again.status);
    stage.strike().await
}

/// A container that goes when it is told to, and one that does not; a hook before.
pub(super) async fn grace(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "grace").await?;
    let polite = json!({"name": "c", "image": "busybox:1",
        "command": ["sh", "-c", "trap 'cat /tmp/hook; exit 42' TERM; while :; do sleep 0.1; done"],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo hooked > /tmp/hook"]}}}});
    let finalized = |name: &str| json!({"name": name, "finalizers": ["testbed.drey.dev/seen"]});
    let spec = |container: serde_json::Value, grace: i64| json!({"containers": [container], "terminationGracePeriodSeconds": grace});
    stage.run_with(finalized("polite"), spec(polite, 60)).await?;
    stage
        .run_with(finalized("stubborn"), spec(shell("c", "trap '' TERM; while :; do sleep 0.1; done"), 2))
        .await?;
    for name in ["polite", "stubborn"] {
        stage.until(name, "Running", |pod| phase(pod) == "Running").await?;
    }
    let began = Instant::now();
    for name in ["polite", "stubborn"] {
        stage.pods().delete(name, &DeleteParams::default()).await?;
    }
    stage.until("polite", "exit 42", |pod| ended_with(pod, "c") == Some(42)).await?;
    ensure!(
        began.elapsed() < Duration::from_secs(30),
        "the grace of 60 s was waited for: {:?}",
        began.elapsed()
    );
    let is_over = |pod: &Pod| phase(pod) == "Failed" && ended_with(pod, "c") == Some(137);
    stage.until("stubborn", "exit 137", is_over).await?;
    ensure!(began.elapsed() >= Duration::from_secs(2), "no grace: {:?}", began.elapsed());
    for name in ["polite", "stubborn"] {
        let released = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        stage.pods().patch(name, &PatchParams::default(), &released).await?;
        stage.until_gone(name).await?;
    }
    stage.strike().await
}

/// One after the other, retried, and final for a pod that is never restarted.
pub(super) async fn init_containers(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "init").await?;
    let with_volume = |mut container: serde_json::Value| {
        container["volumeMounts"] = json!([{"name": "shared", "mountPath": "/shared"}]);
        container
    };
    let first = with_volume(shell("first", "echo first >> /shared/order"));
    let second = with_volume(shell(
        "second",
        "echo second >> /shared/order; [ $(grep -c second /shared/order) -ge 2 ]",
    ));
    let main = with_volume(shell("main", "cat /shared/order; sleep 600"));
    let volumes = json!([{"name": "shared", "emptyDir": {}}]);
    let spec = json!({"initContainers": [first, second], "containers": [main], "volumes": volumes});
    stage.run("ordered", spec).await?;
    let doomed = json!({"restartPolicy": "Never", "initContainers": [shell("first", "exit 9")],
        "containers": [shell("main", "sleep 600")]});
    stage.run("doomed", doomed).await?;

    let ordered = stage.until("ordered", "ready", is_ready).await?;
    ensure!(restarts(&ordered, "first") == 0 && restarts(&ordered, "second") == 1, "{:?}", ordered.status);
    let parameters = LogParams { container: Some("main".to_owned()), ..LogParams::default() };
    // It runs, but may not have said anything yet.
    let said = async {
        while stage.log("ordered", &parameters).await? != "first\nsecond\nsecond\n" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(super::PATIENCE, said).await.context("the order was another one")??;
    let doomed = stage.until("doomed", "Failed", |pod| phase(pod) == "Failed").await?;
    ensure!(
        ended_with(&doomed, "first") == Some(9) && ended_with(&doomed, "main").is_none(),
        "{:?}",
        doomed.status
    );
    stage.strike().await
}

/// An init container that stays: up before the others, ended after them.
pub(super) async fn side_cars(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "side-cars").await?;
    let script = "trap 'exit 0' TERM; touch /shared/up; while :; do sleep 0.1; done";
    let mut side_car = shell("side", script);
    side_car["restartPolicy"] = json!("Always");
    side_car["startupProbe"] = json!({"exec": {"command": ["test", "-e", "/shared/up"]}, "periodSeconds": 1});
    let mut main = shell("main", "test -e /shared/up && sleep 1");
    for container in [&mut side_car, &mut main] {
        container["volumeMounts"] = json!([{"name": "shared", "mountPath": "/shared"}]);
    }
    let spec = json!({"restartPolicy": "Never", "initContainers": [side_car], "containers": [main],
        "volumes": [{"name": "shared", "emptyDir": {}}]});
    stage.run("pair", spec).await?;
    let pair = stage.until("pair", "Succeeded", |pod| phase(pod) == "Succeeded").await?;
    ensure!(
        ended_with(&pair, "main") == Some(0) && ended_with(&pair, "side") == Some(0),
        "{:?}",
        pair.status
    );
    stage.strike().await
}
