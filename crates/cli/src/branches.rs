//! Objects below those that own them, as text and as JSON. Refuses to know how objects are fetched.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::age;
use crate::table::Table;

/// One object of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `kind/name`.
    pub object: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `uid` of the object that controls it, or of its first owner.
    pub owner: Option<String>,
    /// How it is, in a few words.
    pub detail: String,
    /// When it was created.
    pub created: Option<Timestamp>,
}

/// An object with those that it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The object.
    pub part: Part,
    /// What it owns.
    pub children: Vec<Branch>,
}

impl Part {
    /// Reads a whole object of a kind.
    #[must_use]
    pub fn read(kind: &str, object: &Value) -> Self {
        let metadata = &object["metadata"];
        let owners = metadata["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
        let controls = |owner: &&Value| owner["controller"] == true;
        let owner = owners.iter().find(controls).or_else(|| owners.first());
        Self {
            object: format!("{kind}/{}", metadata["name"].as_str().unwrap_or_default()),
            uid: metadata["uid"].as_str().unwrap_or_default().to_owned(),
            owner: owner.and_then(|owner| owner["uid"].as_str()).map(str::to_owned),
            detail: detail(kind, object),
            created: metadata["creationTimestamp"].as_str().and_then(|time| time.parse().ok()),
        }
    }
}

fn detail(kind: &str, object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    match kind {
        "deployment" | "replicaset" => {
            format!("{}/{} ready", number("/status/readyReplicas"), number("/spec/replicas"))
        }
        "pod" => pod(object),
        "service" => {
            let address = if text("/spec/clusterIP") == "None" { "headless" } else { text("/spec/type") };
            let ports = object["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
            let ports: Vec<String> = ports.iter().map(|port| port["port"].to_string()).collect();
            format!("{address}, ports {}", ports.join(" "))
        }
        "configmap" => {
            let keys = object["data"].as_object().map_or(0, serde_json::Map::len);
            format!("{keys} keys")
        }
        "ingress" => text("/spec/rules/0/host").to_owned(),
        "httproute" => text("/spec/hostnames/0").to_owned(),
        "flinksessionjob" => text("/status/jobStatus/state").to_owned(),
        "flinkstatesnapshot" => format!("{} {}", text("/status/state"), text("/status/path")),
        _ => String::new(),
    }
    .trim()
    .to_owned()
}

/// Why a container does not run counts more than the phase of its pod.
fn pod(object: &Value) -> String {
    let status = &object["status"];
    let containers = status["containerStatuses"].as_array().map_or(&[][..], Vec::as_slice);
    let reason = containers.iter().find_map(|container| {
        let state = &container["state"];
        let reason = state.pointer("/waiting/reason").or_else(|| state.pointer("/terminated/reason"));
        reason.and_then(Value::as_str)
    });
    let phase = status["phase"].as_str().unwrap_or("Unknown");
    let ready = containers.iter().filter(|container| container["ready"] == true).count();
    let restarts: i64 = containers.iter().filter_map(|container| container["restartCount"].as_i64()).sum();
    let mut words = vec![
        if object["metadata"]["deletionTimestamp"].is_string() {
            "Terminating"
        } else {
            reason.unwrap_or(phase)
        }
        .to_owned(),
        format!("{ready}/{} ready", containers.len()),
    ];
    match restarts {
        0 => {}
        1 => words.push("1 restart".to_owned()),
        several => words.push(format!("{several} restarts")),
    }
    if let Some(node) = object["spec"]["nodeName"].as_str() {
        words.push(format!("on {node}"));
    }
    words.join(", ")
}

/// Puts every part below the one that owns it. What nobody here owns stands below the root, and is said to be kept
/// when no owner is recorded at all.
#[must_use]
pub fn grow(root: Part, parts: Vec<Part>) -> Branch {
    let known: BTreeSet<String> = parts.iter().map(|part| part.uid.clone()).collect();
    let is_below_another = |part: &Part| part.owner.as_ref().is_some_and(|owner| known.contains(owner));
    let (mut rest, mut mine): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_below_another);
    for part in &mut mine {
        let is_of_flink = part.object.starts_with("flink");
        if part.owner.is_none() && !is_of_flink {
            part.detail = format!("{}; kept when the cluster goes", part.detail);
        }
    }
    let children = mine.into_iter().map(|part| branch(part, &mut rest)).collect();
    sorted(Branch { part: root, children })
}

fn branch(part: Part, rest: &mut Vec<Part>) -> Branch {
    let (mine, others) =
        std::mem::take(rest).into_iter().partition(|child| child.owner.as_deref() == Some(part.uid.as_str()));
    *rest = others;
    let mine: Vec<Part> = mine;
    let children = mine.into_iter().map(|child| branch(child, rest)).collect();
    Branch { part, children }
}

/// What runs comes first, then by name. A ReplicaSet of a spec before, with nothing in it, is left out.
fn sorted(mut branch: Branch) -> Branch {
    let is_of_the_past = |child: &Branch| {
        child.children.is_empty()
            && child.part.object.starts_with("replicaset/")
            && child.part.detail.starts_with("0/0")
    };
    branch.children.retain(|child| !is_of_the_past(child));
    branch.children = branch.children.into_iter().map(sorted).collect();
    branch.children.sort_by(|a, b| {
        (a.children.is_empty(), &a.part.object).cmp(&(b.children.is_empty(), &b.part.object))
    });
    branch
}

impl Branch {
    /// The tree as lines: objects with their branches, how they are, and their age.
    #[must_use]
    pub fn lines(&self, now: Timestamp) -> Vec<String> {
        let mut table = Table::new(["OBJECT", "STATE", "AGE"]);
        self.rows("", "", now, &mut table);
        table.lines()
    }

