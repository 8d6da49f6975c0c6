//! `drey` without arguments: how things stand, and the next useful command.

use jiff::Timestamp;
use kube::api::ListParams;

use crate::connection::ConnectionArgs;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::follow::deployments;
use crate::kinds::FlinkKind;
use crate::output::{line, table};
use crate::table::Table;

/// Most deployments that are shown.
const SHOWN_MAX: u32 = 20;

/// Runs the command.
///
/// # Errors
/// When standard output does not take it. That there is nothing to show is no error.
pub async fn run(arguments: &ConnectionArgs) -> Result<(), Failure> {
    line(&format!("drey {}: the control plane for Apache Flink", env!("CARGO_PKG_VERSION")))?;
    let connection = match arguments.connect().await {
        Ok(connection) => connection,
        Err(failure) if failure.kind() == Kind::Unreachable => {
            line(&format!("\n{}", failure.message()))?;
            return line(
                "next: `drey up job.yaml` runs a FlinkDeployment on this machine; `drey --help` lists all commands",
            );
        }
        Err(failure) => return Err(failure),
    };
    line(&format!("API: {}, namespace {}\n", connection.server, connection.namespace))?;
    let parameters = ListParams::default().limit(SHOWN_MAX);
    let found = match deployments(&connection).list(&parameters).await {
        Ok(found) => found.items,
        Err(error) => return Err(Failure::from_kube(&error, FlinkKind::Deployment.names()[0])),
    };
    if found.is_empty() {
        return line("no deployments\nnext: `drey apply -f job.yaml`");
    }
    let wide = false;
    let headings = FlinkKind::Deployment.headings(wide).into_iter().map(str::to_owned).collect();
    let mut rows = Table::with_headings(headings);
    for object in &found {
        rows.push(FlinkKind::Deployment.cells(object, wide, Timestamp::now()));
    }
    table(&rows, false)?;
    let views: Vec<View> = found.into_iter().filter_map(|object| View::from_object(object).ok()).collect();
    line(&format!("\nnext: {}", next(&views)))
}

/// What is stalled comes first, then what is under way.
fn next(views: &[View]) -> String {
    let stalled = views.iter().find(|view| view.stalled().is_some());
    let waiting = views.iter().find(|view| !view.sentence().is_empty());
    match (stalled, waiting, views.first()) {
        (Some(view), _, _) => format!("`drey describe {}`: {}", view.name, view.sentence()),
        (None, Some(view), _) => format!("`drey get -w`; {}: {}", view.name, view.sentence()),
        (None, None, Some(view)) => format!("`drey describe {0}`, `drey logs -f {0}`", view.name),
        (None, None, None) => "`drey apply -f job.yaml`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;
    use serde_json::json;

    #[test]
    fn what_is_stalled_comes_first() {
        let well = view(&json!({}), &json!({"observedGeneration": 2}));
        let ill = view(
            &json!({}),
            &json!({"observedGeneration": 2,
                    "conditions": [{"type": "Stalled", "status": "True", "message": "no jar"}]}),
        );
        assert_eq!(next(&[well.clone(), ill]), "`drey describe a`: no jar");
        assert_eq!(next(&[well]), "`drey describe a`, `drey logs -f a`");
    }
}
