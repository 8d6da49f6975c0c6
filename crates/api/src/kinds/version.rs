//! Flink versions as the `flinkVersion` field names them. Refuses to know what differs between them.

use super::text_enum::text_enum;

text_enum! {
    /// A minor version of Flink, ordered from old to new.
    pub enum FlinkVersion {
        /// Flink 1.13.
        V1_13 = "v1_13",
        /// Flink 1.14.
        V1_14 = "v1_14",
        /// Flink 1.15.
        V1_15 = "v1_15",
        /// Flink 1.16.
        V1_16 = "v1_16",
        /// Flink 1.17.
        V1_17 = "v1_17",
        /// Flink 1.18.
        V1_18 = "v1_18",
        /// Flink 1.19.
        V1_19 = "v1_19",
        /// Flink 1.20.
        V1_20 = "v1_20",
        /// Flink 2.0.
        V2_0 = "v2_0",
        /// Flink 2.1.
        V2_1 = "v2_1",
        /// Flink 2.2.
        V2_2 = "v2_2",
        /// Flink 2.3.
        V2_3 = "v2_3",
        /// Flink 2.4.
        V2_4 = "v2_4",
    }
}

impl FlinkVersion {
    /// Whether a cluster of this version is managed at all: 1.15 and newer, as upstream.
    #[must_use]
    pub fn supported(self) -> bool {
        self >= Self::V1_15
    }

    /// Whether upstream marks this version as deprecated: 1.18 and older.
    #[must_use]
    pub fn deprecated(self) -> bool {
        self <= Self::V1_18
    }

    /// The version with a dot, such as `1.20`.
    #[must_use]
    pub fn dotted(self) -> String {
        format!("{}.{}", self.major(), self.minor())
    }

    /// The version that [`FlinkVersion::dotted`] writes like this; `None` for any other text.
    #[must_use]
    pub fn from_dotted(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.dotted() == text)
    }

    /// The number before the dot.
    #[must_use]
    pub fn major(self) -> u32 {
        if self < Self::V2_0 { 1 } else { 2 }
    }

    /// The number after the dot.
    #[must_use]
    pub fn minor(self) -> u32 {
        match self {
            Self::V1_13 => 13,
            Self::V1_14 => 14,
            Self::V1_15 => 15,
            Self::V1_16 => 16,
            Self::V1_17 => 17,
            Self::V1_18 => 18,
            Self::V1_19 => 19,
            Self::V1_20 => 20,
            Self::V2_0 => 0,
            Self::V2_1 => 1,
            Self::V2_2 => 2,
            Self::V2_3 => 3,
            Self::V2_4 => 4,
        }
    }
}
