//! Requests and limits of Flink's container, from the configuration over what the pod template says.

use serde_json::{Map, Value, json};

use crate::error::BuildError;
use crate::settings::Settings;

const MEBIBYTE: i64 = 1024 * 1024;

/// Requests and limits of the process `jobmanager` or `taskmanager`. Cpu and memory are the configuration's; all else
/// stays as the template has it.
pub(crate) fn set(
    container: &mut Map<String, Value>,
    settings: Settings<'_>,
    process: &str,
    memory_bytes: i64,
    cpu_default: f64,
) -> Result<(), BuildError> {
    let (amount, older) = (format!("kubernetes.{process}.cpu.amount"), format!("kubernetes.{process}.cpu"));
    let cpu: f64 = settings.number(&[&amount, &older])?.unwrap_or(cpu_default);
    if !cpu.is_finite() || cpu <= 0.0 {
        return Err(BuildError::value(&amount, &cpu.to_string(), "a number of cores above 0"));
    }
    let cpu_limit = cpu * factor(settings, &format!("kubernetes.{process}.cpu.limit-factor"))?;
    let memory = memory_bytes / MEBIBYTE;
    let memory_factor = factor(settings, &format!("kubernetes.{process}.memory.limit-factor"))?;
    let resources = crate::pod::object(container, "resources")?;
    for (kind, cpu, memory) in
        [("requests", cpu, memory), ("limits", cpu_limit, times(memory, memory_factor))]
    {
        let amounts = crate::pod::object(resources, kind)?;
        amounts.insert("cpu".to_owned(), json!(format!("{cpu:?}")));
        amounts.insert("memory".to_owned(), json!(format!("{memory}Mi")));
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "whole mebibytes, cut as Flink cuts them; sizes of memory are far below 2^53"
)]
fn times(mebibytes: i64, factor: f64) -> i64 {
    (mebibytes as f64 * factor) as i64
}

fn factor(settings: Settings<'_>, key: &str) -> Result<f64, BuildError> {
    let factor: f64 = settings.number(&[key])?.unwrap_or(1.0);
    if factor.is_finite() && factor >= 1.0 {
        Ok(factor)
    } else {
        Err(BuildError::value(key, &factor.to_string(), "a factor of at least 1"))
    }
}
