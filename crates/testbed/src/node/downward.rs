//! What a pod can read about itself: fields and amounts of resources. It refuses to know where they end up.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A field of a pod, such as `metadata.name` or `metadata.labels['app']`.
///
/// # Errors
/// A path that a kubelet does not know either.
pub(crate) fn field(pod: &Pod, path: &str, address: &str, host_address: &str) -> Result<String, String> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |value: &Option<String>| Ok(value.clone().unwrap_or_default());
    if let Some(key) = subscript(path, "metadata.labels") {
        return Ok(entry(metadata.labels.as_ref(), key));
    }
    if let Some(key) = subscript(path, "metadata.annotations") {
        return Ok(entry(metadata.annotations.as_ref(), key));
    }
    match path {
        "metadata.name" => text(&metadata.name),
        "metadata.namespace" => text(&metadata.namespace),
        "metadata.uid" => text(&metadata.uid),
        "metadata.labels" => Ok(lines(metadata.labels.as_ref())),
        "metadata.annotations" => Ok(lines(metadata.annotations.as_ref())),
        "spec.nodeName" => Ok(spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default()),
        "spec.serviceAccountName" => {
            Ok(spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default())
        }
        "status.podIP" | "status.podIPs" => Ok(address.to_owned()),
        "status.hostIP" | "status.hostIPs" => Ok(host_address.to_owned()),
        other => Err(format!("unsupported fieldPath: {other}")),
    }
}

fn subscript<'a>(path: &'a str, of: &str) -> Option<&'a str> {
    path.strip_prefix(of)?.strip_prefix("['")?.strip_suffix("']")
}

fn entry(of: Option<&BTreeMap<String, String>>, key: &str) -> String {
    of.and_then(|of| of.get(key)).cloned().unwrap_or_default()
}

fn lines(of: Option<&BTreeMap<String, String>>) -> String {
    let lines = of.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A request or limit of a container, in units of the selector's divisor, rounded up.
///
/// # Errors
/// A resource or container that is not there.
pub(crate) fn resource(
    pod: &Pod,
    container: Option<&Container>,
    selector: &ResourceFieldSelector,
) -> Result<String, String> {
    let named = |name: &str| {
        pod.spec.iter().flat_map(|spec| &spec.containers).find(|container| container.name == name)
    };
    let container = match &selector.container_name {
        Some(name) if !name.is_empty() => named(name).ok_or_else(|| format!("container {name} not found"))?,
        _ => container.ok_or("a containerName is needed")?,
    };
    let resources = container.resources.as_ref();
    let (kind, name) = selector.resource.split_once('.').ok_or("a resource is limits.x or requests.x")?;
    let amounts = resources.and_then(|resources| match kind {
        "limits" => resources.limits.as_ref(),
        _ => resources.requests.as_ref().or(resources.limits.as_ref()),
    });
    let amount = amounts.and_then(|amounts| amounts.get(name)).map_or(Ok(0), milli)?;
    let divisor = selector.divisor.as_ref().map_or(Ok(1000), milli)?;
    let divisor = if divisor == 0 { 1000 } else { divisor };
    Ok(amount.div_ceil(divisor).to_string())
}

/// An amount in thousandths of its unit: `250m` is 250, `1Gi` is 1,073,741,824,000.
///
/// # Errors
/// What is no amount.
pub(crate) fn milli(quantity: &Quantity) -> Result<u128, String> {
    const SUFFIXES: [(&str, u128); 12] = [
        ("Ki", 1000 << 10),
        ("Mi", 1000 << 20),
        ("Gi", 1000 << 30),
        ("Ti", 1000 << 40),
        ("Pi", 1000 << 50),
        ("m", 1),
        ("k", 1_000_000),
        ("M", 1_000_000_000),
        ("G", 1_000_000_000_000),
        ("T", 1_000_000_000_000_000),
        ("P", 1_000_000_000_000_000_000),
        ("", 1000),
    ];
    let text = quantity.0.trim();
    let wrong = || format!("`{text}` is no amount of a resource");
    let (number, unit) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|number| (number, *unit)))
        .ok_or_else(wrong)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 {
        return Err(wrong());
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| wrong())? };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    Ok(whole * unit + (part * unit).div_ceil(scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_are_read_in_every_notation() {
        let check = |text: &str, expected: u128| {
            assert_eq!(milli(&Quantity(text.to_owned())), Ok(expected), "{text}");
        };
        check("250m", 250);
        check("1", 1000);
        check("0.5", 500);
        check("1.5Gi", 1_610_612_736_000);
        check("2G", 2_000_000_000_000);
        assert!(milli(&Quantity("lots".to_owned())).is_err());
    }

    #[test]
    fn a_container_reads_its_limits_in_the_unit_it_asks_for() {
        let container: Container = serde_json::from_value(
            json!({"name": "c", "resources": {"limits": {"memory": "1500Ki", "cpu": "1200m"}}}),
        )
        .unwrap();
        let read = |resource_name: &str, divisor: &str| {
            let selector = ResourceFieldSelector {
                container_name: None,
                divisor: Some(Quantity(divisor.to_owned())),
                resource: resource_name.to_owned(),
            };
            resource(&Pod::default(), Some(&container), &selector).unwrap()
        };
        assert_eq!(read("limits.memory", "1Mi"), "2");
        assert_eq!(read("limits.cpu", "1"), "2");
        assert_eq!(read("limits.cpu", "1m"), "1200");
        assert_eq!(read("limits.cpu", "0"), "2");
    }

    #[test]
    fn a_pod_reads_its_labels_one_by_one_and_together() {
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "labels": {"a": "1", "b": "2"}}}))
                .unwrap();
        let read = |path: &str| field(&pod, path, "10.0.0.2", "10.0.0.1");
        assert_eq!(read("metadata.labels['b']").unwrap(), "2");
        assert_eq!(read("metadata.labels").unwrap(), "a=\"1\"\nb=\"2\"");
        assert_eq!(read("status.hostIP").unwrap(), "10.0.0.1");
        assert!(read("spec.nothing").is_err());
    }
}
