//! A pod's status as a kubelet reports it, computed from what its containers do. Pure: no clock, no API.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateWaiting, ContainerStatus, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What is known of a pod on its node.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// When the node took it.
    pub(crate) start_time: Timestamp,
    /// The node's address.
    pub(crate) host_address: String,
    /// The pod's address, once it has one.
    pub(crate) address: Option<String>,
    /// Its init containers, in their order.
    pub(crate) init: Vec<ContainerStatus>,
    /// Its containers, in their order.
    pub(crate) containers: Vec<ContainerStatus>,
    /// Whether all its containers have ended and none will start again.
    pub(crate) is_over: bool,
}

impl View {
    /// A pod that has just been taken.
    pub(crate) fn new(pod: &Pod, start_time: Timestamp, host_address: &str) -> View {
        let spec = pod.spec.as_ref();
        let init = spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let init: Vec<ContainerStatus> = init
            .map(|container| waiting(&container.name, container.image.as_deref(), "PodInitializing"))
            .collect();
        let reason = if init.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        let containers = spec.iter().flat_map(|spec| &spec.containers);
        let containers = containers
            .map(|container| waiting(&container.name, container.image.as_deref(), reason))
            .collect();
        View {
            start_time,
            host_address: host_address.to_owned(),
            address: None,
            init,
            containers,
            is_over: false,
        }
    }

    /// The status of a container by its name.
    pub(crate) fn container(&mut self, name: &str) -> Option<&mut ContainerStatus> {
        self.init.iter_mut().chain(&mut self.containers).find(|status| status.name == name)
    }
}

