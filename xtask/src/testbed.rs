//! The program `drey-testbed`, built when it is needed: it knows drey's crates, and so takes longer to
//! build than this one.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::lane::Lane;
use crate::shell::{cargo, run, target_directory};
use crate::{image, needs};

/// `drey-testbed` with these arguments, in a cargo profile.
pub(crate) fn testbed(profile: &str, arguments: &[&str]) -> Command {
    let mut command = cargo(&["run", "--quiet", "--locked", "--profile", profile]);
    command.args(["--package", "drey-testbed", "--bin", "drey-testbed", "--"]).args(arguments);
    command
}

/// Builds the program, for several that then run it at the same time.
pub(crate) fn build() -> Result<()> {
    run(cargo(&["build", "--locked", "--package", "drey-testbed"]))
}

/// Writes the generated files.
pub(crate) fn generate() -> Result<()> {
    run(testbed("dev", &["generated"]))
}

/// Fails when a generated file differs.
pub(crate) fn check_generated() -> Result<()> {
    run(testbed("dev", &["generated", "--check"]))
}

/// `drey-testbed` with the binary and the example jar.
pub(crate) fn over(profile: &str, part: &str, drey: &Path, jar: &Path) -> Command {
    let mut command = testbed(profile, &[part, "--drey"]);
    command.arg(drey).arg("--jar").arg(jar);
    command
}

/// What is tested function by function against the real control plane.
pub(crate) fn real_kube(programs: &Path, lane: &mut Lane) -> Result<()> {
    let mut tests = cargo(&["test", "--locked", "--no-fail-fast", "--package", "drey-testbed"]);
    tests.args(["--features", "real-kube", "--test", "real_kube"]).env("DREY_TEST_KUBE", programs);
    lane.run(tests)
}

/// The real control plane, and the embedded API server beside it.
pub(crate) fn conformance(programs: &Path, lane: &mut Lane) -> Result<()> {
    let mut conformance = testbed("dev", &["conformance", "--programs"]);
    conformance.arg(programs);
    lane.run(conformance)
}

/// The chart, by the real Helm and the real control plane.
pub(crate) fn chart(helm: &Path, programs: &Path, lane: &mut Lane) -> Result<()> {
    let mut chart = testbed("dev", &["chart", "--helm"]);
    chart.arg(helm).arg("--programs").arg(programs);
    lane.run(chart)
}

/// The operator without each of its rights on Deployments, and whose rights end while it runs, on the real control plane.
/// `drey-testbed rights` takes every right away in turn, which is too long for every run.
pub(crate) fn rights(drey: &Path, programs: &Path, lane: &mut Lane) -> Result<()> {
    let mut rights = testbed("dev", &["rights", "--only", "deployments", "--drey"]);
    rights.arg(drey).arg("--programs").arg(programs);
    lane.run(rights)
}

/// The image of this binary, as the operator's pod. Its layers are no smaller than the binary, which is not made for use.
pub(crate) fn operator_pod(
    drey: &Path,
    jar: &Path,
    helm: &Path,
    programs: &Path,
    lane: &mut Lane,
) -> Result<()> {
    let layout = image::of_program(drey, &target_directory()?.join("test-image"))?;
    let mut pod = over("dev", "operator-pod", drey, jar);
    pod.arg("--image").arg(layout).arg("--helm").arg(helm).arg("--programs").arg(programs);
    pod.arg("--distributions").arg(needs::cache().join("flink"));
    lane.run(pod)
}

/// The scenarios on a real Kubernetes API: native mode on every Flink of the tests, and standalone mode on one; and what
/// can be done wrong there.
pub(crate) fn on_cluster(drey: &Path, jar: &Path, programs: &Path, lane: &mut Lane) -> Result<()> {
    let native = needs::FLINK.iter().map(|(minor, _)| (*minor, "native"));
    for (minor, mode) in native.chain(needs::FLINK.first().map(|(minor, _)| (*minor, "standalone"))) {
        let mut scenarios = over("dev", "cluster-scenarios", drey, jar);
        scenarios.args(["--flink", minor, "--mode", mode, "--programs"]).arg(programs);
        scenarios.arg("--distributions").arg(needs::cache().join("flink"));
        lane.run(scenarios)?;
    }
    let mut bad_input = over("dev", "bad-input", drey, jar);
    bad_input.arg("--programs").arg(programs).arg("--distributions").arg(needs::cache().join("flink"));
    lane.run(bad_input)
}

/// The scenarios on every Flink of the tests, and the real kubectl.
pub(crate) fn end_to_end(drey: &Path, jar: &Path, lane: &mut Lane) -> Result<()> {
    lane.run(over("dev", "tools", drey, jar))?;
    for (position, (minor, _)) in needs::FLINK.iter().enumerate() {
        let mut scenarios = over("dev", "scenarios", drey, jar);
        scenarios.args(["--flink", minor]);
        if position == 0 {
            scenarios.arg("--every-victim");
        }
        if let Some((newer, _)) = needs::FLINK.get(position + 1) {
            scenarios.args(["--then", newer]);
        }
        lane.run(scenarios)?;
    }
    Ok(())
}

/// `drey job` on session clusters of every Flink of the tests.
pub(crate) fn job(drey: &Path, jar: &Path, lane: &mut Lane) -> Result<()> {
    for (minor, _) in needs::FLINK {
        let mut job = over("dev", "job", drey, jar);
        job.args(["--flink", minor, "--distributions"]).arg(needs::cache().join("flink"));
        lane.run(job)?;
    }
    Ok(())
}

/// The dashboard in a real browser.
pub(crate) fn dashboard(drey: &Path, jar: &Path, lane: &mut Lane) -> Result<()> {
    let mut dashboard = over("dev", "dashboard", drey, jar);
    dashboard.arg("--ui").arg(needs::front_end()?);
    dashboard.arg("--pictures").arg(target_directory()?.join("dashboard-pictures"));
    lane.run(dashboard)
}

/// The dashboard of a real Kubernetes API, as people with different rights see it.
pub(crate) fn sign_in(drey: &Path, programs: &Path, lane: &mut Lane) -> Result<()> {
    let mut sign_in = testbed("dev", &["sign-in", "--drey"]);
    sign_in.arg(drey).arg("--programs").arg(programs).arg("--ui").arg(needs::front_end()?);
    lane.run(sign_in)
}
