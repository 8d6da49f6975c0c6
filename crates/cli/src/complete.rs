//! What a shell offers when Tab is pressed: commands and flags from the command line itself, names from the API that the
//! rest of the line leads to. A question that is not answered at once offers nothing. Refuses to print errors: nobody
//! asked for them.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args as _, FromArgMatches as _};
use clap_complete::engine::{CompletionCandidate, complete};
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::follow::deployments as deployments_api;
use crate::output::line;

/// The variable by which a completion script asks the program.
pub const VARIABLE: &str = "DREY_COMPLETE";
/// The name by which `kubectl` asks a plug-in for what comes next.
pub const KUBECTL_PROGRAM: &str = "kubectl_complete-drey";
/// How long a person waits for Tab.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Most names that are offered.
const NAMES_MAX: u32 = 500;
/// `kubectl` is told that file names are no answer.
const NO_FILES: &str = ":4";

/// Names of deployments.
#[must_use]
pub fn deployments() -> Vec<CompletionCandidate> {
    names(async |args: ConnectionArgs| Some(deployments_api(&args.connect().await.ok()?)))
}

/// Names of namespaces.
#[must_use]
pub fn namespaces() -> Vec<CompletionCandidate> {
    names(async |args: ConnectionArgs| {
        let resource = kube::core::ApiResource::erase::<k8s_openapi::api::core::v1::Namespace>(&());
        Some(Api::all_with(args.connect().await.ok()?.client, &resource))
    })
}

/// Contexts of the kubeconfig.
#[must_use]
pub fn contexts() -> Vec<CompletionCandidate> {
    let read = kube::config::Kubeconfig::read().unwrap_or_default();
    read.contexts.into_iter().map(|context| CompletionCandidate::new(context.name)).collect()
}

/// The names of all objects, as far as they are told in time. Runs before there is any other runtime.
fn names(api: impl AsyncFnOnce(ConnectionArgs) -> Option<Api<DynamicObject>>) -> Vec<CompletionCandidate> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let asking = async {
        let args = connection(std::env::args_os().collect()).with_settings().ok()?;
        let found = api(args).await?.list(&ListParams::default().limit(NAMES_MAX)).await.ok()?;
        Some(found.items.into_iter().filter_map(|object| object.metadata.name).collect::<Vec<_>>())
    };
    let names = runtime.block_on(async { tokio::time::timeout(PATIENCE, asking).await });
    names.ok().flatten().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
}

/// Which cluster the line so far leads to. The line is not complete, and the rest of it does not matter.
fn connection(words: Vec<OsString>) -> ConnectionArgs {
    let command = ConnectionArgs::augment_args(clap::Command::new("drey"))
        .ignore_errors(true)
        .disable_help_flag(true)
        .arg(clap::Arg::new("rest").num_args(0..));
    // A script of a shell puts its own name and a `--` before the line.
    let line =
        words.into_iter().enumerate().filter(|(at, word)| *at != 1 || word != "--").map(|(_, word)| word);
    let matches = command.try_get_matches_from(line).ok();
    matches.and_then(|matches| ConnectionArgs::from_arg_matches(&matches).ok()).unwrap_or_default()
}

/// Answers `kubectl`: one candidate a line with its help, then how to go on. `words` are those after the plug-in's name.
///
/// # Errors
/// When standard output does not take it.
pub fn for_kubectl(mut whole: clap::Command, words: Vec<OsString>) -> Result<(), Failure> {
    let words: Vec<OsString> = std::iter::once(OsString::from("drey")).chain(words).collect();
    let last = words.len().saturating_sub(1);
    // What cannot be completed has no candidates.
    let candidates = complete(&mut whole, words, last, None).unwrap_or_default();
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        let value = candidate.get_value().to_string_lossy();
        match candidate.get_help() {
            Some(help) => line(&format!("{value}\t{}", help.to_string().lines().next().unwrap_or_default()))?,
            None => line(&value)?,
        }
    }
    line(NO_FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_complete_leads_to_its_cluster() {
        let words = ["drey", "--", "drey", "describe", "-n", "flink", "--context=prod", "--outp", "x"];
        let args = connection(words.map(OsString::from).to_vec());
        assert_eq!((args.namespace.as_deref(), args.context.as_deref()), (Some("flink"), Some("prod")));
        assert_eq!(connection(Vec::new()).namespace, None);
    }
}
