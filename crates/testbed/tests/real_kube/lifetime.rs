//! Clusters side by side, and what is left of one that was stopped, dropped, or whose owner was killed: nothing.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use drey_testbed::kube::{Kube, KubeError, Options, PROGRAMS_VARIABLE, Record};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;

use crate::until;

#[track_caller]
fn assert_nothing_left(record: &Record) {
    assert_eq!(record.left().unwrap(), Vec::<String>::new());
    let names = Record::all().unwrap().into_iter().map(|record| record.name);
    assert!(!names.collect::<Vec<_>>().contains(&record.name));
}

#[tokio::test]
async fn two_clusters_side_by_side_know_nothing_of_each_other() {
    let (one, other) =
        tokio::join!(Kube::start(Options::for_test().unwrap()), Kube::start(Options::for_test().unwrap()));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.network(), other.network());
    assert_ne!(one.directory(), other.directory());
    let map = ConfigMap { metadata: kube::core::ObjectMeta::default(), ..ConfigMap::default() };
    let mut named = map.clone();
    named.metadata.name = Some("mine".to_owned());
    let maps = |cluster: &Kube| Api::<ConfigMap>::namespaced(cluster.client(), "default");
    maps(&one).create(&PostParams::default(), &named).await.unwrap();
    assert!(maps(&other).get_opt("mine").await.unwrap().is_none());
    let cross = one.client_with_token("of-nobody").await.unwrap();
    let refused = Api::<ConfigMap>::namespaced(cross, "default").get("mine").await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 401));

    let (first, second) = (one.record().clone(), other.record().clone());
    drop(one);
    assert_nothing_left(&first);
    assert!(maps(&other).get_opt("mine").await.unwrap().is_none(), "the other one goes on");
    other.stop().unwrap();
    assert_nothing_left(&second);
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let options = Options::for_test().unwrap();
    let cluster = Kube::start(options.clone()).await.unwrap();
    let again = Kube::start(options).await;
    assert!(matches!(again, Err(KubeError::Exists(name)) if name == cluster.record().name));
    cluster.stop().unwrap();
}

#[tokio::test]
async fn a_program_that_ends_is_told_with_its_last_words_and_nothing_is_left() {
    let mut options = Options::for_test().unwrap();
    options.programs.etcd = options.programs.apiserver.clone();
    let name = options.name.clone();
    let failed = Kube::start(options).await;
    let Err(KubeError::Ended { program, tail, .. }) = failed else { panic!("it cannot have started") };
    assert_eq!(program, "etcd");
    assert!(tail.contains("unknown flag"), "{tail}");
    assert!(matches!(Record::named(&name), Err(KubeError::Absent(_))));
}

/// The testbed's own program, over the programs of Kubernetes that this test was given.
fn testbed(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drey-testbed"));
    let programs = std::env::var_os(PROGRAMS_VARIABLE).expect("the programs are named");
    command.arg("kube").args(arguments).arg("--programs").arg(programs).stdin(Stdio::null());
    command
}

#[tokio::test]
async fn nothing_is_left_of_a_cluster_whose_owner_was_killed() {
    let name = Options::for_test().unwrap().name;
    let mut owner = testbed(&["run", "--name", &name]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let record = Record::named(&name).unwrap();
    assert_eq!(record.left().unwrap().len(), 5, "three processes, a bridge and a directory");
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("its guardian to do its work", async || record.left().unwrap().is_empty().then_some(())).await;
    assert_nothing_left(&record);
}

#[tokio::test]
async fn a_detached_cluster_stays_until_it_is_taken_down() {
    let name = Options::for_test().unwrap().name;
    let output = testbed(&["up", "--name", &name]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let record = Record::named(&name).unwrap();
    assert!(said.contains(&record.kubeconfig().display().to_string()), "{said}");
    assert_eq!(record.left().unwrap().len(), 5, "three processes, a bridge and a directory");
    let mut kubectl = Command::new("kubectl");
    kubectl.arg("--kubeconfig").arg(record.kubeconfig()).args(["auth", "can-i", "*", "*"]);
    assert_eq!(String::from_utf8(kubectl.output().unwrap().stdout).unwrap().trim(), "yes");

    // Starting another one takes away what is left over, which this one is not.
    Kube::start(Options::for_test().unwrap()).await.unwrap().stop().unwrap();
    assert_eq!(record.left().unwrap().len(), 5);

    let down =
        Command::new(env!("CARGO_BIN_EXE_drey-testbed")).args(["kube", "down", "--name", &name]).output();
    let down = down.unwrap();
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    assert_nothing_left(&record);
    assert!(!Path::new(&record.directory()).exists());
}
