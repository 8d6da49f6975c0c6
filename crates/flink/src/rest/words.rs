//! Java's stack traces, read for their messages.
//!
//! This module refuses to interpret them.

/// Exceptions whose own message only repeats that of their cause.
const WRAPPERS: [&str; 3] = [
    "java.util.concurrent.CompletionException: ",
    "java.util.concurrent.ExecutionException: ",
    "org.apache.flink.runtime.rest.handler.RestHandlerException: ",
];

/// The messages of a stack trace, outermost first, each once, without frames.
pub(super) fn messages(stack_trace: &str) -> String {
    let mut messages: Vec<&str> = Vec::new();
    for line in stack_trace.lines() {
        let is_frame = line.starts_with([' ', '\t']);
        let message = unwrapped(line.strip_prefix("Caused by: ").unwrap_or(line).trim());
        let is_mark = message.starts_with("<Exception on server side:")
            || message == "End of exception on server side>";
        if !is_frame && !is_mark && !message.is_empty() && !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages.join(": ")
}

fn unwrapped(mut message: &str) -> &str {
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| message.strip_prefix(wrapper)) {
        message = rest;
    }
    message
}

#[cfg(test)]
mod tests {
    use super::messages;

    #[test]
    fn each_message_comes_once_and_no_frame() {
        let trace = "java.util.concurrent.CompletionException: a.B: outer\n\tat x.Y(Z.java:1)\n\
                     Caused by: a.B: outer\n\tat q\nCaused by: c.D: inner\n\tat q\n\t... 4 more\n";
        assert_eq!(messages(trace), "a.B: outer: c.D: inner");
        assert_eq!(messages("Internal server error."), "Internal server error.");
        let marked = "<Exception on server side:\njava.lang.NullPointerException\n\tat q\n\nEnd of exception on server side>";
        assert_eq!(messages(marked), "java.lang.NullPointerException");
    }
}
