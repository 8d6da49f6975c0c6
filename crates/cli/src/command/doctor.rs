//! `drey doctor`.

use serde_json::json;

use crate::connection::Connection;
use crate::doctor::{Finding, Verdict, admission, definitions, jobs, operator, person};
use crate::failure::{Failure, Kind};
use crate::output::{TextOrJson, json as print_json, line};

/// Find what keeps jobs from running, and say how to mend it
///
/// Looks at the API server, the CustomResourceDefinitions, the operator, its webhook, your rights, and the deployments with
/// their accounts and storage. Changes nothing. Ends with 1 when something is wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
}

/// Runs the command.
///
/// # Errors
/// An API server that does not answer, or something that is wrong.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let findings = look(args, connection).await?;
    match args.output {
        TextOrJson::Text => print(&findings)?,
        TextOrJson::Json => print_json(&json!({ "findings": findings }))?,
    }
    let wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).count();
    if wrong == 0 {
        return Ok(());
    }
    let message =
        if wrong == 1 { "one thing is wrong".to_owned() } else { format!("{wrong} things are wrong") };
    Err(Failure::new(Kind::Failed, message))
}

/// Looks at everything.
///
/// # Errors
/// An API server that does not answer.
pub async fn look(args: &Args, connection: &Connection) -> Result<Vec<Finding>, Failure> {
    let Connection { client, namespace, state_directory, server, .. } = connection;
    let version = client.apiserver_version().await;
    let version = version.map_err(|error| Failure::from_kube(&error, server))?;
    let message = format!("{} at {server}", version.git_version);
    let mut findings = vec![Finding::new("API server", Verdict::Ok, message)];
    findings.extend(definitions::look(client).await);
    if state_directory.is_none() {
        // In laptop mode the operator is the API server, and there is no webhook and nobody else.
        let (operators, webhooks, rights) =
            tokio::join!(operator::look(client), admission::look(client), person::look(client, namespace));
        findings.extend(operators.into_iter().chain(webhooks).chain(rights));
    }
    let of = (!args.all_namespaces).then_some(namespace.as_str());
    findings.extend(jobs::look(client, of, state_directory.as_deref()).await);
    Ok(findings)
}

fn print(findings: &[Finding]) -> Result<(), Failure> {
    for finding in findings {
        let object = finding.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
        line(&format!("{:<8}{:<13}{object}{}", finding.verdict.word(), finding.check, finding.message))?;
        if let Some(fix) = &finding.fix {
            line(&format!("{:<21}fix: {fix}", ""))?;
        }
    }
    Ok(())
}
