//! `drey version`.

use drey_api::kinds::{API_VERSION, FlinkVersion};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, TextOrJson};

/// Print the version
///
/// With `-o json` also the API version and the Flink versions that it manages.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
}

/// Runs the command.
///
/// # Errors
/// When standard output does not take it.
pub fn run(args: &Args) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        TextOrJson::Text => output::line(&format!("drey {version}")),
        TextOrJson::Json => {
            let flink = FlinkVersion::ALL.iter().filter(|version| version.supported());
            output::json(&json!({
                "apiVersion": "drey.dev/v1",
                "kind": "Version",
                "version": version,
                "flinkApiVersion": API_VERSION,
                "flinkVersions": flink.map(|version| version.as_str()).collect::<Vec<_>>(),
            }))
        }
    }
}
