//! Process memory of JobManager and TaskManager where the spec leaves it to the Flink configuration.
//!
//! Flink accepts the whole process, the Flink part of it, or its fine parts, and works out the rest; the
//! sums here are those of its memory model. Refuses to know what the parts are used for.

use std::collections::BTreeMap;

use crate::configuration::first_of;
use crate::kinds::FlinkVersion;
use crate::memory::parse_bytes;

const MEBIBYTE: i64 = 1 << 20;
const GIBIBYTE: i64 = 1 << 30;

/// The configuration does not say how much memory a process gets, or its parts do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undefined;

type Configuration = BTreeMap<String, String>;

/// Bytes of the JobManager process.
pub(crate) fn job_manager(configuration: &Configuration) -> Result<i64, Undefined> {
    let off_heap = size_or(configuration, "jobmanager.memory.off-heap.size", 128 * MEBIBYTE)?;
    let heap_keys = ["jobmanager.memory.heap.size", "jobmanager.heap.size", "jobmanager.heap.mb"];
    let process = Process::read(configuration, "jobmanager")?;
    if let Some(heap) = size(configuration, &heap_keys)? {
        return process.around(add(heap, off_heap)?);
    }
    if let Some(flink) = process.flink {
        return if flink > off_heap { process.around(flink) } else { Err(Undefined) };
    }
    let total = process.total.ok_or(Undefined)?;
    if process.flink_of(total)? > off_heap { Ok(total) } else { Err(Undefined) }
}

/// Bytes of each TaskManager process.
pub(crate) fn task_manager(configuration: &Configuration, version: FlinkVersion) -> Result<i64, Undefined> {
    let process = Process::read(configuration, "taskmanager")?;
    let parts = TaskManagerParts::read(configuration, version)?;
    if let (Some(task_heap), Some(managed)) = (parts.task_heap, parts.managed) {
        let flink = match process.flink {
            Some(flink) => flink,
            None => parts.flink_from(task_heap, managed)?,
        };
        return if add(parts.least(flink)?, task_heap)? <= flink {
            process.around(flink)
        } else {
            Err(Undefined)
        };
    }
    let (flink, total) = match (process.flink, process.total) {
        (Some(flink), _) => (flink, process.around(flink)?),
        (None, Some(total)) => (process.flink_of(total)?, total),
        (None, None) => return Err(Undefined),
    };
    if parts.least(flink)? <= flink { Ok(total) } else { Err(Undefined) }
}

/// What both processes have around their Flink memory: metaspace, and an overhead that is a fraction of
/// the whole within bounds.
struct Process {
    total: Option<i64>,
    flink: Option<i64>,
    metaspace: i64,
    overhead: Share,
}

impl Process {
    fn read(configuration: &Configuration, process: &str) -> Result<Self, Undefined> {
        let key = |name: &str| format!("{process}.memory.{name}");
        Ok(Self {
            total: size(configuration, &[&key("process.size")])?,
            flink: size(configuration, &[&key("flink.size")])?,
            metaspace: size_or(configuration, &key("jvm-metaspace.size"), 256 * MEBIBYTE)?,
            overhead: Share {
                fraction: fraction(configuration, &key("jvm-overhead.fraction"), 0.1)?,
                least: size_or(configuration, &key("jvm-overhead.min"), 192 * MEBIBYTE)?,
                most: size_or(configuration, &key("jvm-overhead.max"), GIBIBYTE)?,
            },
        })
    }

    /// The process around a given Flink memory. A process size that is given too has to leave an
    /// overhead within bounds.
    fn around(&self, flink: i64) -> Result<i64, Undefined> {
        let inner = add(flink, self.metaspace)?;
        match self.total {
            Some(total) => {
                let left = total - inner;
                if (self.overhead.least..=self.overhead.most).contains(&left) {
                    Ok(total)
                } else {
                    Err(Undefined)
                }
            }
            None => add(inner, self.overhead.on_top_of(inner)),
        }
    }

    fn flink_of(&self, total: i64) -> Result<i64, Undefined> {
        let flink = total - self.metaspace - self.overhead.of(total);
        if flink > 0 { Ok(flink) } else { Err(Undefined) }
    }
}

struct TaskManagerParts {
    task_heap: Option<i64>,
    managed: Option<i64>,
    managed_fraction: f64,
    fixed: i64,
    network: Share,
}

