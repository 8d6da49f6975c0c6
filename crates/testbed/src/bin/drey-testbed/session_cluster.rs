//! A session cluster of real Flink: a JobManager and a TaskManager as processes on loopback, started by Flink's own scripts
//! and ended with it. It refuses to know jobs.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::on_cluster::{java_home, java_options};
use crate::place::LOOK;
use crate::takeover::flink_home;

/// How long the cluster may take to have its TaskManager.
const START: Duration = Duration::from_secs(120);

/// Where Flink keeps what, below the directory of the cluster.
const DIRECTORIES: [&str; 6] = ["conf", "log", "checkpoints", "savepoints", "upload", "tmp"];

/// The cluster. It ends when this goes.
pub(crate) struct SessionCluster {
    directory: PathBuf,
    home: PathBuf,
    java: PathBuf,
    /// The JobManager, and the TaskManager.
    processes: Vec<Child>,
    /// Address of its REST interface.
    pub(crate) url: String,
}

impl SessionCluster {
    /// Starts one of this minor version and waits until it has slots.
    pub(crate) fn start(distributions: &Path, minor: &str, directory: &Path) -> Result<Self> {
        let home = flink_home(distributions, minor)?;
        for name in DIRECTORIES {
            std::fs::create_dir_all(directory.join(name))?;
        }
        let ports = free_ports()?;
        let configuration = configuration(directory, ports, &java_options(distributions)?);
        // The old form of the file is no YAML: quotes would be part of the value.
        let (file, configuration) = match minor {
            "1.18" => ("flink-conf.yaml", configuration.replace('"', "")),
            _ => ("config.yaml", configuration),
        };
        std::fs::write(directory.join("conf").join(file), configuration)?;
        let log4j = "log4j-console.properties";
        std::fs::copy(home.join("conf").join(log4j), directory.join("conf").join(log4j))?;
        let url = format!("http://127.0.0.1:{}", ports[0]);
        let (directory, java) = (directory.to_owned(), java_home(minor)?);
        let mut cluster = Self { directory, home, java, processes: Vec::new(), url };
        cluster.spawn()?;
        Ok(cluster)
    }

    fn spawn(&mut self) -> Result<()> {
        for script in ["jobmanager.sh", "taskmanager.sh"] {
            let output = self.logs().join(format!("{script}.out"));
            let output = File::options().append(true).create(true).open(output)?;
            let mut command = Command::new(self.home.join("bin").join(script));
            command
                .arg("start-foreground")
                .env("FLINK_CONF_DIR", self.configuration())
                .env("FLINK_LOG_DIR", self.logs())
                .env("JAVA_HOME", &self.java)
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                .process_group(0);
            self.processes.push(command.spawn().with_context(|| format!("{script} cannot be started"))?);
        }
        self.wait()
    }

    /// The process of the JobManager: the script becomes it.
    pub(crate) fn job_manager(&self) -> Result<Pid> {
        let pid = self.processes.first().and_then(|process| i32::try_from(process.id()).ok());
        pid.and_then(Pid::from_raw).context("there is a JobManager")
    }

    /// Waits until somebody has killed the JobManager, and starts the cluster again, at the same address. Without high
    /// availability it has lost its jobs; its jars are there.
    pub(crate) fn start_again_after_death(&mut self) -> Result<()> {
        let began = Instant::now();
        let job_manager = self.processes.first_mut().context("there is a JobManager")?;
        while job_manager.try_wait()?.is_none() {
            ensure!(began.elapsed() < START, "nobody has killed the JobManager");
            std::thread::sleep(LOOK);
        }
        self.end();
        self.spawn()
    }

    fn end(&mut self) {
        for mut process in self.processes.drain(..) {
            if let Some(group) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
                // One that has ended already is what is wanted.
                let _gone = kill_process_group(group, Signal::KILL);
            }
            let _reaped = process.wait();
        }
    }

    fn wait(&mut self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < START {
            // Until it listens there is no answer.
            if self.overview().is_ok_and(|text| text.contains("\"taskmanagers\":1")) {
                return Ok(());
            }
            if self.processes.iter_mut().any(|process| process.try_wait().is_ok_and(|ended| ended.is_some()))
            {
                bail!("a process of Flink has ended; see {}", self.directory.join("log").display());
            }
            std::thread::sleep(LOOK);
        }
        bail!("no TaskManager within {} s; see {}", START.as_secs(), self.directory.join("log").display())
    }

    fn overview(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /overview HTTP/1.1\r\nHost: flink\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The directory of its configuration, by which Flink's own client finds it.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.join("conf")
    }

    /// The directory of its logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The directory for savepoints, as an address.
    pub(crate) fn savepoints(&self) -> String {
        format!("file://{}", self.directory.join("savepoints").display())
    }
}

impl Drop for SessionCluster {
    fn drop(&mut self) {
        self.end();
    }
}

/// Two ports that nobody listened on a moment ago.
fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}

fn configuration(directory: &Path, [rest, rpc]: [u16; 2], java_options: &str) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    format!(
        "env.java.opts.all: {java_options}\n\
         jobmanager.rpc.address: 127.0.0.1\n\
         jobmanager.bind-host: 127.0.0.1\n\
         jobmanager.rpc.port: {rpc}\n\
         taskmanager.host: 127.0.0.1\n\
         taskmanager.bind-host: 127.0.0.1\n\
         taskmanager.numberOfTaskSlots: 2\n\
         rest.address: 127.0.0.1\n\
         rest.bind-address: 127.0.0.1\n\
         rest.port: {rest}\n\
         rest.bind-port: \"{rest}\"\n\
         jobmanager.memory.process.size: 1000m\n\
         jobmanager.memory.enable-jvm-direct-memory-limit: false\n\
         taskmanager.memory.process.size: 1200m\n\
         execution.checkpointing.interval: 1 s\n\
         state.checkpoints.dir: file://{}\n\
         web.upload.dir: {}\n\
         io.tmp.dirs: {}\n",
        at("checkpoints"),
        at("upload"),
        at("tmp"),
    )
}
