//! The options by which commands that call a peer say who the user is.

use std::path::PathBuf;

use clap::Args;
use net::identity::{OurIdentity, OurProof, Source};

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
    /// What is presented, if anything.
    pub(super) fn identity(&self) -> Option<OurIdentity> {
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
