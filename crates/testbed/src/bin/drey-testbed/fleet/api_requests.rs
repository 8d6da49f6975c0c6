//! What operators ask of the API server, by its own metrics.

use anyhow::{Context, Result};
use kube::Client;

/// Verbs that write.
const WRITES: &[&str] = &["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];
/// Not of any operator alone: the API server and its controllers renew theirs as well.
const NOT_COUNTED: &[&str] = &["leases", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"];

/// How many requests it has answered that write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Writes {
    /// To `status` of FlinkDeployments.
    pub(super) statuses: u64,
    /// To anything.
    pub(super) all: u64,
}

impl Writes {
    /// Until now.
    pub(super) async fn now(client: &Client) -> Result<Writes> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = client.request_text(request).await.context("the API server tells its metrics")?;
        Ok(Writes::of(&text))
    }

    /// Those since then.
    pub(super) fn since(self, then: Writes) -> Writes {
        Writes { statuses: self.statuses - then.statuses, all: self.all - then.all }
    }

    fn of(text: &str) -> Writes {
        let mut writes = Writes::default();
        for line in text.lines() {
            let Some((labels, count)) =
                line.strip_prefix("apiserver_request_total{").and_then(|rest| rest.rsplit_once("} "))
            else {
                continue;
            };
            let is = |name: &str, value: &str| {
                labels.split(',').any(|label| label == format!("{name}=\"{value}\""))
            };
            let counts = WRITES.iter().any(|verb| is("verb", verb));
            if !counts || NOT_COUNTED.iter().any(|resource| is("resource", resource)) {
                continue;
            }
            let count = count.trim().parse::<f64>().unwrap_or_default() as u64;
            writes.all += count;
            if is("resource", "flinkdeployments") && is("subresource", "status") {
                writes.statuses += count;
            }
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
        assert_eq!(Writes::of(&text.concat()), Writes { statuses: 3, all: 17 });
    }
}
