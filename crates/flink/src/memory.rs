//! Flink's division of a process's memory, enough to refuse what Flink will refuse and to show the parts.
//!
//! It covers the case in which the process size is given and the heap is what remains, which is what a
//! FlinkDeployment does. It refuses to know where the sizes come from, and which sizes are wise.

use std::fmt;

use crate::configuration_file::Entries;

/// One mebibyte in bytes.
pub const MEBIBYTE: u64 = 1024 * 1024;

/// Below this heap Flink warns that the JobManager may not work, in bytes.
pub const JOBMANAGER_HEAP_BYTES_RECOMMENDED: u64 = 128 * MEBIBYTE;

/// The parts of a JobManager's memory, all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobManagerMemory {
    /// The whole process.
    pub process_bytes: u64,
    /// The JVM's heap.
    pub heap_bytes: u64,
    /// Direct and native memory.
    pub off_heap_bytes: u64,
    /// The JVM's metaspace.
    pub metaspace_bytes: u64,
    /// The JVM's own needs.
    pub overhead_bytes: u64,
}

/// The parts of a TaskManager's memory, all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskManagerMemory {
    /// The whole process.
    pub process_bytes: u64,
    /// Heap for Flink itself.
    pub framework_heap_bytes: u64,
    /// Heap for the job's code.
    pub task_heap_bytes: u64,
    /// Managed memory, for state backends and sorting.
    pub managed_bytes: u64,
    /// Off-heap memory for Flink itself.
    pub framework_off_heap_bytes: u64,
    /// Off-heap memory for the job's code.
    pub task_off_heap_bytes: u64,
    /// Network buffers.
    pub network_bytes: u64,
    /// The JVM's metaspace.
    pub metaspace_bytes: u64,
    /// The JVM's own needs.
    pub overhead_bytes: u64,
}

/// A memory configuration that Flink refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The parts do not fit into the process size.
    #[error("`{option}: {}` is too small: {parts} need {}, and {} are there{}", Size(*process_bytes), Size(*needed_bytes), Size(*available_bytes), hint(*enough_bytes))]
    TooSmall {
        /// The option to raise.
        option: &'static str,
        /// Its value.
        process_bytes: u64,
        /// What must fit, with sizes.
        parts: String,
        /// How much that is.
        needed_bytes: u64,
        /// How much there is for it.
        available_bytes: u64,
        /// The smallest whole number of mebibytes that is enough with these settings, if one is.
        enough_bytes: Option<u64>,
    },
    /// A value is no size, or no fraction.
    #[error("`{option}: {value}` is not {expected}")]
    Malformed {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

fn hint(enough_bytes: Option<u64>) -> String {
    enough_bytes.map(|bytes| format!("; {} are enough", Size(bytes))).unwrap_or_default()
}

/// Writes a size in mebibytes, with one digit after the point if it is not whole.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / MEBIBYTE, self.0 % MEBIBYTE);
        if rest == 0 {
            write!(formatter, "{whole}m")
        } else {
            write!(formatter, "{whole}.{}m", rest * 10 / MEBIBYTE)
        }
    }
}

/// The parts of the JobManager that `entries` configure. `None` if they do not give the process size, or
/// give the heap themselves: that is Flink's to judge.
///
/// # Errors
/// [`MemoryError`] if Flink would not start.
pub fn jobmanager(entries: &Entries) -> Result<Option<JobManagerMemory>, MemoryError> {
    const PROCESS: &str = "jobmanager.memory.process.size";
    let Some(process) = size(entries, PROCESS)? else { return Ok(None) };
    if entries.contains_key("jobmanager.memory.heap.size") {
        return Ok(None);
    }
    let metaspace = size(entries, "jobmanager.memory.jvm-metaspace.size")?.unwrap_or(256 * MEBIBYTE);
    let off_heap = size(entries, "jobmanager.memory.off-heap.size")?.unwrap_or(128 * MEBIBYTE);
    let overhead = Share::of(entries, &JOBMANAGER_OVERHEAD)?;
    let divide = |process| divide_jobmanager(process, metaspace, off_heap, overhead);
    divide(process)
        .map(Some)
        .map_err(|shortage| shortage.into_error(PROCESS, process, |size| divide(size).is_ok()))
}

fn divide_jobmanager(
    process: u64,
    metaspace: u64,
    off_heap: u64,
    overhead: Share,
) -> Result<JobManagerMemory, Shortage> {
    let overhead = overhead.from(process);
    let flink = remainder(process, &[("JVM metaspace", metaspace), ("JVM overhead", overhead)])?;
    // Flink wants some heap at least.
    let heap = remainder(flink, &[("off-heap memory", off_heap), ("heap", 1)])? + 1;
    Ok(JobManagerMemory {
        process_bytes: process,
        heap_bytes: heap,
        off_heap_bytes: off_heap,
        metaspace_bytes: metaspace,
        overhead_bytes: overhead,
    })
}

