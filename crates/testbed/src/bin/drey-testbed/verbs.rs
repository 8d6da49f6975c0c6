//! Every verb of the command line over a job that runs, wherever that is. It refuses to know what a verb is for: each must
//! say what a person would look for.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::ledger_job::NAME;
use crate::place::Place;
use crate::story::Story;

/// A command that runs until it is killed, with the first line that it printed.
struct Serving {
    process: Child,
    address: String,
}

impl Serving {
    fn start(mut command: Command) -> Result<Self> {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().context("it is piped")?).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    /// Asks for a path below the address.
    fn ask(&self, method: reqwest::Method, path: &str) -> Result<(u16, String)> {
        let address = format!("{}{path}", self.address);
        // Whoever talks to a cluster has one already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let answer = reqwest::Client::new().request(method, &address).send().await?;
            Ok((answer.status().as_u16(), answer.text().await?))
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// Everything that only looks.
pub(crate) fn look<P: Place>(story: &mut Story<P>) -> Result<()> {
    let place = &story.place;
    let resource = place.resource(NAME)?;
    let job_id = resource["status"]["jobStatus"]["jobId"].as_str().context("it runs")?.to_owned();
    let file = place.directory().join("applied.yaml").to_string_lossy().into_owned();
    let says = |arguments: &[&str], words: &[&str]| -> Result<()> {
        let said = place.run(arguments)?;
        let line = arguments.join(" ");
        for word in words {
            ensure!(said.contains(word), "`drey {line}` does not say `{word}`:\n{said}");
        }
        Ok(())
    };
    says(&[], &[NAME, "next: "])?;
    says(&["get"], &["LIFECYCLE STATE", NAME])?;
    says(&["get", NAME, "-o", "wide"], &["PARALLELISM", NAME])?;
    says(&["get", "-o", "name"], &[&format!("flinkdeployment.flink.apache.org/{NAME}")])?;
    says(
        &["get", "--sort-by", ".metadata.name", "-o", "custom-columns=N:.metadata.name,X:.x"],
        &[NAME, "<none>"],
    )?;
    let line = place.run(&["get", "-o", "jsonl"])?;
    ensure!(
        serde_json::from_str::<Value>(&line)?["metadata"]["name"] == NAME,
        "one object on one line: {line}"
    );
    says(&["status", NAME], &[NAME, "STABLE"])?;
    says(&["wait", NAME, "--for", "running"], &["running"])?;
    says(&["describe", NAME], &[&job_id])?;
    says(&["events", NAME], &["Submit"])?;
    says(&["tree", NAME], &[&format!("flinkdeployment/{NAME}"), &job_id])?;
    says(&["top"], &[NAME, "RUNNING"])?;
    says(&["logs", NAME], &["JobManager"])?;
    says(&["logs", NAME, "tm"], &["TaskManager"])?;
    says(&["explain", "spec.job.upgradeMode"], &["last-state"])?;
    says(&["explain", "kubernetes.operator.reconcile.interval"], &["DEFAULT:"])?;
    says(&["validate", &file], &["1 object valid"])?;
    says(&["diff", "-f", &file], &[])?;
    says(&["apply", "-f", &file, "--dry-run"], &[])?;
    says(&["crds", "diff"], &[])?;
    says(&["crds", "print"], &["CustomResourceDefinition"])?;
    // That no Deployment runs an operator is a finding here, where it runs beside the cluster.
    let doctor = place.command(&["doctor"]).output()?;
    let found = String::from_utf8_lossy(&doctor.stdout);
    ensure!(found.contains("definition"), "`drey doctor` looks at no definition: {found}");
    says(&["config", "view", "--show-origin"], &["read-only", "ORIGIN"])?;
    says(&["completion", "bash"], &["DREY_COMPLETE"])?;
    says(&["version"], &["drey "])?;
    says(&["migrate", "operator"], &[NAME, "taken over as it is: RUNNING"])?;
    says(&["migrate", "heimdall"], &["drey dashboard"])?;
    completes(place)?;
    proxied(place, &job_id)?;
    let ui = Serving::start(place.command(&["ui"]))?;
    let (status, page) = ui.ask(reqwest::Method::GET, "")?;
    ensure!(status == 200 && page.contains("<title>"), "`drey ui` leads to {status}: {page}");
    Ok(())
}

/// Tab knows the names of what exists, in a shell and in `kubectl`.
fn completes(place: &impl Place) -> Result<()> {
    let words = ["drey", "describe", ""];
    let mut shell = place.command(&["--"]);
    shell.args(words).env("DREY_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "2");
    shell.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true").env("_CLAP_IFS", "\n");
    let output = shell.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(said.lines().any(|line| line == NAME), "no completion of `drey describe`: {said}");
    Ok(())
}

fn proxied(place: &impl Place, job_id: &str) -> Result<()> {
    let proxy = Serving::start(place.command(&["proxy", NAME, "--port", "0"]))?;
    let (status, jobs) = proxy.ask(reqwest::Method::GET, "jobs/overview")?;
    ensure!(status == 200 && jobs.contains(job_id), "the proxy says {status}: {jobs}");
    for (method, path) in [(reqwest::Method::PATCH, "?mode=cancel"), (reqwest::Method::GET, "/yarn-cancel")] {
        let (status, words) = proxy.ask(method, &format!("jobs/{job_id}{path}"))?;
        ensure!(status == 403, "the proxy says {status} to {path}: {words}");
    }
    Ok(())
}

/// Everything that changes something and is no upgrade of its own elsewhere in the story.
pub(crate) fn change<P: Place>(story: &mut Story<P>) -> Result<()> {
    let parallelism = story.job.parallelism;
    let more = (parallelism + 1).to_string();
    must_refuse(&story.place, &["--read-only", "restart", NAME], "read-only")?;
    for dry in
        [&["rescale", NAME, &more, "--dry-run"][..], &["upgrade", NAME, "--image", "flink:x", "--dry-run"]]
    {
        let said = story.place.run(dry)?;
        ensure!(said.contains("spec:"), "`drey {}` prints no patch: {said}", dry.join(" "));
    }
    ensure!(story.resource()?["spec"]["job"]["parallelism"] == parallelism, "`--dry-run` changed something");
    story.place.run(&["checkpoint", NAME])?;
    let savepoint = story.place.run(&["savepoint", NAME])?;
    ensure!(savepoint.contains("savepoint"), "no path of a savepoint: {savepoint}");
    let candidates = story.place.run(&["restore", NAME])?;
    ensure!(candidates.contains(savepoint.trim()), "`drey restore` does not list {savepoint}:\n{candidates}");
    // The new spec is not stable yet, so that the one before is what a person goes back to.
    story.place.run(&["rescale", NAME, &more, "--yes", "--no-wait"])?;
    story.place.run(&["rollback", NAME, "--yes"])?;
    story.settled()?;
    ensure!(
        story.resource()?["spec"]["job"]["parallelism"] == parallelism,
        "`drey rollback` did not go back to {parallelism}"
    );
    story.place.run(&["restart", NAME])?;
    story.settled()?;
    // What is kept is where the job goes on: the ledger shows whether that is true.
    story.place.run(&["suspend", NAME])?;
    story.place.run(&["restore", NAME, "latest", "--yes"])?;
    story.settled()
}

fn must_refuse(place: &impl Place, arguments: &[&str], why: &str) -> Result<()> {
    let output = place.command(arguments).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || !errors.contains(why) {
        bail!("`drey {}` is not refused because of `{why}`: {errors}", arguments.join(" "));
    }
    Ok(())
}
