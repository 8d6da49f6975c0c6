//! Traces of the operator: whether somebody asks for them. Builds with the feature `traces` send them, the others say
//! that they cannot.

#[cfg(not(feature = "traces"))]
mod absent;
#[cfg(feature = "traces")]
mod otlp;

#[cfg(not(feature = "traces"))]
pub(crate) use absent::Traces;
#[cfg(feature = "traces")]
pub(crate) use otlp::Traces;

/// Whether the environment names a place for traces, and nothing in it says otherwise.
fn asked_for(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name: &str, value: &str| variable(name).is_some_and(|is| is.trim().eq_ignore_ascii_case(value));
    let somewhere =
        variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or(variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
    somewhere.is_some() && !is("OTEL_SDK_DISABLED", "true") && !is("OTEL_TRACES_EXPORTER", "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_sent_only_to_a_place_that_is_named() {
        let asked = |set: &[(&str, &str)]| {
            asked_for(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        let place = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert!(asked(&[place]));
        assert!(asked(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")]));
        assert!(!asked(&[]));
        assert!(!asked(&[place, ("OTEL_SDK_DISABLED", "TRUE")]));
        assert!(!asked(&[place, ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(asked(&[place, ("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_SDK_DISABLED", "false")]));
    }
}
