//! The CustomResourceDefinitions beside those of this drey.

use drey_api::crd::change::Change;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};

use super::{Finding, Verdict};

const CHECK: &str = "definitions";
/// How many fields are named.
const FIELDS_MAX: usize = 3;

/// Looks at each definition that this drey has.
pub async fn look(client: &Client) -> Vec<Finding> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut findings = Vec::new();
    let mut count = 0;
    for wanted in drey_api::crd::each() {
        count += 1;
        let object = format!("customresourcedefinition/{}", wanted.name_any());
        match api.get_opt(&wanted.name_any()).await {
            Ok(served) => findings.extend(judge(served.as_ref(), &wanted).map(|finding| finding.on(object))),
            Err(error) => return vec![Finding::unknown(CHECK, "CustomResourceDefinitions", &error)],
        }
    }
    if findings.is_empty() {
        let message = format!("all {count} are installed, as this drey has them");
        findings.push(Finding::new(CHECK, Verdict::Ok, message));
    }
    findings
}

fn judge(served: Option<&CustomResourceDefinition>, wanted: &CustomResourceDefinition) -> Option<Finding> {
    let install = "drey crds apply";
    let Some(served) = served else {
        return Some(Finding::new(CHECK, Verdict::Wrong, "is not installed").fix(install));
    };
    let Change { added, lost, retyped } = Change::between(served, wanted);
    let lacking: Vec<&String> = added.iter().chain(&retyped).collect();
    if !lacking.is_empty() {
        let named: Vec<&str> = lacking.iter().take(FIELDS_MAX).map(|field| field.as_str()).collect();
        let message = format!(
            "lacks {} fields that drey writes, among them {}: the API server drops them",
            lacking.len(),
            named.join(", ")
        );
        return Some(Finding::new(CHECK, Verdict::Wrong, message).fix(install));
    }
    if !lost.is_empty() {
        let message = format!("has {} fields that this drey does not know", lost.len());
        let fix = "use the version of drey that runs in the cluster";
        return Some(Finding::new(CHECK, Verdict::Note, message).fix(fix));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_older_and_newer_definitions_are_told_apart() {
        let wanted = drey_api::crd::each().next().expect("a definition");
        let mut older = wanted.clone();
        let mut newer = wanted.clone();
        let properties = |definition: &mut CustomResourceDefinition,
                          change: &dyn Fn(&mut serde_json::Value)| {
            let mut value = serde_json::to_value(&*definition).expect("JSON");
            change(&mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]);
            *definition = serde_json::from_value(value).expect("a definition");
        };
        properties(&mut older, &|status| {
            status["properties"].as_object_mut().expect("fields").remove("intent");
        });
        properties(&mut newer, &|status| {
            status["properties"]["later"] = serde_json::json!({ "type": "string" });
        });
        assert_eq!(judge(Some(&wanted), &wanted), None);
        let verdict = |served| judge(served, &wanted).map(|finding| finding.verdict);
        assert_eq!(verdict(None), Some(Verdict::Wrong));
        assert_eq!(verdict(Some(&newer)), Some(Verdict::Note));
        let finding = judge(Some(&older), &wanted).expect("something");
        assert!(finding.verdict == Verdict::Wrong && finding.message.contains("intent"), "{finding:?}");
    }
}
