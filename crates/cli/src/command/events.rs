//! `drey events`.

use clap_complete::engine::ArgValueCandidates;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};

use super::deployment_name;
use crate::age;
use crate::complete;
use crate::connection::Connection;
use crate::failure::{Failure, Kind};
use crate::output::{self, say};
use crate::table::Table;

/// List what happened
///
/// The events of one deployment, or of the namespace, oldest first.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of a deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: Option<String>,
    /// Stay, and print every new event
    #[arg(short, long)]
    pub watch: bool,
    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
}

/// Runs the command.
///
/// # Errors
/// Why events could not be listed.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let api: Api<Event> = if args.all_namespaces {
        Api::all(connection.client.clone())
    } else {
        Api::namespaced(connection.client.clone(), &connection.namespace)
    };
    let selector = match &args.name {
        Some(name) => Some(selector(deployment_name(name)?)),
        None => None,
    };
    let (events, version) = fetch(&api, selector.as_deref()).await?;
    if events.is_empty() && !args.watch {
        say("no events found");
        return Ok(());
    }
    output::table(&table(&events, Timestamp::now()), false)?;
    if !args.watch {
        return Ok(());
    }
    tokio::select! {
        outcome = follow(&api, selector.as_deref(), version) => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Kind::Interrupted, "stopped watching")),
    }
}

/// Events of one deployment.
///
/// # Errors
/// The answer of the API server.
pub(crate) async fn of_deployment(connection: &Connection, name: &str) -> Result<Vec<Event>, Failure> {
    let api: Api<Event> = Api::namespaced(connection.client.clone(), &connection.namespace);
    Ok(fetch(&api, Some(&selector(name))).await?.0)
}

fn selector(name: &str) -> String {
    format!("involvedObject.kind=FlinkDeployment,involvedObject.name={name}")
}

async fn fetch(api: &Api<Event>, selector: Option<&str>) -> Result<(Vec<Event>, String), Failure> {
    let parameters = ListParams { field_selector: selector.map(str::to_owned), ..ListParams::default() };
    let list = api.list(&parameters).await.map_err(|error| Failure::from_kube(&error, "events"))?;
    let mut events = list.items;
    events.sort_by_key(last_seen);
    Ok((events, list.metadata.resource_version.unwrap_or_default()))
}

async fn follow(api: &Api<Event>, selector: Option<&str>, mut version: String) -> Result<(), Failure> {
    let parameters = WatchParams { field_selector: selector.map(str::to_owned), ..WatchParams::default() };
    let failed = |error: kube::Error| Failure::from_kube(&error, "events");
    loop {
        let mut changes = api.watch(&parameters, &version).await.map_err(failed)?.boxed();
        while let Some(change) = changes.try_next().await.map_err(failed)? {
            match change {
                WatchEvent::Added(event) | WatchEvent::Modified(event) => {
                    version = event.metadata.resource_version.clone().unwrap_or(version);
                    output::table(&table(&[event], Timestamp::now()), true)?;
                }
                WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                WatchEvent::Deleted(_) => {}
                WatchEvent::Error(status) if status.code == 410 => {
                    version = fetch(api, selector).await?.1;
                    break;
                }
                WatchEvent::Error(status) => return Err(failed(kube::Error::Api(status))),
            }
        }
    }
}

fn last_seen(event: &Event) -> Option<Timestamp> {
    let last = event.last_timestamp.as_ref().or(event.first_timestamp.as_ref()).map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// Events as a table.
pub(crate) fn table(events: &[Event], now: Timestamp) -> Table {
    let mut table = Table::new(["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
    for event in events {
        let involved = &event.involved_object;
        let kind = involved.kind.as_deref().unwrap_or_default().to_lowercase();
        let seen = last_seen(event).map_or_else(|| "<unknown>".to_owned(), |then| age::since(then, now));
        let count = event.count.filter(|count| *count > 1);
        table.push(vec![
            count.map_or_else(|| seen.clone(), |count| format!("{seen} (x{count})")),
            event.type_.clone().unwrap_or_default(),
            event.reason.clone().unwrap_or_default(),
            format!("{kind}/{}", involved.name.as_deref().unwrap_or_default()),
            event.message.clone().unwrap_or_default().trim().to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_show_their_count() {
        let event: Event = serde_json::from_value(json!({
            "metadata": {}, "type": "Normal", "reason": "Submit", "message": "Starting deployment\n", "count": 3,
            "involvedObject": {"kind": "FlinkDeployment", "name": "a"},
            "lastTimestamp": "1970-01-01T00:00:00Z"}))
        .expect("an event");
        let lines = table(&[event], Timestamp::from_second(5).expect("in range")).body();
        assert_eq!(lines, ["5s (x3)     Normal   Submit   flinkdeployment/a   Starting deployment"]);
    }
}
