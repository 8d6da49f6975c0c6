//! From a URL to what it addresses, and its query parameters. It refuses to know which kinds exist.

use http::Uri;

/// What a path addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/`
    Root,
    /// `/healthz`, `/livez`, `/readyz` and what is below them.
    Health,
    /// `/version`
    Version,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/{group}`
    Group(String),
    /// `/api/v1` or `/apis/{group}/{version}`
    Resources { group: String, version: String },
    /// `/openapi/v2`
    OpenApiV2,
    /// `/openapi/v3`
    OpenApiV3,
    /// `/openapi/v3/api/v1` or `/openapi/v3/apis/{group}/{version}`
    OpenApiV3Group { group: String, version: String },
    /// A collection, an object or a subresource.
    Resource(ResourcePath),
    /// Nothing that Kubernetes has.
    Unknown,
}

/// The parts of a resource's path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// Reads the path of a request.
pub(crate) fn parse(uri: &Uri) -> Target {
    let decoded: Vec<String> = uri
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| decode(segment, false))
        .collect();
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    match segments.as_slice() {
        [] => Target::Root,
        ["healthz" | "livez" | "readyz", ..] => Target::Health,
        ["version"] => Target::Version,
        ["openapi", "v2"] => Target::OpenApiV2,
        ["openapi", "v3"] => Target::OpenApiV3,
        ["openapi", "v3", "api", version] => openapi_group("", version),
        ["openapi", "v3", "apis", group, version] => openapi_group(group, version),
        ["api"] => Target::CoreVersions,
        ["api", version] => Target::Resources { group: String::new(), version: (*version).to_owned() },
        ["api", version, rest @ ..] => resource("", version, rest),
        ["apis"] => Target::Groups,
        ["apis", group] => Target::Group((*group).to_owned()),
        ["apis", group, version] => {
            Target::Resources { group: (*group).to_owned(), version: (*version).to_owned() }
        }
        ["apis", group, version, rest @ ..] => resource(group, version, rest),
        _ => Target::Unknown,
    }
}

fn openapi_group(group: &str, version: &str) -> Target {
    Target::OpenApiV3Group { group: group.to_owned(), version: version.to_owned() }
}

fn resource(group: &str, version: &str, rest: &[&str]) -> Target {
    let base =
        ResourcePath { group: group.to_owned(), version: version.to_owned(), ..ResourcePath::default() };
    let owned = |text: &str| Some(text.to_owned());
    // `namespaces/x` is an object, `namespaces/x/status` its subresource, `namespaces/x/pods` lies inside.
    let path = match rest {
        ["namespaces", name, subresource @ ("status" | "finalize")] if group.is_empty() => ResourcePath {
            plural: "namespaces".to_owned(),
            name: owned(name),
            subresource: owned(subresource),
            ..base
        },
        ["namespaces", namespace, plural] => {
            ResourcePath { namespace: owned(namespace), plural: (*plural).to_owned(), ..base }
        }
        ["namespaces", namespace, plural, name] => ResourcePath {
            namespace: owned(namespace),
            plural: (*plural).to_owned(),
            name: owned(name),
            ..base
        },
        ["namespaces", namespace, plural, name, subresource @ ..] => ResourcePath {
            namespace: owned(namespace),
            plural: (*plural).to_owned(),
            name: owned(name),
            subresource: Some(subresource.join("/")),
            ..base
        },
        [plural] => ResourcePath { plural: (*plural).to_owned(), ..base },
        [plural, name] => ResourcePath { plural: (*plural).to_owned(), name: owned(name), ..base },
        [plural, name, subresource @ ..] => ResourcePath {
            plural: (*plural).to_owned(),
            name: owned(name),
            subresource: Some(subresource.join("/")),
            ..base
        },
        [] => return Target::Unknown,
    };
    Target::Resource(path)
}

/// The query parameters of a request, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(uri: &Uri) -> Query {
        let raw = uri.query().unwrap_or("");
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        });
        Query { pairs: pairs.collect() }
    }

    /// The first value of a parameter; empty counts as absent, as in Go's option decoding.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        values.next().filter(|value| !value.is_empty())
    }

    /// Whether a boolean parameter is on: present and not `0` or `false`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        values.next().is_some_and(|value| !matches!(value, "0" | "false"))
    }

    /// Whether the parameter is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| key == name)
    }
}

/// Undoes percent encoding; `+` is a space in queries. Broken escapes stay as they are.
fn decode(text: &str, query: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escaped = bytes.get(index + 1..index + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[index], escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                index += 2;
            }
            (b'+', _) if query => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        parse(&path.parse().unwrap())
    }

    fn path(
        group: &str,
        namespace: Option<&str>,
        plural: &str,
        name: Option<&str>,
        sub: Option<&str>,
    ) -> Target {
        Target::Resource(ResourcePath {
            group: group.to_owned(),
            version: "v1".to_owned(),
            namespace: namespace.map(str::to_owned),
            plural: plural.to_owned(),
            name: name.map(str::to_owned),
            subresource: sub.map(str::to_owned),
        })
    }

    #[test]
    fn paths() {
        assert_eq!(target("/"), Target::Root);
        assert_eq!(target("/readyz/etcd"), Target::Health);
        assert_eq!(target("/api/v1"), Target::Resources { group: String::new(), version: "v1".to_owned() });
        assert_eq!(target("/api/v1/namespaces"), path("", None, "namespaces", None, None));
        assert_eq!(target("/api/v1/namespaces/a"), path("", None, "namespaces", Some("a"), None));
        assert_eq!(
            target("/api/v1/namespaces/a/status"),
            path("", None, "namespaces", Some("a"), Some("status"))
        );
        assert_eq!(target("/api/v1/namespaces/a/pods"), path("", Some("a"), "pods", None, None));
        assert_eq!(target("/apis/g/v1/namespaces/a/ks/n"), path("g", Some("a"), "ks", Some("n"), None));
        assert_eq!(target("/apis/g/v1/ks/n/scale"), path("g", None, "ks", Some("n"), Some("scale")));
        assert_eq!(target("/nothing"), Target::Unknown);
    }

    #[test]
    fn queries() {
        let query = Query::parse(&"/x?a=1&b=&labelSelector=a%3Db%2Cc+in+(d)&watch".parse().unwrap());
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("b"), None);
        assert!(query.has("b") && !query.has("z"));
        assert_eq!(query.get("labelSelector"), Some("a=b,c in (d)"));
        assert!(query.flag("watch") && query.flag("a") && !query.flag("z"));
    }
}
