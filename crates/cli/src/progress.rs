//! What a person sees while a command waits for a resource: on a terminal a tree of the steps so far, whose last line is
//! repainted with the time that it takes; elsewhere one line for each step. Refuses to know what the steps are.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{is_live, say};

/// How often the last line is repainted.
const REPAINT: Duration = Duration::from_millis(120);

/// The steps of one resource, on standard error. Dropped, it leaves the last one as it was.
#[derive(Debug)]
pub struct Steps {
    object: String,
    painted: Option<ProgressBar>,
    step: Option<(String, Instant)>,
}

impl Steps {
    /// Steps of `object`, of which there are none yet.
    #[must_use]
    pub fn of(object: &str) -> Self {
        let painted = is_live(&std::io::stderr()).then(ProgressDrawTarget::stderr);
        Self::on(object, painted)
    }

    fn on(object: &str, target: Option<ProgressDrawTarget>) -> Self {
        let painted = target.map(|target| {
            let style = ProgressStyle::with_template("└─ {spinner} {wide_msg} {elapsed}");
            let bar = ProgressBar::with_draw_target(None, target);
            // A template that is not understood is a plain spinner.
            style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
        });
        Self { object: object.to_owned(), painted, step: None }
    }

    /// The step that is under way, or nothing.
    #[must_use]
    pub fn current(&self) -> &str {
        self.step.as_ref().map_or("", |(step, _)| step)
    }

    /// Another step begins, if it is another one.
    pub fn now(&mut self, step: String) {
        if step.is_empty() || step == self.current() {
            return;
        }
        match &self.painted {
            None => say(&format!("{}: {step}", self.object)),
            Some(bar) => {
                match &self.step {
                    None => bar.println(&self.object),
                    Some(before) => bar.println(format!("├─ {}", told(before))),
                }
                bar.reset_elapsed();
                bar.set_message(step.clone());
                bar.enable_steady_tick(REPAINT);
            }
        }
        self.step = Some((step, Instant::now()));
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let (Some(bar), Some(last)) = (&self.painted, &self.step) {
            bar.println(format!("└─ {}", told(last)));
            bar.finish_and_clear();
        }
    }
}

fn told((step, began): &(String, Instant)) -> String {
    format!("{step}  {:.1} s", began.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, TermLike};

    #[test]
    fn a_tree_grows_on_a_terminal_and_its_last_line_is_repainted() {
        let terminal = InMemoryTerm::new(20, 60);
        let screen = || {
            let text = terminal.contents();
            text.lines()
                .map(|line| line.split("  ").next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut steps = Steps::on("flinkdeployment/a", Some(target));
        steps.now("UPGRADING · takes a savepoint".to_owned());
        steps.now("UPGRADING · takes a savepoint".to_owned());
        steps.now("DEPLOYED · RECONCILING".to_owned());
        assert_eq!(screen()[..2], ["flinkdeployment/a", "├─ UPGRADING · takes a savepoint"]);
        assert!(screen()[2].starts_with("└─ ") && screen()[2].contains("DEPLOYED"), "{:?}", screen());
        assert_eq!(steps.current(), "DEPLOYED · RECONCILING");
        drop(steps);
        assert_eq!(
            screen(),
            ["flinkdeployment/a", "├─ UPGRADING · takes a savepoint", "└─ DEPLOYED · RECONCILING"]
        );
        assert_eq!(terminal.width(), 60);
    }

    #[test]
    fn nothing_is_left_of_a_wait_that_had_no_step() {
        let terminal = InMemoryTerm::new(20, 60);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        drop(Steps::on("flinkdeployment/a", Some(target)));
        assert_eq!(terminal.contents(), "");
    }
}
