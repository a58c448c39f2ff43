//! The options by which commands that call a peer say who the user is.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use net::identity::{OurIdentity, OurProof, Source};
use net::scu::Target;

use super::say_error;

/// The user identity that is presented to the peer.
#[derive(Debug, Args)]
#[command(next_help_heading = "User identity")]
pub(super) struct User {
    /// User name that is presented to the peer
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// File whose only line is the passcode of the user
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// File with a JSON Web Token that is presented to the peer
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    jwt_file: Option<PathBuf>,
}

impl User {
    /// Whether anything is to be presented.
    pub(super) fn is_given(&self) -> bool {
        self.identity().is_some()
    }

    /// Has it presented to a peer, if anything, and says where others may read it.
    pub(super) fn present_to(&self, target: &mut Target) {
        let Some(identity) = self.identity() else { return };
        if target.terms.tls.is_none() && !is_here(&target.address) {
            let secret = match identity.proof {
                OurProof::User { passcode: None, .. } => None,
                OurProof::User { passcode: Some(_), .. } => Some("passcode"),
                OurProof::Token(_) => Some("token"),
            };
            if let Some(secret) = secret {
                say_error(&format!("gantry: without --tls everybody on the way reads the {secret}"));
            }
        }
        target.terms.identity = Some(identity);
    }

    fn identity(&self) -> Option<OurIdentity> {
        let proof = match (&self.user, &self.jwt_file) {
            (Some(name), _) => {
                OurProof::User { name: name.clone(), passcode: self.password_file.clone().map(Source::File) }
            }
            (None, Some(path)) => OurProof::Token(Source::File(path.clone())),
            (None, None) => return None,
        };
        Some(OurIdentity { proof, wants_response: false })
    }
}

/// Whether a peer is on this machine.
fn is_here(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|host| host.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_this_machine_is_read_by_nobody() {
        for (address, expected) in [
            ("127.0.0.1:104", true),
            ("[::1]:104", true),
            ("Localhost:104", true),
            ("10.0.0.1:104", false),
            ("127.0.0.1.example:104", false),
        ] {
            assert_eq!(is_here(address), expected, "{address}");
        }
    }
}
