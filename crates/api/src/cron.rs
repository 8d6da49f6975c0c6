//! Quartz cron expressions, in UTC: `seconds minutes hours day-of-month month day-of-week [year]`.
//!
//! Exactly one of the two day fields is `?`, as in Quartz. `L`, `L-n`, `LW`, `nW` in the day of month
//! and `L`, `nL`, `n#k` in the day of week (1 or `SUN` to 7 or `SAT`) are understood. Refuses to know
//! what is scheduled.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;

const FIRST_YEAR: i16 = 1970;
const LAST_YEAR: i16 = 2199;
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CronError {
    #[error("expected 6 or 7 fields (seconds first), found {0}")]
    FieldCount(usize),
    #[error("exactly one of day-of-month and day-of-week must be `?`")]
    DayFields,
    #[error("`{text}` is not a valid {field}")]
    Field { field: &'static str, text: String },
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    seconds: Vec<i16>,
    minutes: Vec<i16>,
    hours: Vec<i16>,
    months: Vec<i16>,
    years: Vec<i16>,
    days: Vec<DayRule>,
}

/// One way for a day to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayRule {
    Any,
    OfMonth(i16),
    LastOfMonth { before: i16 },
    LastWorkday,
    NearestWorkday(i16),
    OfWeek(i16),
    LastOfWeek(i16),
    NthOfWeek { weekday: i16, nth: i16 },
}

struct Field {
    name: &'static str,
    first: i16,
    last: i16,
    words: &'static [&'static str],
}

const SECONDS: Field = Field { name: "second", first: 0, last: 59, words: &[] };
const MINUTES: Field = Field { name: "minute", first: 0, last: 59, words: &[] };
const HOURS: Field = Field { name: "hour", first: 0, last: 23, words: &[] };
const DAYS_OF_MONTH: Field = Field { name: "day of month", first: 1, last: 31, words: &[] };
const MONTHS_OF_YEAR: Field = Field { name: "month", first: 1, last: 12, words: &MONTHS };
const DAYS_OF_WEEK: Field = Field { name: "day of week", first: 1, last: 7, words: &WEEKDAYS };
const YEARS: Field = Field { name: "year", first: FIRST_YEAR, last: LAST_YEAR, words: &[] };

impl Cron {
    /// Reads an expression; case does not matter.
    pub(crate) fn parse(expression: &str) -> Result<Self, CronError> {
        let upper = expression.to_ascii_uppercase();
        let fields: Vec<&str> = upper.split_whitespace().collect();
        let (seconds, minutes, hours, of_month, months, of_week, years) = match fields.as_slice() {
            [s, m, h, dom, mon, dow] => (s, m, h, dom, mon, dow, &"*"),
            [s, m, h, dom, mon, dow, year] => (s, m, h, dom, mon, dow, year),
            other => return Err(CronError::FieldCount(other.len())),
        };
        let days = match (*of_month, *of_week) {
            ("?", "?") => return Err(CronError::DayFields),
            ("?", of_week) => days_of_week(of_week)?,
            (of_month, "?") => days_of_month(of_month)?,
            (_, _) => return Err(CronError::DayFields),
        };
        Ok(Self {
            seconds: SECONDS.values(seconds)?,
            minutes: MINUTES.values(minutes)?,
            hours: HOURS.values(hours)?,
            months: MONTHS_OF_YEAR.values(months)?,
            years: YEARS.values(years)?,
            days,
        })
    }

    /// The first matching second after `last_ms`, milliseconds since the epoch.
    pub(crate) fn next_after(&self, last_ms: i64) -> Option<i64> {
        let start = Timestamp::from_second(last_ms.div_euclid(1000).checked_add(1)?).ok()?;
        let start = start.to_zoned(TimeZone::UTC).datetime();
        let time = start.time();
        let first = [i16::from(time.hour()), i16::from(time.minute()), i16::from(time.second())];
        let today = self.day_matches(start.date()).then(|| self.time_from(first)).flatten();
        let (day, [hour, minute, second]) = match today {
            Some(time) => (start.date(), time),
            None => (self.day_after(start.date())?, self.time_from([0, 0, 0])?),
        };
        let at = |value: i16| i8::try_from(value).expect("hours, minutes and seconds are below 60");
        let due = day.at(at(hour), at(minute), at(second), 0).to_zoned(TimeZone::UTC).ok()?;
        Some(due.timestamp().as_millisecond())
    }

