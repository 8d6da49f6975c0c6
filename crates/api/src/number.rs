//! Numbers as Java writes them. Flat configuration values and encoded specs are compared as text with
//! what upstream wrote, and there `0.0001` is `1.0E-4`.

use serde_json::Number;

/// A JSON number as Jackson turns it into text.
pub(crate) fn text(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => double_text(value),
        Some(_) | None => number.to_string(),
    }
}

/// A double as `Double.toString` writes it: plain between 10⁻³ and 10⁷, else in scientific notation;
/// always with a digit behind the point.
pub(crate) fn double_text(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_like_java() {
        let table = [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (0.0, "0.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (-0.00025, "-2.5E-4"),
            (9_999_999.0, "9999999.0"),
            (10_000_000.0, "1.0E7"),
            (1.25e20, "1.25E20"),
        ];
        for (value, expected) in table {
            assert_eq!(double_text(value), expected);
        }
    }
}
