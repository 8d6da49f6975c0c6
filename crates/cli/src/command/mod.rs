//! One file per command.

pub mod apply;
pub mod checkpoint;
pub mod completion;
pub mod config;
pub mod crds;
pub mod delete;
pub mod describe;
pub mod diff;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod files;
pub mod get;
pub mod logs;
pub mod manual;
pub mod migrate;
pub mod proxy;
pub mod rescale;
pub mod restart;
pub mod restore;
pub mod resume;
pub mod rollback;
pub mod savepoint;
pub mod status;
pub mod suspend;
pub mod top;
pub mod tree;
pub mod upgrade;
pub mod validate;
pub mod version;
pub mod wait;

use std::time::Duration;

use crate::failure::{Failure, Kind};
use crate::follow::parse_timeout;
use crate::kinds::FlinkKind;

/// Whether and how long a command waits for what it asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct WaitArgs {
    /// Return at once, without waiting for the outcome
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait: `90s`, `5m`, `1h`
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_timeout)]
    pub timeout: Duration,
}

/// The name in `NAME` or `flinkdeployment/NAME`.
///
/// # Errors
/// Another kind before the slash.
pub fn deployment_name(text: &str) -> Result<&str, Failure> {
    match text.split_once('/') {
        None => Ok(text),
        Some((kind, name)) if FlinkKind::from_name(kind) == Some(FlinkKind::Deployment) => Ok(name),
        Some((kind, _)) => Err(Failure::new(Kind::Usage, format!("`{kind}` is not a FlinkDeployment"))
            .hint("give the name alone, or `flinkdeployment/NAME`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_kind() {
        assert_eq!(deployment_name("a"), Ok("a"));
        assert_eq!(deployment_name("flinkdep/a"), Ok("a"));
        assert_eq!(deployment_name("pod/a").expect_err("other kind").kind(), Kind::Usage);
    }
}
