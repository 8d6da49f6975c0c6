//! What whoever asks may do, as the API server says.

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::{Finding, Verdict};

const CHECK: &str = "your rights";

/// What the commands take: group, resource, subresource, verb, and what is lost without it.
const NEEDED: [(&str, &str, Option<&str>, &str, &str); 7] = [
    ("flink.apache.org", "flinkdeployments", None, "list", "nothing is seen"),
    ("flink.apache.org", "flinkdeployments", None, "watch", "nothing can be waited for"),
    ("flink.apache.org", "flinkdeployments", None, "create", "`drey apply` makes nothing"),
    ("flink.apache.org", "flinkdeployments", None, "patch", "nothing can be changed"),
    ("flink.apache.org", "flinkdeployments", None, "delete", "nothing can be deleted"),
    ("", "events", None, "list", "`drey events` shows nothing"),
    ("", "pods", Some("log"), "get", "`drey logs` shows nothing"),
];

/// Asks for each right in `namespace`.
pub async fn look(client: &Client, namespace: &str) -> Vec<Finding> {
    let asked = NEEDED.iter().map(async |(group, resource, subresource, verb, lost)| {
        let attributes = ResourceAttributes {
            group: Some((*group).to_owned()),
            resource: Some((*resource).to_owned()),
            subresource: subresource.map(str::to_owned),
            verb: Some((*verb).to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
        let may = answer.status.is_some_and(|status| status.allowed);
        let what = subresource.map_or_else(|| (*resource).to_owned(), |part| format!("{resource}/{part}"));
        Ok::<_, kube::Error>((!may).then(|| format!("{verb} {what}: {lost}")))
    });
    match try_join_all(asked).await {
        Ok(lacking) => vec![judge(namespace, &lacking.into_iter().flatten().collect::<Vec<_>>())],
        Err(error) => vec![Finding::unknown(CHECK, "your rights", &error)],
    }
}

fn judge(namespace: &str, lacking: &[String]) -> Finding {
    if lacking.is_empty() {
        return Finding::new(CHECK, Verdict::Ok, format!("every command works in namespace {namespace}"));
    }
    let message = format!("you may not, in namespace {namespace}, {}", lacking.join("; "));
    Finding::new(CHECK, Verdict::Note, message)
        .fix("ask whoever gives rights in the cluster for a Role with these")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named_with_what_is_lost() {
        assert_eq!(judge("n", &[]).verdict, Verdict::Ok);
        let finding = judge("n", &["patch flinkdeployments: nothing can be changed".to_owned()]);
        assert!(finding.verdict == Verdict::Note && finding.message.contains("nothing can be changed"));
    }
}
