//! Pods as processes, on the control plane: the node is held to what a kubelet does.

use drey_testbed::kube::{Kube, Options};
use drey_testbed::node::{Capacity, Image, ImageTable, Node, NodeConfig, RestartTimes};
use drey_testbed::node_checks::{self, Bench};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_processes_behaves_as_a_kubelet_does() {
    let cluster = Kube::start(Options::for_test().unwrap()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = NodeConfig {
        name: "processes".to_owned(),
        number: 0,
        client: cluster.client(),
        api_server: cluster.api_server(),
        network: cluster.network().clone(),
        directory: directory.path().to_owned(),
        images: ImageTable::default().with("busybox*", Image::machine()),
        capacity: Capacity::default(),
        labels: std::collections::BTreeMap::new(),
        restart_times: RestartTimes::default(),
    };
    let node = Node::start(config.clone()).await.unwrap();
    let kubeconfig = cluster.kubeconfig().to_owned();
    let bench = Bench { client: cluster.client(), node: &node, config, kubeconfig };
    let passed = node_checks::all(&bench).await;
    node.stop().await;
    cluster.stop().unwrap();
    passed.unwrap();
}
