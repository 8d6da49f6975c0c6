//! `drey top`: what deployments take of processors and memory.

use clap_complete::engine::ArgValueCandidates;
use std::collections::BTreeMap;

use drey_api::memory::Amount;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::deployment_name;
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::{Failure, Kind};
use crate::follow::deployments;
use crate::kinds::FlinkKind;
use crate::output::{self, TextOrJson, say};
use crate::table::Table;

/// Show what deployments take of processors and memory
///
/// With a name the pods of that deployment. What is reserved comes from the status and the pods; what is used comes
/// from the metrics API of the cluster (`metrics.k8s.io`), where there is one.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of a deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
    /// What comes first
    #[arg(long, value_enum, default_value_t)]
    pub sort_by: Order,
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
    /// Leave the headings out
    #[arg(long)]
    pub no_headers: bool,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// Most memory
    #[default]
    Memory,
    /// Most processors
    Cpu,
    /// The name
    Name,
}

/// Processors and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Usage {
    cpu: f64,
    memory_bytes: f64,
}

impl Usage {
    fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.memory_bytes += other.memory_bytes;
    }

    /// The sum of `resources` over the containers of a pod.
    fn of_containers(containers: &Value, resources: &str) -> Self {
        let mut sum = Self::default();
        for container in containers.as_array().map_or(&[][..], Vec::as_slice) {
            let amount = |name: &str| {
                let text = container.pointer(resources).and_then(|resources| resources[name].as_str());
                text.and_then(|text| Amount::parse(text).ok()).map_or(0.0, Amount::as_f64)
            };
            sum.add(Self { cpu: amount("cpu"), memory_bytes: amount("memory") });
        }
        sum
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    namespace: String,
    name: String,
    state: String,
    reserved: Usage,
    used: Option<Usage>,
}

/// Runs the command.
///
/// # Errors
/// When the deployments or pods cannot be listed. A cluster without metrics is no error.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let used = used(args, connection).await?;
    let mut rows = match &args.name {
        Some(name) => of_pods(deployment_name(name)?, connection, used.as_ref()).await?,
        None => of_deployments(args, connection, used.as_ref()).await?,
    };
    sort(&mut rows, args.sort_by);
    match args.output {
        TextOrJson::Json => output::json(&as_json(&rows)),
        TextOrJson::Text if rows.is_empty() => {
            say("nothing runs here");
            Ok(())
        }
        TextOrJson::Text => output::table(&table(&rows, args), args.no_headers),
    }
}

/// What pods use, by namespace, cluster and pod; `None` where nobody measures.
type Used = BTreeMap<(String, String, String), Usage>;

async fn used(args: &Args, connection: &Connection) -> Result<Option<Used>, Failure> {
    let metrics = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics");
    let resource = ApiResource::from_gvk_with_plural(&metrics, "pods");
    let api = connection.api(&resource, args.all_namespaces);
    let found = match api.list(&ListParams::default().labels("app")).await {
        Ok(found) => found,
        Err(error) => {
            let failure = Failure::from_kube(&error, "podmetrics");
            return match failure.kind() {
                Kind::NotFound => Ok(None),
                Kind::Forbidden => {
                    say(&format!("what is used is not shown: {}", failure.message()));
                    Ok(None)
                }
                // The metrics API has a server of its own, which may be away.
                Kind::Unreachable => {
                    say(&format!("what is used is not known: {}", failure.message()));
                    Ok(None)
                }
                _ => Err(failure),
            };
        }
    };
    let measured = found.items.into_iter().map(|pod| {
        let labels = pod.metadata.labels.unwrap_or_default();
        let cluster = labels.get("app").cloned().unwrap_or_default();
        let key =
            (pod.metadata.namespace.unwrap_or_default(), cluster, pod.metadata.name.unwrap_or_default());
        (key, Usage::of_containers(&pod.data["containers"], "/usage"))
    });
    Ok(Some(measured.collect()))
}

async fn of_deployments(
    args: &Args,
    connection: &Connection,
    used: Option<&Used>,
) -> Result<Vec<Row>, Failure> {
    let api = connection.api(&FlinkKind::Deployment.resource(), args.all_namespaces);
    let found = api
        .list(&ListParams::default())
        .await
        .map_err(|error| Failure::from_kube(&error, FlinkKind::Deployment.names()[0]))?;
    // One that cannot be read takes nothing that is known.
    let views = found.items.into_iter().filter_map(|object| View::from_object(object).ok());
    Ok(views.map(|view| of_deployment(&view, used)).collect())
}

fn of_deployment(view: &View, used: Option<&Used>) -> Row {
    let info = view.status.cluster_info.clone().unwrap_or_default();
    let number = |key: &str| info.get(key).and_then(|text| text.parse().ok()).unwrap_or_default();
    let used = used.map(|used| {
        let mut sum = Usage::default();
        let mine = used
            .iter()
            .filter(|((namespace, cluster, _), _)| *namespace == view.namespace && *cluster == view.name);
        mine.for_each(|(_, usage)| sum.add(*usage));
        sum
    });
    Row {
        namespace: view.namespace.clone(),
        name: view.name.clone(),
        state: view.job_state().map_or_else(String::new, |state| state.as_str().to_owned()),
        reserved: Usage { cpu: number("total-cpu"), memory_bytes: number("total-memory") },
        used,
    }
}

