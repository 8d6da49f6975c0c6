//! The logging files of clusters whose resource brings none.

/// Logging files by framework; a file that is `None` is not mounted. Which of them is used is the image's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggingFiles {
    /// `log4j-console.properties`.
    pub log4j_console: Option<String>,
    /// `logback-console.xml`.
    pub logback_console: Option<String>,
}

impl Default for LoggingFiles {
    /// To the console, where Kubernetes collects it, and to the file that Flink's dashboard shows. Log4j only: images
    /// of Flink come with it.
    fn default() -> Self {
        Self { log4j_console: Some(LOG4J_CONSOLE.to_owned()), logback_console: None }
    }
}

const LOG4J_CONSOLE: &str = include_str!("logging/log4j-console.properties");
