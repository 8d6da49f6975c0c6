//! What `cargo xtask` runs: scenarios over the built binary and real Flink, measurements, generated files.
//! A program of its own, so that `cargo xtask` itself is built in seconds.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bad_input;
mod bench;
mod bench_cli;
mod bench_dashboard;
mod chart;
mod cluster_scenarios;
mod compare_heimdall;
mod conformance;
mod dashboard;
mod fleet;
mod front_end;
mod generated;
mod heimdall;
mod java_operator;
mod job;
mod kills;
mod kube;
mod laptop;
mod ledger_job;
mod on_cluster;
mod operator_pod;
mod outages;
mod place;
mod random;
mod rights;
mod scenarios;
mod served_api;
mod session_cluster;
mod sign_in;
mod soak;
mod stage;
mod steps;
mod story;
mod takeover;
mod tally;
mod tools;
mod verbs;

/// Scenarios and measurements.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Run the scenarios of one Flink version; ends with `N passed, N failed`
    Scenarios(scenarios::Args),
    /// Run the scenarios of one Flink version on a real Kubernetes API; ends with `N passed, N failed`
    ClusterScenarios(cluster_scenarios::Args),
    /// Do wrong what can be done wrong on a real Kubernetes API, beside a job that must not notice; ends with
    /// `N passed, N failed`
    BadInput(bad_input::Args),
    /// Hand jobs over from the Java operator to drey and back; ends with `N passed, N failed`
    Takeover(takeover::Args),
    /// Walk through the dashboard of laptop mode in a real Chromium; ends with `N passed, N failed`
    Dashboard(dashboard::Args),
    /// Sign in to the dashboard of a real Kubernetes API as people with different rights; ends with `N passed, N failed`
    SignIn(sign_in::Args),
    /// Deploy, update and end jobs of a session cluster without Kubernetes, killed and cut off wherever it hurts; ends with
    /// `N passed, N failed`
    Job(job::Args),
    /// Use the real kubectl on laptop mode; ends with `N passed, N failed`
    Tools(tools::Args),
    /// Kill processes at random moments of random upgrades
    Soak(soak::Args),
    /// Time from `drey up` to RUNNING beside that of Flink's scripts
    BenchLocal(bench::LocalArgs),
    /// How long drey's command line takes beside Flink's own
    BenchCli(bench_cli::Args),
    /// Sizes of the binaries, and the memory with one job
    BenchSize(bench::SizeArgs),
    /// Memory, processor time and latency with thousands of deployments, beside those of the Java operator
    BenchFleet(fleet::Args),
    /// The fleet page with thousands of deployments in a real Chromium
    BenchDashboard(bench_dashboard::Args),
    /// Compare our answers to Heimdall's addresses with those of its own server; ends with `N passed, N failed`
    CompareHeimdall(compare_heimdall::Args),
    /// Compare the embedded API server with a real one; ends with `N passed, N failed`
    Conformance(conformance::Args),
    /// Hold the chart of the operator to the real Helm and a real API server; ends with `N passed, N failed`
    Chart(chart::Args),
    /// Run the operator's image as the pod of its chart; ends with `N passed, N failed`
    OperatorPod(operator_pod::Args),
    /// Take each right of the operator away in turn, on a real API server; ends with `N passed, N failed`
    Rights(rights::Args),
    /// A real Kubernetes control plane
    #[command(subcommand)]
    Kube(kube::Command),
    /// Write the generated files below a directory, or with `--check` name those that differ
    Generated(generated::Args),
}

fn main() -> ExitCode {
    let outcome = match Line::parse().part {
        Part::Scenarios(args) => scenarios::run(&args),
        Part::ClusterScenarios(args) => cluster_scenarios::run(&args),
        Part::BadInput(args) => bad_input::run(&args),
        Part::Takeover(args) => takeover::run(&args),
        Part::Dashboard(args) => dashboard::run(&args),
        Part::SignIn(args) => sign_in::run(&args),
        Part::Job(args) => job::run(&args),
        Part::Tools(args) => tools::run(&args),
        Part::Soak(args) => soak::run(&args),
        Part::BenchLocal(args) => bench::local(&args),
        Part::BenchCli(args) => bench_cli::run(&args),
        Part::BenchSize(args) => bench::size(&args),
        Part::BenchFleet(args) => fleet::run(&args),
        Part::BenchDashboard(args) => bench_dashboard::run(&args),
        Part::CompareHeimdall(args) => compare_heimdall::run(&args),
        Part::Conformance(args) => conformance::run(&args),
        Part::Chart(args) => chart::run(&args),
        Part::OperatorPod(args) => operator_pod::run(&args),
        Part::Rights(args) => rights::run(&args),
        Part::Kube(command) => kube::run(&command),
        Part::Generated(args) => generated::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
