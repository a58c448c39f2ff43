use std::net::SocketAddr;
use std::str::FromStr;

use http::{HeaderValue, Uri};
use model::AeTitle;

/// What the HTTP door must know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Origins whose scripts may use the door.
    pub cors_origins: Vec<Origin>,
    /// What stands before the path in URLs of answers; without it they are relative.
    pub public_url: Option<PublicUrl>,
    /// What the status page says about the server.
    pub product: Product,
}

/// What the status page says about the server.
#[derive(Debug, Clone)]
pub struct Product {
    /// Version of the program.
    pub version: &'static str,
    /// Our AE title.
    pub ae_title: AeTitle,
    /// Where the DIMSE door listens.
    pub dimse: SocketAddr,
    /// With less than this free on the disk, new instances are refused.
    pub min_free_bytes: u64,
}

/// An origin that may use the door from a browser, or `*` for any (Fetch §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// The text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an origin is a scheme and a host such as https://viewer.example.org, without a path, or *")]
pub struct InvalidOrigin;

impl Origin {
    /// Whether every origin is meant.
    pub(crate) fn is_any(&self) -> bool {
        self.0 == "*"
    }

    pub(crate) fn as_header(&self) -> &HeaderValue {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_origin = || {
            let (scheme, rest) = text.split_once("://")?;
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
            let authority = rest.parse::<http::uri::Authority>().ok()?;
            Some(is_scheme && !authority.host().is_empty() && !rest.contains('@'))
        };
        if text != "*" && is_origin() != Some(true) {
            return Err(InvalidOrigin);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| InvalidOrigin)
    }
}

/// The URL under which clients reach the door, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// The text is not a URL that paths can be appended to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a public URL starts with http:// or https:// and a host, and has no query")]
pub struct InvalidUrl;

impl PublicUrl {
    /// The URL without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri = text.parse::<Uri>().map_err(|_| InvalidUrl)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_plain = uri.query().is_none() && !text.contains(['#', '"', '\\', '<', '>']);
        if is_http && is_plain && uri.host().is_some_and(|host| !host.is_empty()) {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(InvalidUrl)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_origins_and_nothing_longer() {
        for good in ["*", "https://viewer.example.org", "http://localhost:3000", "http://[::1]:3000"] {
            assert!(good.parse::<Origin>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "viewer.example.org",
            "https://",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "HTTP://a",
            "a b",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn public_urls_lose_their_last_slash() {
        let url = |text: &str| text.parse::<PublicUrl>().map(|url| url.as_str().to_owned());
        assert_eq!(url("https://pacs.example.org/"), Ok("https://pacs.example.org".to_owned()));
        assert_eq!(url("http://10.0.0.1:8080/gantry"), Ok("http://10.0.0.1:8080/gantry".to_owned()));
        for bad in ["", "/gantry", "ftp://a", "pacs.example.org", "http://a?b", "http://a/#b", "http://a/\"b"]
        {
            assert_eq!(url(bad), Err(InvalidUrl), "{bad}");
        }
    }
}
