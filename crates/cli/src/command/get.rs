//! `drey get`: lists of objects.

use clap_complete::engine::ArgValueCandidates;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use serde_json::Value;

use crate::complete;
use crate::connection::Connection;
use crate::failure::{Failure, Kind};
use crate::jsonpath::JsonPath;
use crate::kinds::FlinkKind;
use crate::output::{self, FORMATS, Format, say};
use crate::table::Table;

/// Page of a list request.
const PAGE_OBJECTS: u32 = 500;

/// List deployments and other objects
///
/// `drey get` lists deployments; `drey get NAME` and `drey get deployments NAME` show one. With
/// `-o json` and `-o yaml` the objects are those of Kubernetes, unchanged. `-o jsonl` prints one object a
/// line, which suits `--watch`; `-o custom-columns=NAME:.metadata.name` prints columns of your own.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// `deployments`, `sessionjobs`, `snapshots` or `bluegreen`; or the name of a deployment
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,
    /// Names of the objects; all without one
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::deployments))]
    pub names: Vec<String>,
    /// How the objects are written.
    #[arg(short, long, default_value = "table", help = format!("Output: {FORMATS}"))]
    pub output: Format,
    /// Stay, and print every change
    #[arg(short, long)]
    pub watch: bool,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Label selector
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Field selector
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// Sort by a field, such as `.metadata.creationTimestamp`
    #[arg(long, value_name = "PATH", value_parser = JsonPath::parse)]
    pub sort_by: Option<JsonPath>,
    /// Leave the headings out
    #[arg(long)]
    pub no_headers: bool,
}

/// Runs the command.
///
/// # Errors
/// Why the objects could not be listed; `not-found` when a named one does not exist.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let (kind, names) = selection(args)?;
    let listing = Listing { args, kind, api: connection.api(&kind.resource(), args.all_namespaces) };
    if !names.is_empty() && (args.all_namespaces || args.selector.is_some()) {
        let message = "a name cannot be combined with `-A` or `-l`";
        return Err(Failure::new(Kind::Usage, message));
    }
    let (mut objects, version) = listing.fetch(&names).await?;
    if let Some(path) = &args.sort_by {
        listing.sort(&mut objects, path)?;
    }
    if objects.is_empty() && !args.watch && matches!(args.output, Format::Table | Format::Wide) {
        say(&nothing_found(args, kind, connection));
        return Ok(());
    }
    listing.print_all(objects, !names.is_empty())?;
    if args.watch { listing.watch(&names, version).await } else { Ok(()) }
}

fn nothing_found(args: &Args, kind: FlinkKind, connection: &Connection) -> String {
    let what = kind.names()[0];
    if args.all_namespaces {
        format!("no {what} found")
    } else {
        format!("no {what} found in namespace `{}`", connection.namespace)
    }
}

/// The first word is a kind, `kind/name`, or else the name of a deployment.
fn selection(args: &Args) -> Result<(FlinkKind, Vec<String>), Failure> {
    let Some(first) = &args.kind else { return Ok((FlinkKind::default(), Vec::new())) };
    if let Some((kind, name)) = first.split_once('/') {
        let kind = FlinkKind::from_name(kind).ok_or_else(|| {
            Failure::new(Kind::Usage, format!("there is no kind `{kind}`"))
                .hint("the kinds are `deployments`, `sessionjobs`, `snapshots` and `bluegreen`")
        })?;
        return Ok((kind, std::iter::once(name.to_owned()).chain(args.names.iter().cloned()).collect()));
    }
    match FlinkKind::from_name(first) {
        Some(kind) => Ok((kind, args.names.clone())),
        None => Ok((FlinkKind::Deployment, std::iter::once(first).chain(&args.names).cloned().collect())),
    }
}

struct Listing<'a> {
    args: &'a Args,
    kind: FlinkKind,
    api: Api<DynamicObject>,
}

