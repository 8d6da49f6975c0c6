//! Names of images, short. Refuses to ask a registry.

/// The last part of the name with its tag, or the first figures of its digest.
pub(super) fn tag(image: &str) -> String {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    match digest {
        Some(digest) if !last.contains(':') => {
            let figures = digest.split_once(':').map_or(digest, |(_, figures)| figures);
            format!("{last}@{}", figures.chars().take(12).collect::<String>())
        }
        Some(_) | None => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn registries_and_folders_are_left_out_and_digests_cut() {
        for (image, short) in [
            ("flink:1.20", "flink:1.20"),
            ("acme/app:1", "app:1"),
            ("localhost:5000/team/app", "app"),
            ("registry.example:5000/a/b/app:2.1@sha256:0123456789abcdef", "app:2.1"),
            ("a/app@sha256:0123456789abcdef", "app@0123456789ab"),
            ("", ""),
        ] {
            assert_eq!(tag(image), short, "{image}");
        }
    }
}