async fn of_pods(name: &str, connection: &Connection, used: Option<&Used>) -> Result<Vec<Row>, Failure> {
    let object = FlinkKind::Deployment.object(name);
    deployments(connection).get(name).await.map_err(|error| Failure::from_kube(&error, &object))?;
    let pods: Api<Pod> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let selector = format!("app={name}");
    let found = pods
        .list(&ListParams::default().labels(&selector))
        .await
        .map_err(|error| Failure::from_kube(&error, "pods"))?;
    let rows = found.items.into_iter().map(|pod| {
        let whole = json!(pod);
        let name = pod.metadata.name.unwrap_or_default();
        let key = (connection.namespace.clone(), selector["app=".len()..].to_owned(), name.clone());
        Row {
            namespace: connection.namespace.clone(),
            name,
            state: whole.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default().to_owned(),
            reserved: Usage::of_containers(&whole["spec"]["containers"], "/resources/requests"),
            used: used.map(|used| used.get(&key).copied().unwrap_or_default()),
        }
    });
    Ok(rows.collect())
}

fn sort(rows: &mut [Row], order: Order) {
    let most = |row: &Row| row.used.unwrap_or(row.reserved);
    rows.sort_by(|a, b| {
        let by_amount = match order {
            Order::Memory => most(b).memory_bytes.total_cmp(&most(a).memory_bytes),
            Order::Cpu => most(b).cpu.total_cmp(&most(a).cpu),
            Order::Name => std::cmp::Ordering::Equal,
        };
        by_amount.then_with(|| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)))
    });
}

fn table(rows: &[Row], args: &Args) -> Table {
    let is_measured = rows.iter().any(|row| row.used.is_some());
    let mut headings = vec![if args.name.is_some() { "POD" } else { "NAME" }, "STATUS", "CPU", "MEMORY"];
    if args.all_namespaces {
        headings.insert(0, "NAMESPACE");
    }
    if is_measured {
        headings.extend(["USED CPU", "USED MEMORY"]);
    }
    let mut table = Table::with_headings(headings.into_iter().map(str::to_owned).collect());
    for row in rows {
        let mut cells = vec![row.name.clone(), row.state.clone()];
        if args.all_namespaces {
            cells.insert(0, row.namespace.clone());
        }
        cells.extend(words(row.reserved));
        cells.extend(row.used.map(words).into_iter().flatten());
        table.push(cells);
    }
    table
}

/// Nothing is no amount: a suspended job takes nothing, and of some nothing is known.
fn words(usage: Usage) -> [String; 2] {
    let cpu = if usage.cpu > 0.0 { format!("{:.2}", usage.cpu) } else { "-".to_owned() };
    let mebibytes = usage.memory_bytes / f64::from(1 << 20);
    let memory = if mebibytes > 0.0 { format!("{mebibytes:.0}Mi") } else { "-".to_owned() };
    [cpu, memory]
}

fn as_json(rows: &[Row]) -> Value {
    let usage = |usage: Usage| json!({"cpu": usage.cpu, "memoryBytes": usage.memory_bytes});
    let items: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "namespace": row.namespace,
                "name": row.name,
                "state": row.state,
                "reserved": usage(row.reserved),
                "used": row.used.map(usage),
            })
        })
        .collect();
    json!({"apiVersion": "drey.dev/v1", "kind": "Top", "items": items})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::view;

    #[test]
    fn a_deployment_uses_what_its_pods_use_and_reserves_what_flink_counts() {
        let status = json!({"jobStatus": {"state": "RUNNING"},
            "clusterInfo": {"total-cpu": "2.5", "total-memory": "2147483648"}});
        let containers = json!([{"usage": {"cpu": "250000000n", "memory": "1048576Ki"}},
                                {"usage": {"cpu": "50m"}}]);
        let pod =
            |namespace: &str, cluster: &str| (namespace.to_owned(), cluster.to_owned(), "pod".to_owned());
        let usage = Usage::of_containers(&containers, "/usage");
        let used = Used::from([
            (pod("default", "a"), usage),
            (pod("other", "a"), usage),
            (pod("default", "b"), usage),
        ]);
        let row = of_deployment(&view(&json!({}), &status), Some(&used));
        assert_eq!(words(row.reserved), ["2.50", "2048Mi"]);
        assert_eq!(words(row.used.expect("measured")), ["0.30", "1024Mi"]);
    }

    #[test]
    fn the_largest_comes_first() {
        let row = |name: &str, cpu: f64, memory_bytes: f64| Row {
            namespace: String::new(),
            name: name.to_owned(),
            state: String::new(),
            reserved: Usage { cpu, memory_bytes },
            used: None,
        };
        let mut rows = [row("a", 1.0, 3.0), row("b", 2.0, 1.0), row("c", 2.0, 2.0)];
        for (order, names) in [(Order::Memory, "acb"), (Order::Cpu, "bca"), (Order::Name, "abc")] {
            sort(&mut rows, order);
            let sorted: String = rows.iter().map(|row| row.name.as_str()).collect();
            assert_eq!(sorted, names, "{order:?}");
        }
    }
}
