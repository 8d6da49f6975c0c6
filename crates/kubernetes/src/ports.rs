//! The ports of a cluster. Services and pods need fixed ones, so that what Flink leaves open is set here, as Flink's
//! own client does.

use std::collections::BTreeMap;

use crate::error::BuildError;
use crate::settings::Settings;

const REST: u16 = 8081;
const JOB_MANAGER_RPC: u16 = 6123;
const BLOB: u16 = 6124;
const TASK_MANAGER_RPC: u16 = 6122;

/// The ports that pods and Services name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// Where the REST API is reached.
    pub(crate) rest: u16,
    /// Where the JobManager listens for it.
    pub(crate) rest_bind: u16,
    /// RPC of the JobManager.
    pub(crate) job_manager_rpc: u16,
    /// Blob server of the JobManager.
    pub(crate) blob: u16,
    /// RPC of the TaskManagers.
    pub(crate) task_manager_rpc: u16,
}

/// Gives a fixed port to whatever has none.
pub(crate) fn fix(
    configuration: &mut BTreeMap<String, String>,
    high_availability: bool,
) -> Result<(), BuildError> {
    let rpc = port(configuration, &["jobmanager.rpc.port"], JOB_MANAGER_RPC)?;
    fix_one(configuration, "blob.server.port", BLOB)?;
    fix_one(configuration, "taskmanager.rpc.port", TASK_MANAGER_RPC)?;
    // Without one of its own, the listener has the port by which it is reached.
    if Settings(configuration).text(&["rest.bind-port"]).is_some() {
        fix_one(configuration, "rest.bind-port", REST)?;
    }
    if high_availability {
        fix_one(configuration, "high-availability.jobmanager.port", rpc)?;
    }
    Ok(())
}

/// The ports of a configuration that is [`fix`]ed.
pub(crate) fn of(configuration: &BTreeMap<String, String>) -> Result<Ports, BuildError> {
    let rest = port(configuration, &["rest.port"], REST)?;
    Ok(Ports {
        rest,
        rest_bind: port(configuration, &["rest.bind-port"], rest)?,
        job_manager_rpc: port(configuration, &["jobmanager.rpc.port"], JOB_MANAGER_RPC)?,
        blob: port(configuration, &["blob.server.port"], BLOB)?,
        task_manager_rpc: port(configuration, &["taskmanager.rpc.port"], TASK_MANAGER_RPC)?,
    })
}

fn fix_one(configuration: &mut BTreeMap<String, String>, key: &str, default: u16) -> Result<(), BuildError> {
    if configuration.get(key).is_none_or(|text| text.trim() == "0") {
        configuration.insert(key.to_owned(), default.to_string());
    }
    port(configuration, &[key], default).map(drop)
}

fn port(configuration: &BTreeMap<String, String>, keys: &[&str], default: u16) -> Result<u16, BuildError> {
    match Settings(configuration).text(keys) {
        None => Ok(default),
        Some(text) => match text.trim().parse() {
            Ok(0) | Err(_) => {
                Err(BuildError::value(keys[0], text, "one fixed port, since pods and Services name it"))
            }
            Ok(port) => Ok(port),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(entries: &[(&str, &str)], high_availability: bool) -> Result<Ports, BuildError> {
        let mut configuration =
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        fix(&mut configuration, high_availability)?;
        of(&configuration)
    }

    #[test]
    fn open_ports_become_flinks_usual_ones() {
        let ports = fixed(&[("blob.server.port", "0")], true).unwrap();
        assert_eq!((ports.rest, ports.rest_bind), (8081, 8081));
        assert_eq!((ports.job_manager_rpc, ports.blob, ports.task_manager_rpc), (6123, 6124, 6122));
    }

    #[test]
    fn the_listener_follows_the_rest_port() {
        let ports = fixed(&[("rest.port", "9000")], false).unwrap();
        assert_eq!((ports.rest, ports.rest_bind), (9000, 9000));
        let ports = fixed(&[("rest.port", "9000"), ("rest.bind-port", "9001")], false).unwrap();
        assert_eq!((ports.rest, ports.rest_bind), (9000, 9001));
    }

    #[test]
    fn ranges_are_refused_by_name() {
        let error = fixed(&[("blob.server.port", "50100-50200")], false).unwrap_err().to_string();
        assert!(error.contains("`blob.server.port: 50100-50200`: expected one fixed port"), "{error}");
    }
}
