//! The ranges of autoscaler options. They hold only while the autoscaler is on.

use super::{Configuration, Problems, option_field, option_problem};
use crate::configuration::{first_of, parse_boolean, parse_duration_ms};
use crate::cron::Cron;
use crate::number;
use crate::operator::keys as operator;
use crate::options::OptionError;

const PREFIX: &str = "job.autoscaler.";
const OLD_PREFIX: &str = "kubernetes.operator.job.autoscaler.";
const METRICS_WINDOW_MS: i64 = 15 * 60_000;
const RECONCILE_INTERVAL_MS: i64 = 60_000;
const UTILIZATION_TARGET: f64 = 0.7;

/// A number with its range. Those with a `switch` count only while their feature is on.
struct Range {
    name: &'static str,
    switch: Option<&'static str>,
    least: f64,
    most: Option<f64>,
}

pub(super) fn rules(configuration: &Configuration, problems: &mut Problems) {
    if !switched_on(configuration, "enabled") {
        return;
    }
    for range in ranges(configuration) {
        if range.switch.is_none_or(|switch| switched_on(configuration, switch)) {
            in_range(&range, configuration, problems);
        }
    }
    excluded_periods(configuration, problems);
    metrics_window(configuration, problems);
}

fn ranges(configuration: &Configuration) -> [Range; 11] {
    let target = lookup(configuration, "utilization.target")
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(UTILIZATION_TARGET);
    let range = |name, least, most| Range { name, switch: None, least, most };
    let switched = |name, switch, least| Range { name, switch: Some(switch), least, most: Some(1.0) };
    [
        range("scale-down.max-factor", 0.0, None),
        range("scale-up.max-factor", 0.0, None),
        range("utilization.target", 0.0, Some(1.0)),
        range("target.utilization.boundary", 0.0, None),
        range("utilization.max", target, Some(1.0)),
        range("utilization.min", 0.0, Some(target)),
        range("memory.gc-pressure.threshold", 0.0, Some(1.0)),
        range("memory.heap-usage.threshold", 0.0, Some(1.0)),
        switched("observed-scalability.coefficient-min", "observed-scalability.enabled", 0.01),
        switched("scaling.effectiveness.threshold", "scaling.effectiveness.detection.enabled", 0.0),
        switched("memory.tuning.overhead", "memory.tuning.enabled", 0.0),
    ]
}

fn in_range(range: &Range, configuration: &Configuration, problems: &mut Problems) {
    let Some((key, value)) = lookup(configuration, range.name) else { return };
    let name = format!("{PREFIX}{}", range.name);
    match value.trim().parse::<f64>() {
        Err(_) => {
            problems.add(&option_field(&key), format!("Invalid value in the autoscaler config {name}"));
        }
        Ok(number) if number < range.least || range.most.is_some_and(|most| number > most) => {
            let most = range.most.map_or_else(|| "+Infinity".to_owned(), number::double_text);
            problems.add(
                &option_field(&key),
                format!(
                    "The AutoScalerOption {name} is invalid, it should be a value within the range \
                     [{}, {most}]",
                    number::double_text(range.least)
                ),
            );
        }
        Ok(_) => {}
    }
}

/// Each entry is a time of day `HH:mm-HH:mm`, a cron expression, or one of each joined by `&&`.
fn excluded_periods(configuration: &Configuration, problems: &mut Problems) {
    let Some((key, periods)) = lookup(configuration, "excluded.periods") else { return };
    let name = format!("{PREFIX}excluded.periods");
    for period in periods.split(';').map(str::trim).filter(|period| !period.is_empty()) {
        let told = format!("Invalid value {period} in the autoscaler config {name}");
        let parts: Vec<&str> = period.split("&&").map(str::trim).collect();
        let daily = parts.iter().filter(|part| is_daily(part)).count();
        let cron = parts.iter().filter(|part| Cron::parse(part).is_ok()).count();
        if parts.len() > 2 {
            problems.add(&option_field(&key), told);
        } else if daily + cron < parts.len() {
            problems.add(
                &option_field(&key),
                format!("{told}, the value is neither a valid daily expression nor a valid cron expression"),
            );
        } else if parts.len() == 2 && (daily != 1 || cron != 1) {
            problems.add(
                &option_field(&key),
                format!(
                    "{told}, the value can not be configured as dailyExpression && dailyExpression or \
                     cronExpression && cronExpression"
                ),
            );
        }
    }
}

/// Hours and minutes, with seconds and milliseconds or without, from and to; the end comes later.
fn is_daily(text: &str) -> bool {
    let Some((from, to)) = text.split_once('-') else { return false };
    matches!((time_of_day(from), time_of_day(to)), (Some(from), Some(to)) if from < to)
}

fn time_of_day(text: &str) -> Option<[u32; 4]> {
    const LIMITS: [u32; 4] = [24, 60, 60, 1000];
    let parts: Vec<&str> = text.trim().split(':').collect();
    let mut time = [0; 4];
    if !(2..=4).contains(&parts.len()) {
        return None;
    }
    for ((slot, limit), part) in time.iter_mut().zip(LIMITS).zip(parts) {
        *slot = part.parse().ok().filter(|value| *value < limit)?;
    }
    Some(time)
}

/// One sample is taken per reconciliation, and two are needed to judge anything.
fn metrics_window(configuration: &Configuration, problems: &mut Problems) {
    let window = match lookup(configuration, "metrics.window") {
        Some((key, value)) => match parse_duration_ms(&value) {
            Ok(window) => window,
            Err(error) => {
                let expected = error.expected.to_owned();
                return problems.0.push(option_problem(&OptionError { key, value, expected }));
            }
        },
        None => METRICS_WINDOW_MS,
    };
    let interval = first_of(configuration, operator::RECONCILE_INTERVAL.names)
        .and_then(|(_, value)| parse_duration_ms(value).ok())
        .unwrap_or(RECONCILE_INTERVAL_MS);
    if window < interval {
        let iso = |ms: i64| jiff::SignedDuration::from_millis(ms).to_string();
        problems.add(
            &option_field("job.autoscaler.metrics.window"),
            format!(
                "The autoscaler metric window (job.autoscaler.metrics.window={}) must not be smaller than \
                 the operator reconcile interval ({}={}), otherwise fewer than two metric samples are \
                 retained and autoscaling is never applied.",
                iso(window),
                operator::RECONCILE_INTERVAL.name(),
                iso(interval)
            ),
        );
    }
}

fn switched_on(configuration: &Configuration, name: &str) -> bool {
    lookup(configuration, name).and_then(|(_, value)| parse_boolean(&value).ok()).unwrap_or(false)
}

/// An option under its present name, its deprecated name, or the prefix of old releases.
fn lookup(configuration: &Configuration, name: &str) -> Option<(String, String)> {
    let deprecated = if name == "utilization.target" { "target.utilization" } else { name };
    let candidates = [
        format!("{PREFIX}{name}"),
        format!("{PREFIX}{deprecated}"),
        format!("{OLD_PREFIX}{name}"),
        format!("{OLD_PREFIX}{deprecated}"),
    ];
    candidates.into_iter().find_map(|key| {
        let value = configuration.get(&key)?.clone();
        Some((key, value))
    })
}