impl TaskManagerParts {
    fn read(configuration: &Configuration, version: FlinkVersion) -> Result<Self, Undefined> {
        let part =
            |name: &str, default: i64| size_or(configuration, &format!("taskmanager.memory.{name}"), default);
        let framework = add(
            part("framework.heap.size", 128 * MEBIBYTE)?,
            part("framework.off-heap.size", 128 * MEBIBYTE)?,
        )?;
        // Since 1.17 network memory has no upper bound of its own.
        let network_most = if version >= FlinkVersion::V1_17 { i64::MAX } else { GIBIBYTE };
        Ok(Self {
            task_heap: size(configuration, &["taskmanager.memory.task.heap.size"])?,
            managed: size(configuration, &["taskmanager.memory.managed.size"])?,
            managed_fraction: fraction(configuration, "taskmanager.memory.managed.fraction", 0.4)?,
            fixed: add(framework, part("task.off-heap.size", 0)?)?,
            network: Share {
                fraction: fraction(configuration, "taskmanager.memory.network.fraction", 0.1)?,
                least: part("network.min", 64 * MEBIBYTE)?,
                most: part("network.max", network_most)?,
            },
        })
    }

    fn flink_from(&self, task_heap: i64, managed: i64) -> Result<i64, Undefined> {
        let inner = add(add(self.fixed, task_heap)?, managed)?;
        add(inner, self.network.on_top_of(inner))
    }

    /// What Flink memory has to hold besides the heap of tasks.
    fn least(&self, flink: i64) -> Result<i64, Undefined> {
        let managed = self.managed.unwrap_or_else(|| portion(flink, self.managed_fraction));
        add(add(self.fixed, managed)?, self.network.of(flink))
    }
}

/// A fraction of a whole, within bounds.
struct Share {
    fraction: f64,
    least: i64,
    most: i64,
}

impl Share {
    fn of(&self, whole: i64) -> i64 {
        self.bounded(portion(whole, self.fraction))
    }

    fn on_top_of(&self, rest: i64) -> i64 {
        self.bounded(portion(rest, self.fraction / (1.0 - self.fraction)))
    }

    fn bounded(&self, amount: i64) -> i64 {
        amount.min(self.most).max(self.least)
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "Flink rounds the same way")]
fn portion(whole: i64, fraction: f64) -> i64 {
    (whole as f64 * fraction) as i64
}

fn add(left: i64, right: i64) -> Result<i64, Undefined> {
    left.checked_add(right).ok_or(Undefined)
}

fn size(configuration: &Configuration, keys: &[&str]) -> Result<Option<i64>, Undefined> {
    first_of(configuration, keys)
        .map(|(key, value)| {
            let text = if key.ends_with(".heap.mb") { format!("{value}m") } else { value.to_owned() };
            parse_bytes(&text).map_err(|_| Undefined)
        })
        .transpose()
}

fn size_or(configuration: &Configuration, key: &str, default: i64) -> Result<i64, Undefined> {
    Ok(size(configuration, &[key])?.unwrap_or(default))
}

fn fraction(configuration: &Configuration, key: &str, default: f64) -> Result<f64, Undefined> {
    let value = match configuration.get(key) {
        Some(text) => text.trim().parse().map_err(|_| Undefined)?,
        None => default,
    };
    if (0.0..1.0).contains(&value) { Ok(value) } else { Err(Undefined) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(entries: &[(&str, &str)]) -> Configuration {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn job_manager_sizes() {
        let table = [
            (vec![], Err(Undefined)),
            (vec![("jobmanager.memory.process.size", "1600m")], Ok(1600 * MEBIBYTE)),
            (vec![("jobmanager.memory.process.size", "300m")], Err(Undefined)),
            // 2048 heap + 128 off-heap + 256 metaspace = 2432; a ninth of it on top.
            (vec![("jobmanager.memory.heap.size", "2048m")], Ok(2432 * MEBIBYTE + 2432 * MEBIBYTE / 9)),
            (vec![("jobmanager.memory.flink.size", "1024m")], Ok((1024 + 256 + 192) * MEBIBYTE)),
            (vec![("jobmanager.memory.process.size", "junk")], Err(Undefined)),
        ];
        for (entries, expected) in table {
            assert_eq!(job_manager(&configuration(&entries)), expected, "{entries:?}");
        }
    }

    #[test]
    fn task_manager_sizes() {
        let heap = ("taskmanager.memory.task.heap.size", "1024m");
        let managed = ("taskmanager.memory.managed.size", "1024m");
        let process = ("taskmanager.memory.process.size", "1728m");
        let sizes = |entries: &[(&str, &str)]| task_manager(&configuration(entries), FlinkVersion::V1_20);
        assert_eq!(sizes(&[]), Err(Undefined));
        assert_eq!(sizes(&[heap]), Err(Undefined));
        assert_eq!(sizes(&[process]), Ok(1728 * MEBIBYTE));
        assert_eq!(sizes(&[("taskmanager.memory.process.size", "512m")]), Err(Undefined));
        // 2304 without network, a ninth of it for network: 2560; 256 metaspace; a ninth of 2816 on top.
        assert_eq!(sizes(&[heap, managed]), Ok(2816 * MEBIBYTE + 2816 * MEBIBYTE / 9));
        assert_eq!(
            sizes(&[("taskmanager.memory.flink.size", "2048m")]),
            Ok(2304 * MEBIBYTE + 2304 * MEBIBYTE / 9)
        );
    }
}
