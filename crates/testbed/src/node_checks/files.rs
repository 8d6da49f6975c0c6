//! What containers see, and what they say.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::LogParams;
use serde_json::json;
use tokio::process::Command;

use super::{Bench, Stage, is_running, phase, reason, restarts, shell};

/// What the pod of [`mounts_and_environment`] prints.
const LOOK: &str = r#"
    echo "$PLAIN|$JOINED|$NAME|$MAP|$HIDDEN|$LIMIT|$PRE_key|${NONE-unset}|$1"
    cat /map/deep/one; ls /map; stat -c %a /map/deep/one
    cat /secret/key; echo; stat -c %a /secret/key
    cat /self/labels; echo; cat /data/conf; echo
    cat /run/secrets/kubernetes.io/serviceaccount/namespace; echo
    test -s /run/secrets/kubernetes.io/serviceaccount/token && grep -c BEGIN /run/secrets/kubernetes.io/serviceaccount/ca.crt | sed 's/[0-9]*/ca/'
    touch /map/x 2>/dev/null || echo read-only
    touch /data/x /tmp/x /etc/x && echo written; pwd; hostname; id -u
    echo said > /dev/termination-log
"#;

/// Every kind of volume and of variable.
pub(super) async fn mounts_and_environment(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "files").await?;
    stage
        .make::<ConfigMap>(json!({"metadata": {"name": "map"}, "data": {"key": "of-map", "other": "x"}}))
        .await?;
    stage.make::<Secret>(json!({"metadata": {"name": "secret"}, "stringData": {"key": "hidden"}})).await?;
    let host = tempfile::tempdir()?;
    let container = json!({"name": "c", "image": "busybox:1", "workingDir": "/work/here",
        "command": ["sh", "-c", LOOK, "sh"], "args": ["$(JOINED)-$$(X)"],
        "securityContext": {"runAsUser": 0},
        "resources": {"limits": {"memory": "64Mi"}},
        "env": [{"name": "PLAIN", "value": "plain"}, {"name": "JOINED", "value": "<$(PLAIN)>"},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "MAP", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "key"}}},
            {"name": "HIDDEN", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "none", "key": "key", "optional": true}}},
            {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}],
        "envFrom": [{"prefix": "PRE_", "configMapRef": {"name": "map"}}],
        "volumeMounts": [{"name": "map", "mountPath": "/map"}, {"name": "secret", "mountPath": "/secret"},
            {"name": "self", "mountPath": "/self"}, {"name": "data", "mountPath": "/data"},
            {"name": "host", "mountPath": "/host"}, {"name": "none", "mountPath": "/none"},
            {"name": "map-whole", "mountPath": "/data/conf", "subPath": "key"}]});
    let items = json!([{"key": "key", "path": "deep/one", "mode": 0o640}]);
    let volumes = json!([
        {"name": "map", "configMap": {"name": "map", "items": items}},
        {"name": "map-whole", "configMap": {"name": "map"}},
        {"name": "secret", "secret": {"secretName": "secret", "defaultMode": 0o400}},
        {"name": "none", "configMap": {"name": "none", "optional": true}},
        {"name": "self", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "data", "emptyDir": {}},
        {"name": "host", "hostPath": {"path": host.path(), "type": "Directory"}}]);
    let spec = json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes});
    stage.run_with(json!({"name": "look", "labels": {"app": "look"}}), spec).await?;
    let look = stage.until("look", "an end", |pod| matches!(phase(pod), "Succeeded" | "Failed")).await?;
    let log = stage.log("look", &LogParams::default()).await?;
    let namespace = &stage.namespace;
    let expected = format!(
        "plain|<plain>|look|of-map|hidden|64|of-map|unset|<plain>-$(X)\n\
         of-mapdeep\n640\nhidden\n400\napp=\"look\"\nof-map\n{namespace}\nca\nread-only\nwritten\n/work/here\nlook\n0\n"
    );
    ensure!(log == expected, "saw:\n{log}\nexpected:\n{expected}");
    ensure!(phase(&look) == "Succeeded", "{:?}", look.status);
    let message = super::container(&look, "c").and_then(|status| status.state.clone());
    let message = message.and_then(|state| state.terminated).and_then(|ended| ended.message);
    ensure!(message.as_deref() == Some("said\n"), "{message:?}");
    ensure!(
        !Path::new("/etc/x").exists() && !Path::new("/work/here").exists(),
        "a container wrote to the machine"
    );
    stage.strike().await
}