/// The parts of a TaskManager that `entries` configure. `None` if they do not give the process size, or
/// give the task heap themselves: that is Flink's to judge.
///
/// # Errors
/// [`MemoryError`] if Flink would not start.
pub fn taskmanager(entries: &Entries) -> Result<Option<TaskManagerMemory>, MemoryError> {
    const PROCESS: &str = "taskmanager.memory.process.size";
    let Some(process) = size(entries, PROCESS)? else { return Ok(None) };
    if entries.contains_key("taskmanager.memory.task.heap.size") {
        return Ok(None);
    }
    let settings = TaskManagerSettings::of(entries)?;
    let divide = |process| settings.divide(process);
    divide(process)
        .map(Some)
        .map_err(|shortage| shortage.into_error(PROCESS, process, |size| divide(size).is_ok()))
}

struct TaskManagerSettings {
    metaspace: u64,
    overhead: Share,
    framework_heap: u64,
    framework_off_heap: u64,
    task_off_heap: u64,
    managed: Share,
    network: Share,
}

impl TaskManagerSettings {
    fn of(entries: &Entries) -> Result<Self, MemoryError> {
        let or = |option, mebibytes: u64| Ok(size(entries, option)?.unwrap_or(mebibytes * MEBIBYTE));
        let managed_fraction =
            fraction(entries, "taskmanager.memory.managed.fraction")?.unwrap_or(0.4).into();
        let managed = match size(entries, "taskmanager.memory.managed.size")? {
            Some(bytes) => Share { fraction: 0.0, min: bytes, max: bytes },
            None => Share { fraction: managed_fraction, min: 0, max: u64::MAX },
        };
        Ok(Self {
            metaspace: or("taskmanager.memory.jvm-metaspace.size", 256)?,
            overhead: Share::of(entries, &TASKMANAGER_OVERHEAD)?,
            framework_heap: or("taskmanager.memory.framework.heap.size", 128)?,
            framework_off_heap: or("taskmanager.memory.framework.off-heap.size", 128)?,
            task_off_heap: or("taskmanager.memory.task.off-heap.size", 0)?,
            managed,
            network: Share::of(entries, &TASKMANAGER_NETWORK)?,
        })
    }

    fn divide(&self, process: u64) -> Result<TaskManagerMemory, Shortage> {
        let Self { metaspace, overhead, framework_heap, framework_off_heap, task_off_heap, managed, network } =
            *self;
        let overhead = overhead.from(process);
        let flink = remainder(process, &[("JVM metaspace", metaspace), ("JVM overhead", overhead)])?;
        let (managed, network) = (managed.from(flink), network.from(flink));
        let task_heap = remainder(
            flink,
            &[
                ("framework heap", framework_heap),
                ("framework off-heap", framework_off_heap),
                ("task off-heap", task_off_heap),
                ("managed memory", managed),
                ("network memory", network),
            ],
        )?;
        Ok(TaskManagerMemory {
            process_bytes: process,
            framework_heap_bytes: framework_heap,
            task_heap_bytes: task_heap,
            managed_bytes: managed,
            framework_off_heap_bytes: framework_off_heap,
            task_off_heap_bytes: task_off_heap,
            network_bytes: network,
            metaspace_bytes: metaspace,
            overhead_bytes: overhead,
        })
    }
}

/// A fraction of something, within bounds.
#[derive(Clone, Copy)]
struct Share {
    fraction: f64,
    min: u64,
    max: u64,
}

