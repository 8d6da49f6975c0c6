//! A directory of its own for each test, with a home and a cache in it, and drey stopped when it goes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a start or an end may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A directory and what runs in it.
pub(crate) struct Place {
    directory: TempDir,
    up: Option<Child>,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(directory.path().join("work")).expect("created");
        Self { directory, up: None }
    }

    /// Where commands run.
    pub(crate) fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.work().join(name), text).expect("written");
    }

    /// A command of drey, with nothing of the machine's that leads elsewhere.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drey"));
        command
            .args(arguments)
            .current_dir(self.work())
            .env("HOME", self.directory.path())
            .env("DREY_CACHE", self.directory.path().join("cache"))
            .env_remove("KUBECONFIG")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env_remove("FLINK_HOME")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().expect("drey starts");
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Standard error of a command that must end with this code, saying all of this.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, says: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        for expected in says {
            let said = ended.stderr.contains(expected) || ended.stdout.contains(expected);
            assert!(said, "{arguments:?} does not say `{expected}`: {}{}", ended.stdout, ended.stderr);
        }
        ended.stderr
    }

    /// Starts `drey up` in the foreground and waits until its API answers.
    pub(crate) fn up(&mut self, arguments: &[&str]) {
        let mut words = vec!["up"];
        words.extend(arguments);
        let output = std::fs::File::create(self.work().join("up.out")).expect("created");
        let errors = output.try_clone().expect("cloned");
        self.up = Some(self.command(&words).stdout(output).stderr(errors).spawn().expect("drey starts"));
        until("the API to answer", || {
            let ended = self.up.as_mut().expect("just started").try_wait().expect("can be waited for");
            assert!(ended.is_none(), "drey ended: {}", self.output());
            self.run(&["get", "-o", "name"]).code == 0
        });
    }

    /// What `drey up` has said.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.work().join("up.out")).unwrap_or_default()
    }

    /// Kills `drey up` without a chance to clean up.
    pub(crate) fn kill(&mut self) {
        if let Some(mut up) = self.up.take() {
            up.kill().expect("can be killed");
            up.wait().expect("can be waited for");
        }
    }

    /// Asks `drey up` to end, and returns its exit code.
    pub(crate) fn terminate(&mut self) -> i32 {
        let mut up = self.up.take().expect("drey is up");
        let pid = i32::try_from(up.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("can be signalled");
        let mut code = None;
        until("drey to end", || {
            code = up.try_wait().expect("can be waited for").and_then(|status| status.code());
            code.is_some()
        });
        code.expect("it has ended")
    }

    /// Waits for a `drey up` that somebody else has stopped.
    pub(crate) fn must_have_ended(&mut self) {
        let mut up = self.up.take().expect("drey is up");
        until("drey to end", || up.try_wait().expect("can be waited for").is_some());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut up) = self.up.take() {
            // The test has failed already, or nothing is left to be said.
            let _killed = up.kill();
            let _waited = up.wait();
        }
    }
}

/// Looks until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < TIMEOUT, "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A deployment that is created suspended, whose jar is there.
pub(crate) fn suspended(place: &Place, name: &str) -> String {
    place.write("job.jar", "not looked into while it is suspended");
    format!(
        "apiVersion: flink.apache.org/v1beta1
kind: FlinkDeployment
metadata:
  name: {name}
spec:
  flinkVersion: v1_20
  image: flink:1.20
  serviceAccount: flink
  jobManager:
    resource: {{cpu: 1, memory: 1g}}
  taskManager:
    resource: {{cpu: 1, memory: 1g}}
  job:
    jarURI: ./job.jar
    entryClass: a.B
    parallelism: 1
    upgradeMode: savepoint
    state: suspended
"
    )
}

/// Whether a path is readable by its owner alone.
pub(crate) fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
}
