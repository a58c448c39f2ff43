//! Texts about an S3 service: where it is, and what objects are called there.

use super::value::Refusal;

/// The URL of a service; `None` when empty, which is AWS.
pub(super) fn endpoint(given: &str) -> Result<Option<String>, Refusal> {
    if given.is_empty() {
        return Ok(None);
    }
    // Before anything that repeats what was given: a user may be a key with its secret.
    if given.contains('@') {
        let help = "keys go into `access_key_id` and `secret_access_key`".to_owned();
        return Err(Refusal::new("has a user in it", help));
    }
    let bare = given.trim_end_matches('/');
    let Some(rest) = bare.strip_prefix("http://").or_else(|| bare.strip_prefix("https://")) else {
        let is_host = !bare.contains("://") && !bare.contains(char::is_whitespace);
        let help = is_host.then(|| format!("write \"https://{bare}\", or http:// where there is no TLS"));
        return Err(Refusal::new(format!("is not the URL of a service: {given:?}"), help));
    };
    if rest.is_empty() || rest.contains(['?', '#', '\\', '"']) || rest.contains(char::is_whitespace) {
        let help = "for example \"http://127.0.0.1:8333\"".to_owned();
        return Err(Refusal::new(format!("is not the URL of a service: {given:?}"), help));
    }
    if bare != given {
        return Err(Refusal::new("ends with a slash", format!("write {bare:?}")));
    }
    if rest.contains('/') {
        let help = "a bucket goes into `bucket`, what keys begin with into `prefix`".to_owned();
        return Err(Refusal::new(format!("has a path in it: {given:?}"), help));
    }
    Ok(Some(given.to_owned()))
}

pub(super) fn bucket(given: &str) -> Result<String, Refusal> {
    if let Some(name) = given.strip_prefix("s3://") {
        let name = name.trim_end_matches('/');
        return Err(Refusal::new("is a URL", format!("write {name:?}")));
    }
    let is_bucket = (3..=255).contains(&given.len())
        && given.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if is_bucket {
        return Ok(given.to_owned());
    }
    let help = match given.split_once('/') {
        Some((bucket, prefix)) => format!("write bucket = {bucket:?} and prefix = \"{prefix}\""),
        None => "3 to 255 letters, digits, dots, - and _".to_owned(),
    };
    Err(Refusal::new(format!("is not the name of a bucket: {given:?}"), help))
}

pub(super) fn prefix(given: &str) -> Result<String, Refusal> {
    let bare = given.trim_start_matches('/');
    if bare != given {
        return Err(Refusal::new("starts with a slash", format!("write {bare:?}")));
    }
    let is_plain =
        given.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'='));
    if !is_plain || given.len() > 512 || given.split('/').any(|part| part == "." || part == "..") {
        let help = "at most 512 letters, digits, dots, - _ = and slashes, no . or .. between them".to_owned();
        return Err(Refusal::new(format!("cannot begin a key: {given:?}"), help));
    }
    if given.contains("//") {
        return Err(Refusal::new("has two slashes in a row", None));
    }
    Ok(given.to_owned())
}

pub(super) fn region(given: &str) -> Result<String, Refusal> {
    let is_region = (1..=64).contains(&given.len())
        && given.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    match is_region {
        true => Ok(given.to_owned()),
        false => {
            let help = "for example \"us-east-1\"; services that have no regions take any".to_owned();
            Err(Refusal::new(format!("is not the name of a region: {given:?}"), help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_of_a_host() {
        assert!(endpoint("").is_ok_and(|none| none.is_none()));
        for given in ["http://127.0.0.1:8333", "https://s3.example", "http://[::1]:9000"] {
            assert!(endpoint(given).is_ok_and(|url| url.as_deref() == Some(given)), "{given}");
        }
        for given in
            ["s3.example", "http://", "http://a/b", "http://a/", "ftp://a", "http://k:s@a", "http://a?b"]
        {
            assert!(endpoint(given).is_err(), "{given}");
        }
    }

    #[test]
    fn keys_in_an_endpoint_are_not_repeated() {
        for given in [
            "AKIA:s3cret@host:8333",
            "http://AKIA:s3cret@host",
            "https://AKIA:s3cret@host/a b",
            "AKIA:s3cret@ ",
        ] {
            let refusal = endpoint(given).map(|_| ()).unwrap_err();
            let said = format!("{} {:?}", refusal.message, refusal.help);
            assert!(!said.contains("AKIA") && !said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn prefixes_do_not_lead_elsewhere() {
        for given in ["", "a", "site-1/", "a/b.c/d_e/", "tenant=7/"] {
            assert!(prefix(given).is_ok(), "{given}");
        }
        for given in ["/a", "a//b", "../a", "a/./b", "a b", "ä", "a?"] {
            assert!(prefix(given).is_err(), "{given}");
        }
    }
}
