//! Which of Flink's addresses are only read. Refuses to know who asks.

/// Of the paths that Flink answers to GET, those that end a job all the same.
const ENDS_A_JOB: [&str; 2] = ["yarn-cancel", "yarn-stop"];

/// Whether a GET of this path changes nothing. The path has no query.
#[must_use]
pub fn is_only_read(path: &str) -> bool {
    !path.split('/').any(|part| ENDS_A_JOB.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::is_only_read;

    #[test]
    fn a_path_that_ends_a_job_is_not_only_read() {
        assert!(is_only_read("jobs/overview"));
        assert!(is_only_read("/jobs/yarn-cancelled"));
        assert!(!is_only_read("jobs/ab/yarn-cancel"));
        assert!(!is_only_read("/v1/jobs/ab/yarn-stop/"));
    }
}