/// A container that waits, as a status.
pub(crate) fn waiting_state(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn waiting(name: &str, image: Option<&str>, reason: &str) -> ContainerStatus {
    ContainerStatus {
        name: name.to_owned(),
        image: image.unwrap_or_default().to_owned(),
        state: Some(waiting_state(reason, None)),
        started: Some(false),
        ..ContainerStatus::default()
    }
}

/// The whole status. Conditions keep the time of their last change, and those of others are left alone.
pub(crate) fn status(pod: &Pod, view: &View, before: &[PodCondition], now: Timestamp) -> PodStatus {
    let phase = phase(pod, view);
    let mut conditions = conditions(pod, view, phase);
    for condition in &mut conditions {
        let same = before.iter().find(|old| old.type_ == condition.type_ && old.status == condition.status);
        let since = same.and_then(|old| old.last_transition_time.clone());
        condition.last_transition_time = since.or(Some(Time(now)));
        condition.observed_generation = pod.metadata.generation;
    }
    let known = conditions.len();
    let foreign =
        before.iter().filter(|old| conditions[..known].iter().all(|own| own.type_ != old.type_)).cloned();
    let foreign: Vec<PodCondition> = foreign.collect();
    conditions.extend(foreign);
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions),
        host_ip: Some(view.host_address.clone()),
        host_ips: Some(vec![k8s_openapi::api::core::v1::HostIP { ip: view.host_address.clone() }]),
        pod_ip: view.address.clone(),
        pod_ips: view.address.clone().map(|ip| vec![PodIP { ip }]),
        start_time: Some(Time(view.start_time)),
        init_container_statuses: Some(view.init.clone()).filter(|statuses| !statuses.is_empty()),
        container_statuses: Some(view.containers.clone()),
        qos_class: pod.status.as_ref().and_then(|status| status.qos_class.clone()),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// Whether an init container goes on beside the others.
pub(crate) fn is_side_car(pod: &Pod, name: &str) -> bool {
    let mut init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    init.any(|container| container.name == name && container.restart_policy.as_deref() == Some("Always"))
}

fn exit_code(state: Option<&ContainerState>) -> Option<i32> {
    Some(state?.terminated.as_ref()?.exit_code)
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

/// Whether an init container has done its part.
fn is_initialized(pod: &Pod, status: &ContainerStatus) -> bool {
    if is_side_car(pod, &status.name) {
        return status.started == Some(true) || exit_code(status.state.as_ref()).is_some();
    }
    exit_code(status.state.as_ref()) == Some(0)
}

/// A phase is final only when nothing of the pod runs any more.
fn phase(pod: &Pod, view: &View) -> &'static str {
    let is_initialized = view.init.iter().all(|status| is_initialized(pod, status));
    if view.is_over {
        let succeeded = |status: &ContainerStatus| exit_code(status.state.as_ref()) == Some(0);
        return if is_initialized && view.containers.iter().all(succeeded) { "Succeeded" } else { "Failed" };
    }
    let has_started = |status: &ContainerStatus| {
        is_running(status)
            || exit_code(status.state.as_ref()).is_some()
            || exit_code(status.last_state.as_ref()).is_some()
    };
    if is_initialized && view.containers.iter().all(has_started) { "Running" } else { "Pending" }
}

fn conditions(pod: &Pod, view: &View, phase: &str) -> Vec<PodCondition> {
    let make = |kind: &str, holds: bool, reason: Option<&str>, message: Option<String>| PodCondition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: reason.filter(|_| !holds || reason == Some("PodCompleted")).map(str::to_owned),
        message: message.filter(|_| !holds),
        ..PodCondition::default()
    };
    let names = |statuses: &[&ContainerStatus]| {
        statuses.iter().map(|status| status.name.as_str()).collect::<Vec<_>>().join(" ")
    };
    let pending: Vec<&ContainerStatus> =
        view.init.iter().filter(|status| !is_initialized(pod, status)).collect();
    let is_initialized_now = pending.is_empty();
    let side_cars = view.init.iter().filter(|status| is_side_car(pod, &status.name));
    let unready: Vec<&ContainerStatus> =
        side_cars.chain(&view.containers).filter(|status| !status.ready).collect();
    let (initialized, ready_reason, ready_message) = match phase {
        "Succeeded" => (make("Initialized", true, Some("PodCompleted"), None), "PodCompleted", None),
        "Failed" => {
            let message = format!("containers with incomplete status: [{}]", names(&pending));
            let initialized =
                make("Initialized", is_initialized_now, Some("ContainersNotInitialized"), Some(message));
            (initialized, "PodFailed", None)
        }
        _ => {
            let message = format!("containers with incomplete status: [{}]", names(&pending));
            let initialized =
                make("Initialized", is_initialized_now, Some("ContainersNotInitialized"), Some(message));
            let message = format!("containers with unready status: [{}]", names(&unready));
            (initialized, "ContainersNotReady", Some(message))
        }
    };
    let is_ready = unready.is_empty() && is_initialized_now && phase == "Running";
    vec![
        make("PodReadyToStartContainers", view.address.is_some() && !view.is_over, None, None),
        initialized,
        make("Ready", is_ready, Some(ready_reason), ready_message.clone()),
        make("ContainersReady", is_ready, Some(ready_reason), ready_message),
        make("PodScheduled", true, None, None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn terminated(code: i32) -> Value {
        json!({"terminated": {"exitCode": code}})
    }

    fn running() -> Value {
        json!({"running": {}})
    }

    /// The phase and whether it is ready, of a pod with one init container, if given, and containers.
    fn check(
        policy: &str,
        init: Option<&Value>,
        containers: &[(Value, Value)],
        is_over: bool,
        expected: (&str, &str),
    ) {
        let names: Vec<Value> =
            (0..containers.len()).map(|index| json!({"name": format!("c{index}")})).collect();
        let spec = json!({"restartPolicy": policy, "containers": names, "initContainers":
            init.iter().map(|_| json!({"name": "i"})).collect::<Vec<_>>()});
        let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
        let mut view = View::new(&pod, Timestamp::UNIX_EPOCH, "10.0.0.1");
        view.is_over = is_over;
        for (status, state) in view.init.iter_mut().zip(init) {
            status.state = serde_json::from_value(state.clone()).unwrap();
        }
        for (status, (state, last)) in view.containers.iter_mut().zip(containers) {
            status.state = serde_json::from_value(state.clone()).unwrap();
            status.last_state = serde_json::from_value(last.clone()).unwrap();
            status.ready = status.state.as_ref().unwrap().running.is_some();
        }
        let computed = status(&pod, &view, &[], Timestamp::UNIX_EPOCH);
        let ready =
            computed.conditions.iter().flatten().find(|condition| condition.type_ == "Ready").unwrap();
        let seen = (computed.phase.as_deref().unwrap(), ready.status.as_str());
        assert_eq!(seen, expected, "{policy} {init:?} {containers:?}");
    }

    #[test]
    fn phases_follow_the_rules_of_a_kubelet() {
        let waiting = || json!({"waiting": {"reason": "ContainerCreating"}});
        let none = || json!({});
        check("Always", None, &[(waiting(), none())], false, ("Pending", "False"));
        check("Always", None, &[(running(), none())], false, ("Running", "True"));
        check("Always", None, &[(running(), none()), (waiting(), none())], false, ("Pending", "False"));
        check("Always", None, &[(waiting(), terminated(1))], false, ("Running", "False"));
        check("Always", None, &[(terminated(1), none())], false, ("Running", "False"));
        check("Never", None, &[(terminated(1), none())], true, ("Failed", "False"));
        check("Never", None, &[(terminated(1), none()), (running(), none())], false, ("Running", "False"));
        check("OnFailure", None, &[(terminated(1), none())], false, ("Running", "False"));
        check("OnFailure", None, &[(terminated(0), none())], true, ("Succeeded", "False"));
        check("Always", Some(&running()), &[(waiting(), none())], false, ("Pending", "False"));
        check("Never", Some(&terminated(1)), &[(waiting(), none())], true, ("Failed", "False"));
        check("Always", Some(&terminated(0)), &[(running(), none())], false, ("Running", "True"));
        check("Always", None, &[(terminated(143), none())], true, ("Failed", "False"));
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_changes_and_those_of_others_stay() {
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [{"name": "c"}]}})).unwrap();
        let mut view = View::new(&pod, Timestamp::UNIX_EPOCH, "10.0.0.1");
        let later = |seconds| Timestamp::from_second(seconds).unwrap();
        let first = status(&pod, &view, &[], later(1)).conditions.unwrap();
        let mut given = first;
        given.push(PodCondition { type_: "DisruptionTarget".to_owned(), ..PodCondition::default() });
        view.address = Some("10.0.0.2".to_owned());
        let second = status(&pod, &view, &given, later(2)).conditions.unwrap();
        let time = |kind: &str| {
            let condition = second.iter().find(|condition| condition.type_ == kind).unwrap();
            condition.last_transition_time.as_ref().map(|time| time.0.as_second())
        };
        assert_eq!(time("Ready"), Some(1));
        assert_eq!(time("PodReadyToStartContainers"), Some(2));
        assert_eq!(time("DisruptionTarget"), None);
    }
}
