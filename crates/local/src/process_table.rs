//! Which processes there are, and how to signal one without ever hitting another that has inherited its number.
//!
//! A process is named by pid, start time and boot id; a family by an environment variable that drey sets on the
//! first and that all descendants inherit. Where the kernel has no `/proc`, `ps` is asked.
//!
//! It refuses to know what the processes do.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// The variable that marks every process of a cluster incarnation; its value is the incarnation's uid.
pub const CLUSTER_VARIABLE: &str = "DREY_CLUSTER";

/// The variable that tells which of the cluster's processes it is, such as `jobmanager`.
pub const SLOT_VARIABLE: &str = "DREY_SLOT";

/// The variable that tells which state directory it belongs to.
pub const STATE_VARIABLE: &str = "DREY_STATE";

/// One process, for ever: a pid alone is given to others later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessIdentity {
    /// The process id, which is also its session and group where drey started it.
    pub pid: i32,
    /// When it started, as the kernel counts: clock ticks since the boot on Linux.
    pub started: String,
    /// Which boot those ticks belong to.
    pub boot_id: String,
}

/// What the kernel says of a pid.
struct Entry {
    started: String,
    /// It has ended and waits to be reaped; it does nothing any more.
    defunct: bool,
}

impl ProcessIdentity {
    /// The process that has this pid now; `None` when there is none.
    ///
    /// # Errors
    /// When the process table cannot be read.
    pub fn of(pid: i32) -> io::Result<Option<ProcessIdentity>> {
        let entry = entry(pid)?.filter(|entry| !entry.defunct);
        Ok(entry.map(|entry| ProcessIdentity { pid, started: entry.started, boot_id: boot_id().to_owned() }))
    }

    /// Whether this very process is alive.
    ///
    /// # Errors
    /// When the process table cannot be read: then nobody knows.
    pub fn is_alive(&self) -> io::Result<bool> {
        Ok(ProcessIdentity::of(self.pid)?.is_some_and(|now| now == *self))
    }

    /// Signals this process alone. `false` when it was gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(false) };
        signal_one(self, pid, signal)
    }

    /// Signals the whole group that this process leads. `false` when the leader was gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal_group(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(false) };
        // While its leader lives, nobody else can have the number of a group.
        if !self.is_alive()? {
            return Ok(false);
        }
        match rustix::process::kill_process_group(pid, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(target_os = "linux")]
fn signal_one(identity: &ProcessIdentity, pid: Pid, signal: Signal) -> io::Result<bool> {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    // The descriptor holds on to the process that has the pid now; whether that is the right one is asked after.
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if !identity.is_alive()? {
        return Ok(false);
    }
    match pidfd_send_signal(&descriptor, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn signal_one(identity: &ProcessIdentity, pid: Pid, signal: Signal) -> io::Result<bool> {
    if !identity.is_alive()? {
        return Ok(false);
    }
    match rustix::process::kill_process(pid, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The living processes of a family: those whose environment has `variable=value`. Where environments cannot be
/// read, those in the groups of `leaders`.
///
/// # Errors
/// When the process table cannot be read.
pub fn family(variable: &str, value: &str, leaders: &[i32]) -> io::Result<Vec<ProcessIdentity>> {
    let pids = if has_proc() { marked(variable, value)? } else { grouped(leaders)? };
    let mut members = Vec::new();
    for pid in pids {
        members.extend(ProcessIdentity::of(pid)?);
    }
    Ok(members)
}

/// The value of an environment variable of a process as it was started; `None` where that cannot be read.
pub fn variable_of(pid: i32, variable: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{variable}=");
    environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(prefix.as_bytes()))
        .map(|value| String::from_utf8_lossy(value).into_owned())
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn marked(variable: &str, value: &str) -> io::Result<Vec<i32>> {
    let wanted = format!("{variable}={value}");
    let mut pids = Vec::new();
    for directory in fs::read_dir("/proc")? {
        let Ok(pid) = directory?.file_name().to_string_lossy().parse::<i32>() else { continue };
        // Processes of other users and those that have just ended cannot be read, and are not ours.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

fn grouped(leaders: &[i32]) -> io::Result<Vec<i32>> {
    let output = Command::new("ps").args(["-axo", "pid=,pgid="]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs = text.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<i32>().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    Ok(pairs.filter(|(_, group)| leaders.contains(group)).map(|(pid, _)| pid).collect())
}

fn entry(pid: i32) -> io::Result<Option<Entry>> {
    if has_proc() { entry_of_proc(pid) } else { entry_of_ps(pid) }
}

fn entry_of_proc(pid: i32) -> io::Result<Option<Entry>> {
    let text = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text,
        // ESRCH: it ended between opening and reading.
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    parse_stat(&text)
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat")))
}

/// Fields after the command, which is in parentheses and may itself contain any character: state is the first,
/// start time the twentieth.
fn parse_stat(text: &str) -> Option<Entry> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?;
    Some(Entry { started: started.to_owned(), defunct: matches!(state, "Z" | "X" | "x") })
}

fn entry_of_ps(pid: i32) -> io::Result<Option<Entry>> {
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim().split_once(char::is_whitespace).map(|(state, started)| Entry {
        started: started.trim().to_owned(),
        defunct: state.starts_with('Z'),
    }))
}

/// Identifies the boot that start times count from. Empty where start times are dates.
fn boot_id() -> &'static str {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID.get_or_init(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|id| id.trim().to_owned())
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn the_same_pid_with_another_start_is_another_process() {
        let this = ProcessIdentity::of(own_pid()).unwrap().unwrap();
        assert!(this.is_alive().unwrap());
        let reused = ProcessIdentity { started: "1".to_owned(), ..this.clone() };
        assert!(!reused.is_alive().unwrap());
        let earlier_boot = ProcessIdentity { boot_id: "another".to_owned(), ..this };
        assert!(!earlier_boot.is_alive().unwrap());
    }

    #[test]
    fn a_signal_for_a_former_holder_of_a_pid_reaches_nobody() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let now = ProcessIdentity::of(pid).unwrap().unwrap();
        let former = ProcessIdentity { started: "1".to_owned(), ..now.clone() };
        assert!(!former.signal(Signal::KILL).unwrap());
        assert!(!former.signal_group(Signal::KILL).unwrap());
        assert!(child.try_wait().unwrap().is_none());
        assert!(now.signal(Signal::KILL).unwrap());
        child.wait().unwrap();
        assert!(!now.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn a_defunct_process_is_not_alive() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        while ProcessIdentity::of(pid).unwrap().is_some() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }

    #[test]
    fn a_family_is_found_by_its_mark() {
        let mark = format!("test-{}", own_pid());
        let mut child =
            Command::new("sh").args(["-c", "sleep 60 & wait"]).env(CLUSTER_VARIABLE, &mark).spawn().unwrap();
        let leader = i32::try_from(child.id()).unwrap();
        let members = loop {
            let members = family(CLUSTER_VARIABLE, &mark, &[leader]).unwrap();
            if members.len() == 2 {
                break members;
            }
            std::thread::yield_now();
        };
        assert_eq!(variable_of(leader, CLUSTER_VARIABLE), Some(mark));
        for member in members {
            member.signal(Signal::KILL).unwrap();
        }
        child.wait().unwrap();
    }

    #[test]
    fn a_command_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let entry = parse_stat(stat).unwrap();
        assert_eq!(entry.started, "4711");
        assert!(!entry.defunct);
        assert!(parse_stat("7 (a) Z 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711").unwrap().defunct);
    }
}
