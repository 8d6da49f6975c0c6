//! A session cluster of real Flink: a JobManager and a TaskManager as processes on loopback, started by Flink's own scripts
//! and ended with it. It refuses to know jobs.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
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
        let file = if minor == "1.18" { "flink-conf.yaml" } else { "config.yaml" };
        std::fs::write(directory.join("conf").join(file), configuration)?;
        let log4j = "log4j-console.properties";
        std::fs::copy(home.join("conf").join(log4j), directory.join("conf").join(log4j))?;
        let url = format!("http://127.0.0.1:{}", ports[0]);
        let mut cluster = Self { directory: directory.to_owned(), processes: Vec::new(), url };
        for script in ["jobmanager.sh", "taskmanager.sh"] {
            let output = File::create(directory.join("log").join(format!("{script}.out")))?;
            let mut command = Command::new(home.join("bin").join(script));
            command
                .arg("start-foreground")
                .env("FLINK_CONF_DIR", directory.join("conf"))
                .env("FLINK_LOG_DIR", directory.join("log"))
                .env("JAVA_HOME", java_home(minor)?)
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                .process_group(0);
            cluster.processes.push(command.spawn().with_context(|| format!("{script} cannot be started"))?);
        }
        cluster.wait()?;
        Ok(cluster)
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
        for process in &mut self.processes {
            if let Some(group) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
                // One that has ended already is what is wanted.
                let _gone = kill_process_group(group, Signal::KILL);
            }
            let _reaped = process.wait();
        }
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
