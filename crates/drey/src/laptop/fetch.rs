//! Gets the distributions that files ask for before they are applied, so that a download shows its progress
//! and its failure where somebody looks. The launcher would get them too, but out of sight.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use drey_cli::failure::{Failure, Kind};
use drey_cli::manifest::Document;
use drey_cli::output::{is_live, say};
use drey_flink::FlinkVersion;
use drey_local::distribution::{DistributionConfig, Distributions, Progress, Report};
use serde_json::Value;

/// Between two lines about one download, in percent.
const STEP_PERCENT: u64 = 10;

/// Fetches every Flink that these objects need and that is not on this machine.
///
/// # Errors
/// Why a distribution cannot be fetched; nothing is half-installed then.
pub(crate) async fn distributions(documents: &[Document], http: &reqwest::Client) -> Result<(), Failure> {
    let distributions = Distributions::new(DistributionConfig::of_environment(), http.clone());
    for version in versions(documents) {
        if distributions.find(version).is_some() {
            continue;
        }
        say(&format!("Flink {version} is not on this machine yet; getting it"));
        let got = distributions.ensure(version, &report(version)).await;
        let got = got
            .map_err(|error| Failure::new(Kind::Failed, error.to_string()).on(format!("Flink {version}")))?;
        say(&format!("Flink {} is in {}", got.version, got.home.display()));
    }
    Ok(())
}

/// Versions of deployments that are to run.
fn versions(documents: &[Document]) -> BTreeSet<FlinkVersion> {
    let text = |document: &'_ Document, pointer: &str| {
        document.value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    };
    documents
        .iter()
        .filter(|document| document.kind() == Some("FlinkDeployment"))
        .filter(|document| text(document, "/spec/job/state").as_deref() != Some("suspended"))
        .filter_map(|document| text(document, "/spec/flinkVersion")?.parse().ok())
        .collect()
}

fn report(version: FlinkVersion) -> Report {
    let last = Mutex::new(None);
    let is_live = is_live(&std::io::stderr());
    Arc::new(move |progress| {
        let line = line(version, &progress);
        let key = step(&progress);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if is_live {
            // A download that nobody watches goes on.
            let _unseen = write!(std::io::stderr().lock(), "\r\u{1b}[K{line}");
            if !matches!(progress, Progress::Downloading { .. }) {
                let _unseen = writeln!(std::io::stderr().lock());
            }
        } else if *last != Some(key) {
            say(&line);
        }
        *last = Some(key);
    })
}

fn line(version: FlinkVersion, progress: &Progress) -> String {
    let megabytes = |bytes: u64| bytes / 1_000_000;
    match progress {
        Progress::Waiting => format!("Flink {version}: another drey gets it; waiting"),
        Progress::Downloading { done_bytes, total_bytes: Some(total_bytes) } => format!(
            "Flink {version}: {} of {} MB from the archive",
            megabytes(*done_bytes),
            megabytes(*total_bytes)
        ),
        Progress::Downloading { done_bytes, total_bytes: None } => {
            format!("Flink {version}: {} MB from the archive", megabytes(*done_bytes))
        }
        Progress::Unpacking => format!("Flink {version}: unpacking"),
        Progress::Package(package) => format!("Flink {version}: the Python package {package}, by pip"),
    }
}

/// What has to change for a new line where lines are not repainted: kind of work, and tenths of a download.
fn step(progress: &Progress) -> (u8, u64) {
    match progress {
        Progress::Waiting => (0, 0),
        Progress::Downloading { done_bytes, total_bytes } => {
            let percent = total_bytes.filter(|total| *total > 0).map_or(0, |total| done_bytes * 100 / total);
            (1, percent / STEP_PERCENT)
        }
        Progress::Unpacking => (2, 0),
        Progress::Package(_) => (3, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn versions_are_those_of_deployments_that_are_to_run() {
        let text = "apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nmetadata: {name: a}\n\
                    spec: {flinkVersion: v1_20}\n---\n\
                    apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nmetadata: {name: c}\n\
                    spec: {flinkVersion: v2_2, job: {state: suspended}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n\
                    spec: {flinkVersion: v2_1}\n";
        let documents = drey_cli::manifest::parse(Path::new("a.yaml"), text).expect("objects");
        let found: Vec<String> = versions(&documents).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["1.20"]);
    }

    #[test]
    fn a_download_is_told_in_tenths() {
        let at = |done_bytes| step(&Progress::Downloading { done_bytes, total_bytes: Some(200) });
        assert_eq!(at(0), at(19));
        assert_ne!(at(19), at(20));
    }
}