    /// The earliest matching time of day that is not before `[hour, minute, second]`.
    fn time_from(&self, [hour, minute, second]: [i16; 3]) -> Option<[i16; 3]> {
        let (first_minute, first_second) = (*self.minutes.first()?, *self.seconds.first()?);
        if self.hours.contains(&hour) {
            if self.minutes.contains(&minute)
                && let Some(second) = not_before(&self.seconds, second)
            {
                return Some([hour, minute, second]);
            }
            if let Some(minute) = not_before(&self.minutes, minute + 1) {
                return Some([hour, minute, first_second]);
            }
        }
        not_before(&self.hours, hour + 1).map(|hour| [hour, first_minute, first_second])
    }

    fn day_after(&self, day: Date) -> Option<Date> {
        let mut day = day.tomorrow().ok()?;
        while day.year() <= LAST_YEAR {
            if !self.years.contains(&day.year()) {
                day = date(not_before(&self.years, day.year() + 1)?, 1, 1);
            } else if !self.months.contains(&i16::from(day.month())) {
                day = day.last_of_month().tomorrow().ok()?;
            } else if self.day_matches(day) {
                return Some(day);
            } else {
                day = day.tomorrow().ok()?;
            }
        }
        None
    }

    fn day_matches(&self, day: Date) -> bool {
        self.years.contains(&day.year())
            && self.months.contains(&i16::from(day.month()))
            && self.days.iter().any(|rule| rule.matches(day))
    }
}

impl DayRule {
    fn matches(self, day: Date) -> bool {
        let number = i16::from(day.day());
        let last = i16::from(day.days_in_month());
        let weekday = weekday_number(day);
        match self {
            Self::Any => true,
            Self::OfMonth(wanted) => number == wanted,
            Self::LastOfMonth { before } => number == last - before,
            Self::LastWorkday => number == nearest_workday(day, last),
            Self::NearestWorkday(wanted) => number == nearest_workday(day, wanted.min(last)),
            Self::OfWeek(wanted) => weekday == wanted,
            Self::LastOfWeek(wanted) => weekday == wanted && number > last - 7,
            Self::NthOfWeek { weekday: wanted, nth } => weekday == wanted && (number - 1) / 7 + 1 == nth,
        }
    }
}

/// The working day nearest to `wanted` without leaving the month of `day`.
fn nearest_workday(day: Date, wanted: i16) -> i16 {
    let last = i16::from(day.days_in_month());
    let target = date(day.year(), day.month(), i8::try_from(wanted).expect("a day of a month is below 32"));
    match target.weekday() {
        Weekday::Saturday if wanted == 1 => 3,
        Weekday::Saturday => wanted - 1,
        Weekday::Sunday if wanted == last => last - 2,
        Weekday::Sunday => wanted + 1,
        Weekday::Monday | Weekday::Tuesday | Weekday::Wednesday | Weekday::Thursday | Weekday::Friday => {
            wanted
        }
    }
}

fn weekday_number(day: Date) -> i16 {
    i16::from(day.weekday().to_sunday_one_offset())
}

fn not_before(values: &[i16], least: i16) -> Option<i16> {
    values.iter().copied().find(|value| *value >= least)
}

fn days_of_month(text: &str) -> Result<Vec<DayRule>, CronError> {
    if text == "*" {
        return Ok(vec![DayRule::Any]);
    }
    let mut rules = Vec::new();
    for part in text.split(',') {
        if part == "LW" {
            rules.push(DayRule::LastWorkday);
        } else if let Some(offset) = part.strip_prefix('L') {
            let before = if offset.is_empty() {
                0
            } else {
                let offset = offset.strip_prefix('-').ok_or_else(|| DAYS_OF_MONTH.error(part))?;
                offset
                    .parse()
                    .ok()
                    .filter(|n| (0..=30).contains(n))
                    .ok_or_else(|| DAYS_OF_MONTH.error(part))?
            };
            rules.push(DayRule::LastOfMonth { before });
        } else if let Some(day) = part.strip_suffix('W') {
            rules.push(DayRule::NearestWorkday(DAYS_OF_MONTH.value(day)?));
        } else {
            rules.extend(DAYS_OF_MONTH.range(part)?.into_iter().map(DayRule::OfMonth));
        }
    }
    Ok(rules)
}

fn days_of_week(text: &str) -> Result<Vec<DayRule>, CronError> {
    if text == "*" {
        return Ok(vec![DayRule::Any]);
    }
    let mut rules = Vec::new();
    for part in text.split(',') {
        if part == "L" {
            rules.push(DayRule::OfWeek(7));
        } else if let Some(weekday) = part.strip_suffix('L') {
            rules.push(DayRule::LastOfWeek(DAYS_OF_WEEK.value(weekday)?));
        } else if let Some((weekday, nth)) = part.split_once('#') {
            let nth =
                nth.parse().ok().filter(|n| (1..=5).contains(n)).ok_or_else(|| DAYS_OF_WEEK.error(part))?;
            rules.push(DayRule::NthOfWeek { weekday: DAYS_OF_WEEK.value(weekday)?, nth });
        } else {
            rules.extend(DAYS_OF_WEEK.range(part)?.into_iter().map(DayRule::OfWeek));
        }
    }
    Ok(rules)
}

