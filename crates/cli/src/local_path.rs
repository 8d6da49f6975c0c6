//! What a path or a URI of Flink names on this machine. Refuses to look whether it is there.

use std::path::PathBuf;

/// The path in a URI of a local file, or the text itself when it is none. Nothing when it names another place.
#[must_use]
pub fn path_of(uri: &str) -> Option<&str> {
    match uri.split_once(':') {
        Some(("file" | "local", rest)) => match rest.strip_prefix("//") {
            // `file://./x` has an empty authority in what people mean, if not in the standard.
            Some(rest) => Some(rest),
            None => Some(rest),
        },
        Some((scheme, _)) if !scheme.contains('/') && scheme.len() > 1 => None,
        Some(_) | None => Some(uri),
    }
}

/// The file or directory, if it is one of this machine and said from the root.
#[must_use]
pub fn absolute(uri: &str) -> Option<PathBuf> {
    path_of(uri).filter(|path| path.starts_with('/')).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_machine() {
        for uri in ["/a/b", "file:/a/b", "file:///a/b", "local:///a/b"] {
            assert_eq!(absolute(uri), Some(PathBuf::from("/a/b")), "{uri}");
        }
        for uri in ["a/b", "file:a/b", "s3://bucket/a", "hdfs:///a"] {
            assert_eq!(absolute(uri), None, "{uri}");
        }
    }
}