struct ShareOptions {
    fraction: &'static str,
    min: (&'static str, u64),
    max: (&'static str, u64),
}

const JOBMANAGER_OVERHEAD: ShareOptions = ShareOptions {
    fraction: "jobmanager.memory.jvm-overhead.fraction",
    min: ("jobmanager.memory.jvm-overhead.min", 192 * MEBIBYTE),
    max: ("jobmanager.memory.jvm-overhead.max", 1024 * MEBIBYTE),
};

const TASKMANAGER_OVERHEAD: ShareOptions = ShareOptions {
    fraction: "taskmanager.memory.jvm-overhead.fraction",
    min: ("taskmanager.memory.jvm-overhead.min", 192 * MEBIBYTE),
    max: ("taskmanager.memory.jvm-overhead.max", 1024 * MEBIBYTE),
};

const TASKMANAGER_NETWORK: ShareOptions = ShareOptions {
    fraction: "taskmanager.memory.network.fraction",
    min: ("taskmanager.memory.network.min", 64 * MEBIBYTE),
    max: ("taskmanager.memory.network.max", u64::MAX),
};

impl Share {
    fn of(entries: &Entries, options: &ShareOptions) -> Result<Self, MemoryError> {
        let ShareOptions { fraction: name, min: (min, least), max: (max, most) } = *options;
        Ok(Self {
            fraction: fraction(entries, name)?.unwrap_or(0.1).into(),
            min: size(entries, min)?.unwrap_or(least),
            max: size(entries, max)?.unwrap_or(most),
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "sizes are far below 2^53 bytes, and Flink rounds down too"
    )]
    fn from(self, whole: u64) -> u64 {
        let part = (whole as f64 * self.fraction) as u64;
        part.min(self.max).max(self.min)
    }
}

/// What does not fit.
struct Shortage {
    parts: String,
    needed: u64,
    available: u64,
}

impl Shortage {
    fn into_error(self, option: &'static str, process: u64, is_enough: impl Fn(u64) -> bool) -> MemoryError {
        MemoryError::TooSmall {
            option,
            process_bytes: process,
            parts: self.parts,
            needed_bytes: self.needed,
            available_bytes: self.available,
            enough_bytes: smallest_enough(process, is_enough),
        }
    }
}

/// The smallest whole number of mebibytes above `process` that is enough, up to a tebibyte.
fn smallest_enough(process: u64, is_enough: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (process / MEBIBYTE, MEBIBYTE);
    if low >= high || !is_enough(high * MEBIBYTE) {
        return None;
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if is_enough(middle * MEBIBYTE) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high * MEBIBYTE)
}

fn remainder(whole: u64, parts: &[(&str, u64)]) -> Result<u64, Shortage> {
    let needed = parts.iter().fold(0, |sum: u64, (_name, bytes)| sum.saturating_add(*bytes));
    whole.checked_sub(needed).ok_or_else(|| {
        let named: Vec<String> = parts
            .iter()
            .filter(|(_name, bytes)| *bytes > 0)
            .map(
                |(name, bytes)| {
                    if *bytes == 1 { (*name).to_owned() } else { format!("{name} {}", Size(*bytes)) }
                },
            )
            .collect();
        Shortage { parts: named.join(" + "), needed, available: whole }
    })
}

fn size(entries: &Entries, option: &'static str) -> Result<Option<u64>, MemoryError> {
    let expected = "a size such as 512m, 2g or 1048576";
    let Some(value) = entries.get(option) else { return Ok(None) };
    parse_size(value).map(Some).ok_or_else(|| MemoryError::Malformed {
        option,
        value: value.clone(),
        expected,
    })
}

/// Flink keeps fractions as 32-bit numbers, and its sums show it.
fn fraction(entries: &Entries, option: &'static str) -> Result<Option<f32>, MemoryError> {
    let expected = "a fraction between 0 and 1";
    let Some(value) = entries.get(option) else { return Ok(None) };
    match value.trim().parse::<f32>() {
        Ok(fraction) if (0.0..1.0).contains(&fraction) => Ok(Some(fraction)),
        Ok(_) | Err(_) => Err(MemoryError::Malformed { option, value: value.clone(), expected }),
    }
}

/// Flink's form of a size in bytes: a whole number and a unit of either case, powers of 1024.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().ok()?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 1,
        "k" | "kb" | "kibibytes" => 1024,
        "m" | "mb" | "mebibytes" => MEBIBYTE,
        "g" | "gb" | "gibibytes" => 1024 * MEBIBYTE,
        "t" | "tb" | "tebibytes" => 1024 * 1024 * MEBIBYTE,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::{MEBIBYTE, MemoryError, jobmanager, parse_size, taskmanager};
    use crate::configuration_file::Entries;

    fn entries(pairs: &[(&str, &str)]) -> Entries {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn taskmanager_parts(pairs: &[(&str, &str)]) -> [u64; 5] {
        let memory = taskmanager(&entries(pairs)).unwrap().unwrap();
        let parts = [
            memory.task_heap_bytes,
            memory.managed_bytes,
            memory.network_bytes,
            memory.metaspace_bytes,
            memory.overhead_bytes,
        ];
        let framework =
            memory.framework_heap_bytes + memory.framework_off_heap_bytes + memory.task_off_heap_bytes;
        assert_eq!(parts.iter().sum::<u64>() + framework, memory.process_bytes);
        parts
    }

    /// The numbers that Flink 1.20 and 2.1 print themselves.
    #[test]
    fn a_taskmanager_is_divided_as_flink_divides_it() {
        let process = "taskmanager.memory.process.size";
        let metaspace = ("taskmanager.memory.jvm-metaspace.size", "128m");
        for (given, expected) in [
            (&[(process, "982m")][..], [419_428, 223_975_836, 67_108_864, 268_435_456, 201_326_592]),
            (
                &[(process, "1728m"), metaspace],
                [469_762_037, 590_558_012, 147_639_503, 134_217_728, 201_326_592],
            ),
            (
                &[(process, "4g"), metaspace],
                [1_597_190_933, 1_492_501_155, 373_125_288, 134_217_728, 429_496_736],
            ),
            (
                &[(process, "64g"), metaspace],
                [33_487_322_633, 27_004_607_276, 6_751_151_819, 134_217_728, 1_073_741_824],
            ),
            (
                &[
                    (process, "640m"),
                    metaspace,
                    ("taskmanager.memory.jvm-overhead.min", "64m"),
                    ("taskmanager.memory.managed.size", "0"),
                    ("taskmanager.memory.network.min", "16m"),
                    ("taskmanager.memory.network.max", "16m"),
                    ("taskmanager.memory.framework.off-heap.size", "64m"),
                    ("taskmanager.memory.framework.heap.size", "96m"),
                ],
                [285_212_671, 0, 16_777_216, 134_217_728, 67_108_865],
            ),
        ] {
            assert_eq!(taskmanager_parts(given), expected, "{given:?}");
        }
    }

    /// 981m is refused by Flink, 982m is not.
    #[test]
    fn a_taskmanager_that_is_too_small_is_told_what_is_enough() {
        let error = taskmanager(&entries(&[("taskmanager.memory.process.size", "640m")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`taskmanager.memory.process.size: 640m` is too small: framework heap 128m + framework off-heap 128m + \
             managed memory 76.8m + network memory 64m need 396.8m, and 192m are there; 982m are enough"
        );
        let error =
            taskmanager(&entries(&[("taskmanager.memory.process.size", "300m")])).unwrap_err().to_string();
        assert!(
            error.contains("JVM metaspace 256m + JVM overhead 192m need 448m, and 300m are there"),
            "{error}"
        );
        assert!(taskmanager(&entries(&[("taskmanager.memory.process.size", "981m")])).is_err());
    }

    /// 576m is refused by Flink, 577m is not.
    #[test]
    fn a_jobmanager_needs_some_heap() {
        let divide = |size: &str| jobmanager(&entries(&[("jobmanager.memory.process.size", size)]));
        assert_eq!(divide("577m").unwrap().unwrap().heap_bytes, MEBIBYTE);
        assert_eq!(divide("1728m").unwrap().unwrap().heap_bytes, 1_207_959_552);
        assert_eq!(divide("4g").unwrap().unwrap().heap_bytes, 3_462_817_376);
        let error = divide("576m").unwrap_err();
        assert!(matches!(error, MemoryError::TooSmall { enough_bytes: Some(605_028_352), .. }), "{error}");
        assert!(error.to_string().contains("off-heap memory 128m + heap need"), "{error}");
    }

    #[test]
    fn what_is_given_in_another_way_is_left_to_flink() {
        assert_eq!(jobmanager(&Entries::new()), Ok(None));
        let heap = entries(&[
            ("taskmanager.memory.process.size", "1m"),
            ("taskmanager.memory.task.heap.size", "1m"),
        ]);
        assert_eq!(taskmanager(&heap), Ok(None));
    }

    #[test]
    fn values_that_are_no_sizes_are_named() {
        for (option, value) in [
            ("taskmanager.memory.process.size", "1.5g"),
            ("taskmanager.memory.process.size", "lots"),
            ("taskmanager.memory.process.size", "99999999999t"),
        ] {
            let error = taskmanager(&entries(&[(option, value)])).unwrap_err().to_string();
            assert!(error.contains(option) && error.contains(value), "{error}");
        }
        let pairs =
            [("taskmanager.memory.process.size", "2g"), ("taskmanager.memory.managed.fraction", "1.4")];
        assert!(taskmanager(&entries(&pairs)).unwrap_err().to_string().contains("between 0 and 1"));
    }

    #[test]
    fn a_size_has_flinks_units() {
        for (text, bytes) in
            [("1024", 1024), ("1 kb", 1024), ("2M", 2 * MEBIBYTE), (" 1gb ", 1024 * MEBIBYTE)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "m", "-1m", "1.5g", "1 potato", "1gib"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