impl Listing<'_> {
    /// The objects, and the version of the list from which a watch goes on.
    async fn fetch(&self, names: &[String]) -> Result<(Vec<DynamicObject>, String), Failure> {
        if names.is_empty() {
            return self.fetch_all().await;
        }
        let mut objects = Vec::new();
        for name in names {
            let object = self.kind.object(name);
            let found = self.api.get(name).await.map_err(|error| Failure::from_kube(&error, &object))?;
            objects.push(found);
        }
        let version = objects.last().and_then(|object| object.metadata.resource_version.clone());
        Ok((objects, version.unwrap_or_default()))
    }

    async fn fetch_all(&self) -> Result<(Vec<DynamicObject>, String), Failure> {
        let mut parameters = ListParams::default().limit(PAGE_OBJECTS);
        parameters.label_selector = self.args.selector.clone();
        parameters.field_selector = self.args.field_selector.clone();
        let mut objects = Vec::new();
        loop {
            let page = self
                .api
                .list(&parameters)
                .await
                .map_err(|error| Failure::from_kube(&error, self.kind.names()[0]))?;
            objects.extend(page.items);
            let next = page.metadata.continue_.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok((objects, page.metadata.resource_version.unwrap_or_default()));
            }
            parameters.continue_token = next;
        }
    }

    fn print_all(&self, objects: Vec<DynamicObject>, named: bool) -> Result<(), Failure> {
        match &self.args.output {
            Format::Table | Format::Wide => output::table(&self.table(&objects), self.args.no_headers),
            Format::Name => objects.iter().try_for_each(|object| output::line(&self.name_of(object))),
            Format::Json => output::json(&self.whole(objects, named)?),
            Format::JsonLines => {
                objects.into_iter().try_for_each(|object| output::json_line(&self.as_value(object)?))
            }
            Format::CustomColumns(_) => self.print_columns(objects, self.args.no_headers),
            Format::Yaml => output::yaml(&self.whole(objects, named)?),
            Format::JsonPath(path) => output::line(&path.render(&self.whole(objects, named)?)),
        }
    }

    fn print_columns(&self, objects: Vec<DynamicObject>, no_headers: bool) -> Result<(), Failure> {
        let Format::CustomColumns(columns) = &self.args.output else { return Ok(()) };
        let objects = self.as_values(objects)?;
        output::table(&columns.table(&objects), no_headers)
    }

    /// By what stands at a path; numbers as numbers, those without anything first.
    fn sort(&self, objects: &mut Vec<DynamicObject>, path: &JsonPath) -> Result<(), Failure> {
        let mut keyed = std::mem::take(objects)
            .into_iter()
            .map(|object| Ok((path.render(&self.as_value(object.clone())?), object)))
            .collect::<Result<Vec<_>, Failure>>()?;
        keyed.sort_by(|(a, _), (b, _)| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        });
        objects.extend(keyed.into_iter().map(|(_, object)| object));
        Ok(())
    }

    /// One named object stands for itself; several are a `List`.
    fn whole(&self, objects: Vec<DynamicObject>, named: bool) -> Result<Value, Failure> {
        let mut items = self.as_values(objects)?;
        if named && items.len() == 1 {
            return Ok(items.remove(0));
        }
        Ok(output::list(&items))
    }

    fn as_values(&self, objects: Vec<DynamicObject>) -> Result<Vec<Value>, Failure> {
        objects.into_iter().map(|object| self.as_value(object)).collect()
    }

    /// Items of a list carry no kind of their own on the wire; `kubectl` prints it nevertheless.
    fn as_value(&self, mut object: DynamicObject) -> Result<Value, Failure> {
        let resource = self.kind.resource();
        object
            .types
            .get_or_insert(kube::core::TypeMeta { api_version: resource.api_version, kind: resource.kind });
        serde_json::to_value(object)
            .map_err(|error| Failure::new(Kind::Internal, format!("the object cannot be written: {error}")))
    }

    fn name_of(&self, object: &DynamicObject) -> String {
        let kind = self.kind.resource().kind.to_lowercase();
        format!("{kind}.flink.apache.org/{}", object.metadata.name.as_deref().unwrap_or_default())
    }

    fn table(&self, objects: &[DynamicObject]) -> Table {
        let wide = self.args.output == Format::Wide;
        let mut headings: Vec<String> = self.kind.headings(wide).into_iter().map(str::to_owned).collect();
        if self.args.all_namespaces {
            headings.insert(0, "NAMESPACE".to_owned());
        }
        let mut table = Table::with_headings(headings);
        for object in objects {
            let mut cells = self.kind.cells(object, wide, Timestamp::now());
            if self.args.all_namespaces {
                cells.insert(0, object.metadata.namespace.clone().unwrap_or_default());
            }
            table.push(cells);
        }
        table
    }

    async fn watch(&self, names: &[String], version: String) -> Result<(), Failure> {
        tokio::select! {
            outcome = self.print_changes(names, version) => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Kind::Interrupted, "stopped watching")),
        }
    }

    async fn print_changes(&self, names: &[String], mut version: String) -> Result<(), Failure> {
        let parameters = WatchParams {
            label_selector: self.args.selector.clone(),
            field_selector: self.args.field_selector.clone(),
            ..WatchParams::default()
        };
        let failed = |error: kube::Error| Failure::from_kube(&error, self.kind.names()[0]);
        loop {
            let mut changes = self.api.watch(&parameters, &version).await.map_err(failed)?.boxed();
            while let Some(change) = changes.try_next().await.map_err(failed)? {
                let object = match change {
                    WatchEvent::Added(object)
                    | WatchEvent::Modified(object)
                    | WatchEvent::Deleted(object) => object,
                    WatchEvent::Bookmark(bookmark) => {
                        version = bookmark.metadata.resource_version;
                        continue;
                    }
                    WatchEvent::Error(status) if status.code == 410 => {
                        let (objects, newest) = self.fetch(names).await?;
                        self.print_rows(&objects)?;
                        version = newest;
                        break;
                    }
                    WatchEvent::Error(status) => return Err(failed(kube::Error::Api(status))),
                };
                version = object.metadata.resource_version.clone().unwrap_or(version);
                let wanted = names.is_empty()
                    || object.metadata.name.as_ref().is_some_and(|name| names.contains(name));
                if wanted {
                    self.print_rows(&[object])?;
                }
            }
        }
    }

    fn print_rows(&self, objects: &[DynamicObject]) -> Result<(), Failure> {
        match self.args.output {
            Format::Table | Format::Wide => output::table(&self.table(objects), true),
            Format::CustomColumns(_) => self.print_columns(objects.to_vec(), true),
            Format::Json | Format::JsonLines | Format::Yaml | Format::Name | Format::JsonPath(_) => {
                objects.iter().try_for_each(|object| self.print_all(vec![object.clone()], true))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn select(words: &[&str]) -> Result<(FlinkKind, Vec<String>), Failure> {
        let line = Line::try_parse_from(std::iter::once(&"get").chain(words)).expect("parses");
        selection(&line.args)
    }

    #[test]
    fn a_kind_a_name_or_both() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let expected = [
            (vec![], FlinkKind::Deployment, names(&[])),
            (vec!["snapshots"], FlinkKind::Snapshot, names(&[])),
            (vec!["deployments", "a", "b"], FlinkKind::Deployment, names(&["a", "b"])),
            (vec!["a"], FlinkKind::Deployment, names(&["a"])),
            (vec!["snapshot/s"], FlinkKind::Snapshot, names(&["s"])),
        ];
        for (words, kind, names) in expected {
            assert_eq!(select(&words), Ok((kind, names)), "{words:?}");
        }
        assert_eq!(select(&["pod/x"]).expect_err("unknown").kind(), Kind::Usage);
    }
}
