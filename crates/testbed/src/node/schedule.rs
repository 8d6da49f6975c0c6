//! Which pods a node takes that nobody has placed: those whose wishes it meets and whose requests fit. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::downward::milli;

/// What a node has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Memory.
    pub memory_bytes: u64,
    /// How many pods.
    pub pods: usize,
}

impl Default for Capacity {
    /// Much more than the machine has: requests are promises, and most pods of tests keep far below theirs.
    fn default() -> Capacity {
        Capacity { cpu_millis: 64_000, memory_bytes: 256 << 30, pods: 110 }
    }
}

/// What a pod asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) cpu_millis: u64,
    pub(crate) memory_bytes: u64,
}

impl Requests {
    /// The sum over a pod's containers. A container that names a limit alone asks for that much.
    pub(crate) fn of(pod: &Pod) -> Requests {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let amount = |container: &Container, name: &str| {
            let resources = container.resources.as_ref()?;
            let of = |amounts: &Option<BTreeMap<String, _>>| {
                amounts.as_ref()?.get(name).and_then(|amount| milli(amount).ok())
            };
            of(&resources.requests).or_else(|| of(&resources.limits))
        };
        let mut sum = Requests::default();
        for container in containers {
            let whole = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
            sum.cpu_millis = sum.cpu_millis.saturating_add(whole(amount(container, "cpu").unwrap_or(0)));
            sum.memory_bytes =
                sum.memory_bytes.saturating_add(whole(amount(container, "memory").unwrap_or(0) / 1000));
        }
        sum
    }
}

/// Whether a pod fits beside those that are there.
///
/// # Errors
/// Why not, in the words of a scheduler.
pub(crate) fn fits(
    pod: &Pod,
    labels: &BTreeMap<String, String>,
    capacity: Capacity,
    taken: &[Requests],
) -> Result<(), String> {
    let selector = pod.spec.as_ref().and_then(|spec| spec.node_selector.as_ref());
    let meets = selector.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let asked = Requests::of(pod);
    let used = |amount: fn(&Requests) -> u64| taken.iter().map(amount).fold(0, u64::saturating_add);
    let mut reasons = Vec::new();
    if !meets {
        reasons.push("1 node(s) didn't match Pod's node affinity/selector");
    }
    if taken.len() >= capacity.pods {
        reasons.push("1 Too many pods");
    }
    if used(|taken| taken.cpu_millis).saturating_add(asked.cpu_millis) > capacity.cpu_millis {
        reasons.push("1 Insufficient cpu");
    }
    if used(|taken| taken.memory_bytes).saturating_add(asked.memory_bytes) > capacity.memory_bytes {
        reasons.push("1 Insufficient memory");
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(format!("0/1 nodes are available: {}.", reasons.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_that_does_not_fit_is_told_why() {
        let pod: Pod =
            serde_json::from_value(json!({"spec": {"nodeSelector": {"disk": "ssd"}, "containers": [
            {"name": "a", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}},
            {"name": "b", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}}))
            .unwrap();
        assert_eq!(Requests::of(&pod), Requests { cpu_millis: 1500, memory_bytes: 2 << 30 });
        let capacity = Capacity { cpu_millis: 2000, memory_bytes: 3 << 30, pods: 2 };
        let ssd = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
        assert_eq!(fits(&pod, &ssd, capacity, &[]), Ok(()));
        let taken = [Requests { cpu_millis: 0, memory_bytes: 2 << 30 }];
        let memory = "0/1 nodes are available: 1 Insufficient memory.";
        assert_eq!(fits(&pod, &ssd, capacity, &taken), Err(memory.to_owned()));
        assert!(fits(&pod, &BTreeMap::new(), capacity, &[]).unwrap_err().contains("selector"));
        assert!(fits(&pod, &ssd, capacity, &[Requests::default(); 2]).unwrap_err().contains("Too many pods"));
    }
}
