//! The table: what was measured of each operator, how many times more the second one takes, and the goal.

use std::time::Duration;

use super::measure::{Report, Times};

/// One line.
struct Row {
    what: &'static str,
    values: Vec<Option<f64>>,
    goal: &'static str,
}

/// The table of one number of resources.
pub(super) fn table(resources: usize, hanging_percent: u64, reports: &[(String, Report)]) -> String {
    let mut text = format!(
        "\n{resources} FlinkDeployments; the last lines with {hanging_percent} % of JobManagers hanging\n"
    );
    let heads: String = reports.iter().map(|(name, _)| format!("{name:>16}")).collect();
    text.push_str(&format!("{:<52}{heads}{:>10}  goal\n", "", "ratio"));
    for row in rows(resources, reports) {
        let values: String = row.values.iter().map(|value| format!("{:>16}", shown(*value))).collect();
        text.push_str(&format!("{:<52}{values}{:>10}  {}\n", row.what, ratio(&row.values), row.goal));
    }
    text
}

fn rows(resources: usize, reports: &[(String, Report)]) -> Vec<Row> {
    let row = |what, goal, value: fn(&Report) -> Option<f64>| Row {
        what,
        values: reports.iter().map(|(_, report)| value(report)).collect(),
        goal,
    };
    let large = resources >= 3_000;
    vec![
        row("start to ready, no resources, s", "", |r| seconds(Some(r.ready))),
        row("memory at rest, MB", "50 times less (20 times less than -Xmx512m)", |r| {
            Some(r.rest.resident_bytes as f64 / 1e6)
        }),
        row("processor at rest, s/min", "50 times less", |r| Some(r.rest.processor_seconds)),
        row("REST requests per job and minute", "", |r| Some(r.rest.requests)),
        row("status writes at rest, per minute", "0", |r| Some(r.rest.statuses)),
        row("single create to Deployment, p50, ms", "50", |r| milliseconds(p50(r.single))),
        row("single create to Deployment, p99, ms", "", |r| milliseconds(p99(r.single))),
        row("burst: create to Deployment, p50, s", "", |r| seconds(p50(r.burst))),
        row("burst: create to Deployment, p99, s", "", |r| seconds(p99(r.burst))),
        row("burst: last Deployment, s", if resources <= 1_000 { "25" } else { "" }, |r| {
            seconds(r.burst_last)
        }),
        row("burst: all STABLE, s", if resources >= 10_000 { "60" } else { "" }, |r| seconds(r.burst_stable)),
        row("status writes per created job", "", |r| Some(r.statuses_per_job)),
        row("all API writes per created job", "8", |r| Some(r.writes_per_job)),
        row("single edit to new Deployment, p50, s", if large { "1" } else { "" }, |r| {
            seconds(p50(r.single_edit))
        }),
        row("single edit to new Deployment, p99, s", "", |r| seconds(p99(r.single_edit))),
        row("edit in a crowd to new Deployment, p50, s", "", |r| seconds(p50(r.edit))),
        row("edit in a crowd to new Deployment, p99, s", "", |r| seconds(p99(r.edit))),
        row("restart to all observed, s", if large { "5" } else { "" }, |r| seconds(r.restart)),
        row("hanging: memory at rest, MB", "as without", |r| {
            Some(r.hanging_rest.resident_bytes as f64 / 1e6)
        }),
        row("hanging: processor at rest, s/min", "as without", |r| Some(r.hanging_rest.processor_seconds)),
        row("hanging: REST requests per job and minute", "", |r| Some(r.hanging_rest.requests)),
        row("hanging: edit of another to new Deployment, p50, s", "as without", |r| {
            seconds(p50(r.hanging_edit))
        }),
        row("hanging: edit of another to new Deployment, p99, s", "as without", |r| {
            seconds(p99(r.hanging_edit))
        }),
    ]
}

fn p50(times: Option<Times>) -> Option<Duration> {
    times.map(|times| times.p50)
}

fn p99(times: Option<Times>) -> Option<Duration> {
    times.map(|times| times.p99)
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn milliseconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64() * 1_000.0)
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => "not in time".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// How many times more the last one takes than the first one.
fn ratio(values: &[Option<f64>]) -> String {
    match values {
        [Some(first), .., Some(last)] if *first > 0.0 => format!("{:.1}", last / first),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_the_first_to_the_last() {
        assert_eq!(ratio(&[Some(2.0), Some(5.0)]), "2.5");
        assert_eq!(ratio(&[Some(2.0)]), "-");
        assert_eq!(ratio(&[Some(0.0), Some(5.0)]), "-");
        assert_eq!(ratio(&[Some(2.0), None]), "-");
        assert_eq!(shown(None), "not in time");
    }
}
