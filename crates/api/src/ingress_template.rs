//! The variables of `spec.ingress.template`. Refuses to know what an address is.

/// Puts name and namespace of a resource in the places of `{{name}}` and `{{namespace}}`, which may be written in any
/// case.
#[must_use]
pub fn fill(template: &str, name: &str, namespace: &str) -> String {
    let named = replace_ignoring_case(template, "{{name}}", name);
    replace_ignoring_case(&named, "{{namespace}}", namespace)
}

fn replace_ignoring_case(text: &str, pattern: &str, replacement: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut replaced = String::with_capacity(text.len());
    let mut rest = 0;
    for (start, matched) in lower.match_indices(pattern) {
        replaced.push_str(&text[rest..start]);
        replaced.push_str(replacement);
        rest = start + matched.len();
    }
    replaced.push_str(&text[rest..]);
    replaced
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn variables_are_filled_in_any_case() {
        for (template, expected) in [
            ("{{name}}.{{namespace}}.io", "job.team.io"),
            ("/{{Namespace}}/{{NAME}}/{{name}}", "/team/job/job"),
            ("Ä{{name}}", "Äjob"),
            ("{{other}}", "{{other}}"),
        ] {
            assert_eq!(fill(template, "job", "team"), expected);
        }
    }
}