/// A pod that was there before the objects that it needs.
pub(super) async fn what_is_missing_is_waited_for(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "missing").await?;
    let mut container = shell("c", "sleep 600");
    container["env"] = json!([{"name": "X", "valueFrom": {"secretKeyRef": {"name": "late", "key": "x"}}}]);
    stage.run("variable", json!({"containers": [container]})).await?;
    let mut container = shell("c", "sleep 600");
    container["volumeMounts"] = json!([{"name": "late", "mountPath": "/late"}]);
    let volumes = json!([{"name": "late", "configMap": {"name": "late"}}]);
    stage.run("volume", json!({"containers": [container], "volumes": volumes})).await?;
    let waits_for = "CreateContainerConfigError";
    stage.until("variable", waits_for, |pod| reason(pod, "c") == Some(waits_for)).await?;
    stage.until("volume", "ContainerCreating", |pod| reason(pod, "c") == Some("ContainerCreating")).await?;
    stage.make::<Secret>(json!({"metadata": {"name": "late"}, "stringData": {"x": "1"}})).await?;
    stage.make::<ConfigMap>(json!({"metadata": {"name": "late"}, "data": {"x": "1"}})).await?;
    for name in ["variable", "volume"] {
        stage.until(name, "Running", |pod| phase(pod) == "Running").await?;
    }
    stage.strike().await
}

/// The end, the whole, what comes, and what came before: by `kubectl`, through the API server.
pub(super) async fn logs(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "logs").await?;
    let host = tempfile::tempdir()?;
    let script = "n=$(cat /host/n 2>/dev/null || echo 0); echo $((n+1)) > /host/n; echo start $n; \
        echo to-stderr >&2; [ $n = 0 ] && exit 1; until [ -e /host/go ]; do sleep 0.1; done; echo last; sleep 600";
    let mut container = shell("c", script);
    container["volumeMounts"] = json!([{"name": "host", "mountPath": "/host"}]);
    let volumes = json!([{"name": "host", "hostPath": {"path": host.path()}}]);
    stage.run("talker", json!({"containers": [container], "volumes": volumes})).await?;
    stage.until("talker", "second start", |pod| restarts(pod, "c") == 1 && is_running(pod, "c")).await?;
    let kubectl = |words: &[&str]| {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&bench.kubeconfig).args([
            "--namespace",
            &stage.namespace,
            "logs",
            "talker",
        ]);
        command.args(words).kill_on_drop(true);
        command
    };
    let said = async |words: &[&str]| -> Result<String> {
        let output = kubectl(words).output().await.context("`kubectl` is needed")?;
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "kubectl logs {words:?}: {problem}");
        let mut lines: Vec<&str> = std::str::from_utf8(&output.stdout)?.lines().collect();
        lines.sort_unstable();
        Ok(lines.join(","))
    };
    let before = said(&["--previous"]).await?;
    ensure!(before == "start 0,to-stderr", "{before}");
    // The two outputs are two pipes: which line comes first is nobody's promise.
    let mut follow = kubectl(&["--follow"]);
    let mut follow = follow.stdout(std::process::Stdio::piped()).spawn()?;
    let mut lines = tokio::io::BufReader::new(follow.stdout.take().context("a pipe")?);
    let mut read = async || -> Result<String> {
        use tokio::io::AsyncBufReadExt;
        let mut line = String::new();
        tokio::time::timeout(super::PATIENCE, lines.read_line(&mut line))
            .await
            .context("no more lines")??;
        Ok(line)
    };
    let mut first = [read().await?, read().await?];
    first.sort_unstable();
    ensure!(first == ["start 1\n", "to-stderr\n"], "{first:?}");
    std::fs::write(host.path().join("go"), "")?;
    let last = read().await?;
    ensure!(last == "last\n", "{last}");
    bench.node.signal(&stage.namespace, "talker", "c", crate::node::Signal::KILL)?;
    let ended =
        tokio::time::timeout(super::PATIENCE, follow.wait()).await.context("`logs --follow` goes on")??;
    ensure!(ended.success(), "kubectl logs --follow: {ended}");
    stage.until("talker", "third start", |pod| restarts(pod, "c") == 2 && is_running(pod, "c")).await?;
    let tail = said(&["--previous", "--tail=1"]).await?;
    ensure!(tail == "last", "{tail}");
    stage.strike().await
}
