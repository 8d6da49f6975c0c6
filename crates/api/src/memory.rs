//! Memory sizes and quantities as upstream reads them: Flink's syntax first, then a Kubernetes
//! quantity. Refuses to know which process a size is for.

/// A memory size that follows neither syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a memory size such as `2048m`, `2g` or `2Gi`")]
pub struct MemoryError {
    /// The size as given.
    pub text: String,
}

/// A Kubernetes quantity that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a quantity such as `2`, `500m` or `2Gi`")]
pub struct QuantityError {
    /// The quantity as given.
    pub text: String,
}

/// Bytes of a memory size. Flink's syntax counts in steps of 1024 and ignores case, so that `2g`, `2G`,
/// `2gb`, `2gib` and `2Gi` are the same. What it cannot read is read as a Kubernetes quantity in capital
/// letters, so that `1.5G` is 1.5·10⁹ bytes (upstream does the same).
///
/// # Errors
/// The text follows neither syntax, is negative, is no whole number of bytes, or does not fit.
pub fn parse_bytes(text: &str) -> Result<i64, MemoryError> {
    flink_bytes(text).or_else(|| quantity_bytes(text)).ok_or_else(|| MemoryError { text: text.to_owned() })
}

fn flink_bytes(text: &str) -> Option<i64> {
    let trimmed = text.trim();
    let digits = trimmed.chars().take_while(char::is_ascii_digit).count();
    let amount: i64 = trimmed[..digits].parse().ok()?;
    let shift = match trimmed[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kibibytes" => 10,
        "m" | "mb" | "mebibytes" => 20,
        "g" | "gb" | "gibibytes" => 30,
        "t" | "tb" | "tebibytes" => 40,
        _ => return None,
    };
    amount.checked_mul(1 << shift)
}

fn quantity_bytes(text: &str) -> Option<i64> {
    let mut quantity: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    quantity = quantity.to_ascii_uppercase();
    if quantity.ends_with('B') {
        quantity.pop();
    }
    if quantity.ends_with('I') {
        quantity.pop();
        quantity.push('i');
    }
    let amount = Amount::parse(&quantity).ok()?;
    let whole = amount.whole()?;
    (whole >= 0).then_some(whole)
}

/// A memory size as Flink writes it: the largest unit that divides it, such as `1 gb` or `1536 mb`.
#[must_use]
pub fn format_bytes(bytes: i64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "tb"), (30, "gb"), (20, "mb"), (10, "kb")];
    UNITS
        .into_iter()
        .find(|(shift, _)| bytes != 0 && bytes % (1_i64 << shift) == 0)
        .map_or_else(|| format!("{bytes} bytes"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// The exact amount of a Kubernetes quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    numerator: i128,
    denominator: i128,
}

impl Amount {
    /// Reads a quantity: a decimal number with a suffix (`n`, `u`, `m`, `k`, `M`, `G`, `T`, `P`, `E`,
    /// `Ki`…`Ei`) or an exponent.
    ///
    /// # Errors
    /// The text is no quantity, or does not fit.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Self::read(text.trim()).ok_or_else(|| QuantityError { text: text.to_owned() })
    }

    fn read(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let (multiplier, divisor) = suffix_factor(suffix)?;
        let denominator = ten_to(u32::try_from(fraction.len()).ok()?)?.checked_mul(divisor)?;
        let numerator = digits.checked_mul(multiplier)?;
        Some(Self { numerator: if negative { -numerator } else { numerator }, denominator })
    }

    /// -1, 0 or 1.
    #[must_use]
    pub fn signum(self) -> i128 {
        self.numerator.signum()
    }

    /// The amount as the nearest double.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "quantities are small next to the 53 bits of a double")]
    pub fn as_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// The amount, if it is whole and fits.
    #[must_use]
    pub fn whole(self) -> Option<i64> {
        (self.numerator % self.denominator == 0)
            .then(|| i64::try_from(self.numerator / self.denominator).ok())
            .flatten()
    }
}

fn suffix_factor(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = ten_to(power.unsigned_abs())?;
            if power < 0 { (1, factor) } else { (factor, 1) }
        }
    })
}

fn ten_to(power: u32) -> Option<i128> {
    10_i128.checked_pow(power)
}
