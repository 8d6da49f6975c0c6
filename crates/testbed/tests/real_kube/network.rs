//! What a pod has: a network namespace on the cluster's bridge, a token, and the authority. With them it reaches the API
//! server over TLS that it can check. The namespace goes with the cluster.

use std::process::{Command, Output};

use drey_testbed::kube::{Kube, Network, Options};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

fn output(line: &str) -> Output {
    let words: Vec<&str> = line.split(' ').collect();
    Command::new(words[0]).args(&words[1..]).output().unwrap()
}

#[track_caller]
fn run(line: &str) -> String {
    let output = output(line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A network namespace with an address on the bridge.
fn namespace(network: &Network) -> String {
    let namespace = format!("{}-pod", network.bridge);
    let peer = format!("{}v", network.bridge);
    let [first, second, ..] = network.gateway.octets();
    run(&format!("ip netns add {namespace}"));
    run(&format!("ip link add {peer} type veth peer name eth0 netns {namespace}"));
    run(&format!("ip link set {peer} master {} up", network.bridge));
    run(&format!("ip -n {namespace} address add {first}.{second}.3.4/{} dev eth0", network.prefix_len));
    run(&format!("ip -n {namespace} link set eth0 up"));
    namespace
}

#[tokio::test]
async fn a_pod_reaches_the_api_server_by_the_bridge_and_trusts_it() {
    let cluster = Kube::start(Options::for_test().unwrap()).await.unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client(), "default");
    let request = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
    let made = accounts.create_token_request("default", &PostParams::default(), &request).await.unwrap();
    let token = made.status.unwrap().token.unwrap();
    let namespace = namespace(cluster.network());
    // kubectl checks the certificate against the authority, and has no other way out of the namespace.
    let kubectl = format!(
        "ip netns exec {namespace} kubectl --kubeconfig /dev/null --cache-dir {} --server https://{} \
         --certificate-authority {} --token {token}",
        cluster.directory().join("kubectl").display(),
        cluster.api_server(),
        cluster.certificate_authority().display(),
    );
    let asked = run(&format!("{kubectl} auth whoami --output jsonpath={{.status.userInfo.username}}"));
    assert_eq!(asked, "system:serviceaccount:default:default");
    let service = run(&format!("{kubectl} --tls-server-name kubernetes.default.svc get --raw /version"));
    assert!(service.contains("gitVersion"), "{service}");
    let stranger = output(&format!("{kubectl} --tls-server-name another.example get --raw /version"));
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("certificate is valid for"));

    let record = cluster.record().clone();
    cluster.stop().unwrap();
    assert_eq!(record.left().unwrap(), Vec::<String>::new());
    assert!(!run("ip netns list").contains(&namespace), "its network namespaces are left");
}
