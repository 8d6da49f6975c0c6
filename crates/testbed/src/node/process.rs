//! Starts the processes of pods, each in namespaces of its own, so that none outlives the node: not after a
//! graceful end, and not after a KILL of this program either.
//!
//! ```text
//!   one thread ─► setpriv --pdeathsig KILL ─► nsenter (the pod's network) ─► unshare (mounts, processes)
//!                                          process 1 of the container ◄─ setpriv ◄─ sh ◄─┘
//! ```
//! The kernel sends that signal when the *thread* that started a process ends, so one thread starts them all and
//! lives as long as the node. It refuses to know what a container is for, and to decide when one ends.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

enum Request {
    Start(Box<Command>, oneshot::Sender<io::Result<Child>>),
    Stop,
}

/// The thread that starts processes.
#[derive(Debug)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Spawner {
    /// Starts the thread; it belongs to the runtime of the caller.
    pub(crate) fn start() -> io::Result<Spawner> {
        let (requests, received) = mpsc::channel();
        let runtime = tokio::runtime::Handle::current();
        let body = move || {
            let _within = runtime.enter();
            while let Ok(Request::Start(mut command, reply)) = received.recv() {
                // A caller that has gone drops the child, which ends it.
                drop(reply.send(command.spawn()));
            }
        };
        let thread = std::thread::Builder::new().name("pod-processes".to_owned()).spawn(body)?;
        Ok(Spawner { requests, thread: Mutex::new(Some(thread)) })
    }

    /// Starts `words`, which die with the node.
    pub(crate) async fn spawn(&self, words: &[String], output: impl Fn() -> Stdio) -> io::Result<Child> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(words).env_clear().env("PATH", TOOL_PATH);
        command.stdin(Stdio::null()).stdout(output()).stderr(output()).kill_on_drop(true).process_group(0);
        let (reply, child) = oneshot::channel();
        let gone = || io::Error::other("the node has been stopped");
        self.requests.send(Request::Start(Box::new(command), reply)).map_err(|_| gone())?;
        child.await.map_err(|_| gone())?
    }

    /// Ends the thread, and with it every process that it started.
    pub(crate) fn stop(&self) {
        let _ended_already = self.requests.send(Request::Stop);
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }
}

/// Where the programs are that this crate uses itself.
pub(crate) const TOOL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts process 1 of the new process namespace, which is the first child, and ends as it does. `unshare --fork`
/// would do that, too, but tells nothing of a signal in the releases of Debian 12.
const WRAPPER: &str = "setpriv --pdeathsig KILL -- sh \"$@\" & exec 2>/dev/null; wait $!";

/// A part of what a container sees beside the machine's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// A directory that the container can write to without changing it.
    Overlay { lower: PathBuf, target: String },
    /// A file or directory as it is.
    Bind { source: PathBuf, target: String, read_only: bool },
}

impl Mount {
    /// The mount as words for `container-setup.sh`. Links are followed now: the container's root has others.
    fn words(&self) -> io::Result<Vec<String>> {
        let resolved = |path: &Path| -> io::Result<String> {
            let whole = path.canonicalize().map_err(|error| {
                io::Error::new(error.kind(), format!("`{}` cannot be mounted: {error}", path.display()))
            })?;
            Ok(whole.to_string_lossy().into_owned())
        };
        Ok(match self {
            Mount::Overlay { lower, target } => vec!["overlay".to_owned(), resolved(lower)?, target.clone()],
            Mount::Bind { source, target, read_only } => {
                let access = if *read_only { "ro" } else { "rw" };
                vec!["bind".to_owned(), resolved(source)?, target.clone(), access.to_owned()]
            }
        })
    }
}

/// What to start as a container.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// Words that enter the pod's namespaces.
    pub(crate) enter: Vec<String>,
    /// An empty directory of this start.
    pub(crate) state: &'a Path,
    /// The script `container-setup.sh`.
    pub(crate) setup: &'a Path,
    /// What lies below everything else; the machine's root when there is none.
    pub(crate) root: Option<&'a Path>,
    /// Whether the container may write to it, which changes nothing of it.
    pub(crate) is_root_read_only: bool,
    /// In the order in which they are made.
    pub(crate) mounts: &'a [Mount],
    /// The whole environment.
    pub(crate) environment: &'a [(String, String)],
    /// Made if it is not there.
    pub(crate) working_directory: &'a str,
    /// User and group, when it is not root.
    pub(crate) identity: Option<(i64, i64)>,
    /// The program and its arguments.
    pub(crate) program: &'a [String],
}

impl Launch<'_> {
    fn words(&self) -> io::Result<Vec<String>> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let search =
            self.environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
        let mut words = self.enter.clone();
        words.extend(["unshare", "--mount", "--pid", "--", "sh", "-c", WRAPPER, "sh"].map(str::to_owned));
        words.extend([text(self.setup), text(self.state), self.working_directory.to_owned()]);
        words.push(self.identity.map_or_else(|| "-".to_owned(), |(user, group)| format!("{user}:{group}")));
        words.push(search.unwrap_or(TOOL_PATH).to_owned());
        words.push(self.root.map_or_else(|| "/".to_owned(), text));
        words.push(if self.is_root_read_only { "ro" } else { "rw" }.to_owned());
        for mount in self.mounts {
            words.extend(mount.words()?);
        }
        words.push("--".to_owned());
        words.extend(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend(self.program.iter().cloned());
        Ok(words)
    }

    /// Starts it, with pipes for its output.
    pub(crate) async fn start(&self, spawner: &Spawner) -> io::Result<Process> {
        std::fs::create_dir_all(self.state.join("scratch"))?;
        let child = spawner.spawn(&self.words()?, Stdio::piped).await?;
        let wrapper = child.id().ok_or_else(|| io::Error::other("the process ended at once"))?;
        Ok(Process { child, grip: Grip { wrapper }, output: None })
    }
}

/// A container's processes.
#[derive(Debug)]
pub(crate) struct Process {
    /// Waited for, and its output read.
    pub(crate) child: Child,
    /// To signal it while it is waited for.
    pub(crate) grip: Grip,
    /// Reads its output, once that has been set up.
    pub(crate) output: Option<tokio::task::JoinHandle<()>>,
}

/// Signals process 1 of a container. It is good for as long as its process has not been waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grip {
    wrapper: u32,
}

impl Grip {
    /// Process 1 of the container, as this machine numbers it.
    pub(crate) fn first_process(self) -> Option<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.wrapper);
        std::fs::read_to_string(children).ok()?.split_whitespace().next()?.parse().ok()
    }

    /// Signals process 1; KILL ends all processes of the container.
    pub(crate) fn signal(self, signal: Signal) {
        let pid = self.first_process().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // It may have ended by itself in this moment.
            let _ended_already = kill_process(pid, signal);
        }
    }
}

/// The exit code as a container runtime gives it: 128 and the signal's number for a signal.
pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Runs a program of this machine to its end, with `input`; what it says is the error when it fails.
pub(crate) async fn tool(words: &[&str], input: &str) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("no program"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("`{}` failed: {}", words.join(" "), said.trim())))
}