impl Field {
    fn error(&self, text: &str) -> CronError {
        CronError::Field { field: self.name, text: text.to_owned() }
    }

    /// All values of a comma-separated list, ascending, each once.
    fn values(&self, text: &str) -> Result<Vec<i16>, CronError> {
        let mut values = Vec::new();
        for part in text.split(',') {
            values.extend(self.range(part)?);
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    /// Values of one part: `*`, `n`, `a-b`, each with `/step` or not. A range may wrap around.
    fn range(&self, part: &str) -> Result<Vec<i16>, CronError> {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step_by = match step {
            None => 1,
            Some(step) => step
                .parse::<i16>()
                .ok()
                .filter(|step| (1..=self.last).contains(step))
                .ok_or_else(|| self.error(part))?,
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None if range == "*" || (range.is_empty() && step.is_some()) => (self.first, self.last),
            None => {
                let from = self.value(range)?;
                (from, if step.is_some() { self.last } else { from })
            }
        };
        let width = self.last - self.first + 1;
        let length = if to >= from { to - from } else { to + width - from };
        let wrapped = (0..=length).step_by(usize::from(step_by.unsigned_abs()));
        Ok(wrapped.map(|offset| (from - self.first + offset) % width + self.first).collect())
    }

    fn value(&self, text: &str) -> Result<i16, CronError> {
        let word = self.words.iter().position(|word| *word == text);
        let value = match word {
            Some(index) => i16::try_from(index).ok().map(|index| index + self.first),
            None => text.parse().ok(),
        };
        value.filter(|value| (self.first..=self.last).contains(value)).ok_or_else(|| self.error(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, after: &str, expected: Option<&str>) {
        let after: Timestamp = after.parse().expect("test data");
        let next = Cron::parse(expression).expect(expression).next_after(after.as_millisecond());
        let next = next.map(|ms| Timestamp::from_millisecond(ms).expect("a time").to_string());
        assert_eq!(next.as_deref(), expected, "{expression} after {after}");
    }

    #[test]
    fn next_times() {
        let from = "2026-11-21T10:00:00Z"; // a Saturday
        check("0 0 * * * ?", from, Some("2026-11-21T11:00:00Z"));
        check("0 */15 * * * ?", from, Some("2026-11-21T10:15:00Z"));
        check("30 0 0 * * ?", from, Some("2026-11-22T00:00:30Z"));
        check("0 0 2 ? * MON-FRI", from, Some("2026-11-23T02:00:00Z"));
        check("0 0 2 ? * 2", from, Some("2026-11-23T02:00:00Z"));
        check("0 0 2 ? * FRI-MON", from, Some("2026-11-22T02:00:00Z"));
        check("0 0 12 L * ?", from, Some("2026-11-30T12:00:00Z"));
        check("0 0 12 L-3 * ?", from, Some("2026-11-27T12:00:00Z"));
        check("0 0 12 LW 1 ?", from, Some("2027-01-29T12:00:00Z"));
        check("0 0 12 22W * ?", from, Some("2026-11-23T12:00:00Z"));
        check("0 0 12 ? * 6L", from, Some("2026-11-27T12:00:00Z"));
        check("0 0 12 ? * 3#1", from, Some("2026-12-01T12:00:00Z"));
        check("0 0 0 29 2 ?", from, Some("2028-02-29T00:00:00Z"));
        check("0 0 0 1 1 ? 2030", from, Some("2030-01-01T00:00:00Z"));
        check("0 0 0 30 2 ?", from, None);
        check("0 0 0 1 1 ? 2020", from, None);
        check("5,10 59 23 31 DEC ?", from, Some("2026-12-31T23:59:05Z"));
        check("0 0 22-2 * * ?", "2026-11-21T03:00:00Z", Some("2026-11-21T22:00:00Z"));
        check("0 0 0 1 * ?", "1969-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn refused() {
        for expression in [
            "",
            "* * * * *",
            "0 0 0 1 * 1",
            "0 0 0 ? * ?",
            "60 * * * * ?",
            "0 0 24 * * ?",
            "0 0 0 32 * ?",
            "0 0 0 ? * 8",
            "0 0/0 * * * ?",
            "0 0 0 ? * MON#6",
            "a b c d e ?",
        ] {
            assert!(Cron::parse(expression).is_err(), "{expression}");
        }
    }
}
