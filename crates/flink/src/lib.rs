//! drey-flink
