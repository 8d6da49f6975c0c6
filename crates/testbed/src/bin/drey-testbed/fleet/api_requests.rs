//! What operators ask of the API server, by its own metrics.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::{Context, Result};
use kube::Client;

/// Verbs that write.
const WRITES: &[&str] = &["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];
/// Not of any operator alone: the API server and its controllers renew theirs as well, and it writes one for each Service.
const NOT_COUNTED: &[&str] =
    &["leases", "ipaddresses", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"];

/// The statuses of FlinkDeployments, as [`Writes`] names them.
const STATUSES: &str = "flinkdeployments/status";

/// How many requests it has answered that write, by what they write to, such as `services` or `flinkdeployments/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Writes(BTreeMap<String, u64>);

impl Writes {
    /// Until now.
    pub(super) async fn now(client: &Client) -> Result<Writes> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = client.request_text(request).await.context("the API server tells its metrics")?;
        Ok(Writes::of(&text))
    }

    /// Those since then.
    pub(super) fn since(mut self, then: &Writes) -> Writes {
        for (target, count) in &mut self.0 {
            *count -= then.0.get(target).copied().unwrap_or_default();
        }
        self
    }

    /// To anything.
    pub(super) fn all(&self) -> u64 {
        self.0.values().sum()
    }

    /// To `status` of FlinkDeployments.
    pub(super) fn statuses(&self) -> u64 {
        self.0.get(STATUSES).copied().unwrap_or_default()
    }

    /// How many for each of so many things, the most first.
    pub(super) fn for_each_of(&self, things: usize) -> String {
        let mut targets: Vec<_> = self.0.iter().filter(|(_, count)| **count > 0).collect();
        targets.sort_unstable_by_key(|(target, count)| (Reverse(**count), *target));
        let shown =
            targets.iter().map(|(target, count)| format!("{target} {:.2}", **count as f64 / things as f64));
        shown.collect::<Vec<_>>().join(", ")
    }

    fn of(text: &str) -> Writes {
        let mut writes = Writes::default();
        for line in text.lines() {
            let Some((labels, count)) =
                line.strip_prefix("apiserver_request_total{").and_then(|rest| rest.rsplit_once("} "))
            else {
                continue;
            };
            let label = |name: &str| {
                labels
                    .split(',')
                    .find_map(|label| label.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
            };
            let resource = label("resource").unwrap_or_default();
            if !label("verb").is_some_and(|verb| WRITES.contains(&verb)) || NOT_COUNTED.contains(&resource) {
                continue;
            }
            let target = match label("subresource") {
                None | Some("") => resource.to_owned(),
                Some(subresource) => format!("{resource}/{subresource}"),
            };
            *writes.0.entry(target).or_default() += count.trim().parse::<f64>().unwrap_or_default() as u64;
        }
        writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_and_reads_are_not() {
        let line = |resource: &str, subresource: &str, verb: &str, count: &str| {
            format!(
                "apiserver_request_total{{code=\"200\",component=\"apiserver\",resource=\"{resource}\",scope=\"resource\",\
                 subresource=\"{subresource}\",verb=\"{verb}\"}} {count}\n"
            )
        };
        let text = [
            line("flinkdeployments", "status", "PUT", "3"),
            line("flinkdeployments", "", "PUT", "4"),
            line("flinkdeployments", "", "LIST", "100"),
            line("leases", "", "PUT", "100"),
            line("services", "", "POST", "1e+01"),
        ];
        let writes = Writes::of(&text.concat());
        assert_eq!((writes.statuses(), writes.all()), (3, 17));
        assert_eq!(
            writes.for_each_of(10),
            "services 1.00, flinkdeployments 0.40, flinkdeployments/status 0.30"
        );
        let later = Writes::of(&line("services", "", "POST", "12"));
        assert_eq!(later.since(&writes).for_each_of(1), "services 2.00");
    }
}
