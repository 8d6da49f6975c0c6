//! The address under which a jar of an S3 bucket is fetched: `s3://bucket/key`, signed for a while with what the environment
//! gives. Refuses to fetch anything, and to look for credentials in files or at services of a cloud.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use rusty_s3::actions::{GetObject, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};

use crate::failure::{Failure, Kind};

/// Where the service is, for stores other than Amazon's; the first one that is set counts.
const ENDPOINT: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
/// Where the bucket is; the first one that is set counts.
const REGION: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Where buckets are of which nobody says it.
const REGION_DEFAULT: &str = "us-east-1";
const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION: &str = "AWS_SESSION_TOKEN";

/// How long the address is good: for the beginning of the answer, however long the rest takes.
const GOOD_FOR: Duration = Duration::from_secs(900);

/// Whether an address is of a bucket.
#[must_use]
pub fn is_of_bucket(address: &str) -> bool {
    address.starts_with("s3://")
}

/// The address by https of what is at `address`. `variable` is what the environment has; without credentials in it the
/// address is not signed, as for buckets that everybody may read.
///
/// # Errors
/// No bucket or no key in the address, an endpoint that is no address, or half of the credentials.
pub fn signed(
    address: &str,
    variable: impl Fn(&str) -> Option<String>,
    now: Timestamp,
) -> Result<Url, Failure> {
    let wrong = |why: &str| {
        Failure::new(Kind::Usage, format!("{why}; expected `s3://BUCKET/KEY`")).on(address.to_owned())
    };
    let rest = address.strip_prefix("s3://").unwrap_or_default();
    let (name, key) = rest.split_once('/').ok_or_else(|| wrong("the address names no key"))?;
    if name.is_empty() || key.is_empty() {
        return Err(wrong(if name.is_empty() {
            "the address names no bucket"
        } else {
            "the address names no key"
        }));
    }
    let given =
        |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let region = given(&REGION).unwrap_or_else(|| REGION_DEFAULT.to_owned());
    let own = given(&ENDPOINT);
    // Amazon finds buckets by their host name, where a dot would break the certificate; other services by the path.
    let style = if own.is_some() || name.contains('.') { UrlStyle::Path } else { UrlStyle::VirtualHost };
    let endpoint = own.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let endpoint: Url = endpoint.parse().map_err(|error| {
        Failure::new(Kind::Usage, format!("{} is no address: {error}", ENDPOINT.join(" or ")))
    })?;
    let bucket =
        Bucket::new(endpoint, style, name.to_owned(), region).map_err(|error| wrong(&error.to_string()))?;
    let credentials = match (given(&[KEY]), given(&[SECRET])) {
        (Some(key), Some(secret)) => Some(match given(&[SESSION]) {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Failure::new(Kind::Usage, format!("only one of {KEY} and {SECRET} is set")));
        }
    };
    Ok(GetObject::new(&bucket, credentials.as_ref(), key).sign_with_time(GOOD_FOR, &now))
}

/// What to do when a bucket refuses: `region` is where it says that it is.
#[must_use]
pub fn hint(status: u16, region: Option<&str>) -> Option<String> {
    match (status, region) {
        (300..=400, Some(region)) => Some(format!("the bucket is in {region}: set {}={region}", REGION[0])),
        (400 | 401 | 403, _) => Some(format!(
            "set {KEY}, {SECRET} and, if there is one, {SESSION}: `aws configure export-credentials --format env` prints them"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    /// Known answers are those of botocore 1.x (`generate_presigned_url`, signature version s3v4) at the same moment.
    #[test]
    fn an_address_is_signed_as_amazons_own_library_signs_it() {
        let keys = [(KEY, "AKIAIOSFODNN7EXAMPLE"), (SECRET, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")];
        let minio = [keys[0], keys[1], ("AWS_ENDPOINT_URL", "http://minio:9000")];
        let now: Timestamp = "2013-05-24T00:00:00Z".parse().expect("a time");
        for (address, variables, at, signature) in [
            (
                "s3://examplebucket/test.txt",
                &keys[..],
                "https://examplebucket.s3.us-east-1.amazonaws.com/test.txt?",
                "db2386a0383be8f8e71c9a55425dbea213b9eb6f8639809046db72ac57b6d118",
            ),
            (
                "s3://jars/a b/job.jar",
                &minio,
                "http://minio:9000/jars/a%20b/job.jar?",
                "ca94f610a5268b8eb9e3ba751d87544b8da3220d19396338e48a4d1260069e5c",
            ),
        ] {
            let url = signed(address, with(variables), now).expect("signed");
            assert!(url.as_str().starts_with(at), "{url}");
            assert!(url.as_str().ends_with(&format!("&X-Amz-Signature={signature}")), "{url}");
        }
    }

    #[test]
    fn open_buckets_and_tokens_of_a_session() {
        let now = Timestamp::UNIX_EPOCH;
        let open =
            signed("s3://my.jars/job.jar", with(&[("AWS_REGION", "eu-west-1")]), now).expect("not signed");
        assert_eq!(open.as_str(), "https://s3.eu-west-1.amazonaws.com/my.jars/job.jar");
        let lent = [(KEY, "k"), (SECRET, "s"), (SESSION, "t")];
        let url = signed("s3://jars/job.jar", with(&lent), now).expect("signed");
        assert!(url.query_pairs().any(|(name, value)| name == "X-Amz-Security-Token" && value == "t"));
    }

    #[test]
    fn what_is_half_is_refused() {
        for (address, variables) in [
            ("s3://jars", &[][..]),
            ("s3://jars/", &[]),
            ("s3:///job.jar", &[]),
            ("s3://jars/job.jar", &[(KEY, "k")]),
            ("s3://jars/job.jar", &[("AWS_ENDPOINT_URL", "minio")]),
        ] {
            let failure = signed(address, with(variables), Timestamp::UNIX_EPOCH).expect_err(address);
            assert_eq!(failure.kind(), Kind::Usage, "{failure}");
        }
    }
}