    fn rows(&self, own: &str, below: &str, now: Timestamp, table: &mut Table) {
        let age = self.part.created.map_or_else(String::new, |created| age::since(created, now));
        table.push(vec![format!("{own}{}", self.part.object), self.part.detail.clone(), age]);
        let last = self.children.len().saturating_sub(1);
        for (at, child) in self.children.iter().enumerate() {
            let (fork, trunk) = if at == last { ("└── ", "    ") } else { ("├── ", "│   ") };
            child.rows(&format!("{below}{fork}"), &format!("{below}{trunk}"), now, table);
        }
    }

    /// The tree as nested objects.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let children: Vec<Value> = self.children.iter().map(Self::as_json).collect();
        json!({
            "object": self.part.object,
            "detail": self.part.detail,
            "created": self.part.created,
            "children": children,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(object: &str, uid: &str, owner: Option<&str>) -> Part {
        let owner = owner.map(str::to_owned);
        Part { object: object.into(), uid: uid.into(), owner, detail: "d".into(), created: None }
    }

    #[test]
    fn everything_stands_below_its_owner() {
        let parts = vec![
            part("configmap/ha", "6", None),
            part("pod/jm", "3", Some("2")),
            part("replicaset/r", "2", Some("1")),
            part("pod/tm", "4", Some("1")),
            part("deployment/a", "1", Some("0")),
            part("service/of-another-owner", "5", Some("9")),
        ];
        let tree = grow(part("flinkdeployment/a", "0", None), parts);
        let lines = tree.lines(Timestamp::UNIX_EPOCH);
        let expected = [
            "OBJECT",
            "flinkdeployment/a",
            "├── deployment/a",
            "│   ├── replicaset/r",
            "│   │   └── pod/jm",
            "│   └── pod/tm",
            "├── configmap/ha",
            "└── service/of-another-owner",
        ];
        assert_eq!(lines.len(), expected.len());
        for (line, object) in lines.iter().zip(expected) {
            let state = line.strip_prefix(object).unwrap_or_else(|| panic!("`{line}` is not {object}"));
            assert!(state.starts_with("   "), "`{line}` goes on after {object}");
        }
        assert!(lines[6].ends_with("   d; kept when the cluster goes"), "{}", lines[6]);
        assert!(lines[7].ends_with("   d"), "{}", lines[7]);
        assert_eq!(tree.as_json()["children"][0]["children"][0]["children"][0]["object"], "pod/jm");
    }

    #[test]
    fn owners_that_own_each_other_do_not_hang_it() {
        let parts = vec![part("pod/a", "1", Some("2")), part("pod/b", "2", Some("1"))];
        assert_eq!(grow(part("flinkdeployment/a", "0", None), parts).children, []);
    }

    #[test]
    fn a_pod_says_why_it_does_not_run() {
        let pod = json!({
            "metadata": {"name": "p"}, "spec": {"nodeName": "n"},
            "status": {"phase": "Pending", "containerStatuses": [
                {"ready": false, "restartCount": 3, "state": {"waiting": {"reason": "ImagePullBackOff"}}},
                {"ready": true, "restartCount": 0, "state": {"running": {}}}]}});
        assert_eq!(Part::read("pod", &pod).detail, "ImagePullBackOff, 1/2 ready, 3 restarts, on n");
        assert_eq!(Part::read("pod", &json!({"metadata": {}})).detail, "Unknown, 0/0 ready");
    }

    #[test]
    fn what_a_replica_set_of_before_left_is_no_news() {
        let mut old = part("replicaset/old", "1", Some("0"));
        old.detail = "0/0 ready".to_owned();
        assert_eq!(grow(part("flinkdeployment/a", "0", None), vec![old]).children, []);
    }
}
