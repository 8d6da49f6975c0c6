//! `drey validate`: every rule, offline.

use std::path::Path;

use drey_api::defaults::Defaults;
use serde_json::{Value, json};

use super::files::Files;
use crate::connection::STATE_DIRECTORY;
use crate::failure::{Failure, Kind};
use crate::judge::{self, Problem};
use crate::laptop;
use crate::manifest;
use crate::output::{self, TextOrJson};

/// Check files against every rule, without any cluster
///
/// Prints every problem as `file:line: field: what is wrong (how to fix it)`: text that is no YAML, wrong
/// types, unknown fields with the nearest known name, and every rule that the operator would apply.
/// Ends with 0 when there is none and with 5 otherwise.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which files.
    #[command(flatten)]
    pub files: Files,
    /// Judge as an operator that has no configuration of its own
    ///
    /// Without it files are judged as in laptop mode, where every cluster has high availability and
    /// directories for checkpoints and savepoints.
    #[arg(long)]
    pub cluster: bool,
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
}

/// Runs the command.
///
/// # Errors
/// When there is any problem.
pub fn run(args: &Args) -> Result<(), Failure> {
    let documents = manifest::read_files(&args.files.all())?;
    if documents.is_empty() {
        return Err(Failure::new(Kind::Invalid, "there is no object in the files"));
    }
    let defaults =
        if args.cluster { Defaults::default() } else { laptop::defaults(Path::new(STATE_DIRECTORY)) };
    let problems = judge::problems(&documents, "default", &defaults);
    match args.output {
        TextOrJson::Json => output::json(&as_json(documents.len(), &problems))?,
        TextOrJson::Text => problems.iter().try_for_each(|problem| output::line(&problem.to_string()))?,
    }
    if problems.is_empty() {
        if args.output == TextOrJson::Text {
            output::line(&format!("{} valid", count(documents.len(), "object")))?;
        }
        return Ok(());
    }
    let message = format!("{} in {}", count(problems.len(), "problem"), count(documents.len(), "object"));
    Err(Failure::new(Kind::Invalid, message))
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn as_json(objects: usize, problems: &[Problem]) -> Value {
    let problems: Vec<Value> = problems
        .iter()
        .map(|problem| {
            json!({
                "place": problem.place,
                "object": problem.object,
                "field": problem.field,
                "message": problem.message,
                "hint": problem.hint,
            })
        })
        .collect();
    json!({
        "apiVersion": "drey.dev/v1",
        "kind": "Validation",
        "objects": objects,
        "valid": problems.is_empty(),
        "problems": problems,
    })
}
