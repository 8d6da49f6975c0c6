//! `drey config`.

use serde_json::{Map, Value, json};

use crate::connection::ConnectionArgs;
use crate::failure::Failure;
use crate::output::{self, TextOrJson};
use crate::settings::{self, Setting};
use crate::table::Table;

/// Show the settings that count here
///
/// A flag counts first, then a variable (`DREY_CONTEXT`), then `drey.toml` of this directory or one above it,
/// `$XDG_CONFIG_HOME/drey/config.toml` and `/etc/drey/config.toml`. The keys of the files are those that are shown.
#[derive(Clone, Debug, clap::Subcommand)]
#[expect(
    missing_docs,
    reason = "a command is told of by the doc comment of its arguments, which one here would hide"
)]
pub enum Command {
    View(ViewArgs),
}

/// Print every setting
///
/// The value that counts here, of whichever flag, variable or file it comes.
#[derive(Clone, Debug, clap::Args)]
pub struct ViewArgs {
    /// Say where each was found
    #[arg(long)]
    pub show_origin: bool,
    /// Output: `text` or `json`
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,
}

impl Command {
    /// Whether failures are to be printed as JSON.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        let Self::View(args) = self;
        args.output == TextOrJson::Json
    }
}

/// Runs the command.
///
/// # Errors
/// A file of settings that is not understood.
pub fn run(command: &Command, connection: &ConnectionArgs) -> Result<(), Failure> {
    let Command::View(args) = command;
    let settings = settings::of(connection)?;
    match args.output {
        TextOrJson::Json => output::json(&as_json(&settings)),
        TextOrJson::Text => output::table(&table(&settings, args.show_origin), false),
    }
}

fn table(settings: &[Setting], show_origin: bool) -> Table {
    let mut headings = vec!["KEY".to_owned(), "VALUE".to_owned()];
    if show_origin {
        headings.push("ORIGIN".to_owned());
    }
    let mut table = Table::with_headings(headings);
    for setting in settings {
        let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
        table.push(vec![setting.key.to_owned(), value, setting.origin.to_string()]);
    }
    table
}

fn as_json(settings: &[Setting]) -> Value {
    let entries = settings.iter().map(|setting| {
        let entry = json!({"value": setting.value, "origin": setting.origin.to_string()});
        (setting.key.to_owned(), entry)
    });
    json!({"apiVersion": "drey.dev/v1", "kind": "Settings", "settings": entries.collect::<Map<_, _>>()})
}
