//! The REST client against recorded answers of Flink and against connections that fail.

#[cfg(test)]
mod connection;
#[cfg(test)]
mod jars;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
