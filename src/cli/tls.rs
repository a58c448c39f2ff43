//! The options of commands that call a peer by TLS.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use net::tls::{CertificateName, Client, ClientSettings, KeyFiles, Problem};

/// How the peer is called by TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct Tls {
    /// Call by TLS; --ca or --fingerprint says which certificate is trusted
    #[arg(long, requires = "trust")]
    tls: bool,
    /// File with the certificates of the CAs that certify the peer, in PEM
    #[arg(long, value_name = "FILE", requires = "tls", group = "trust")]
    ca: Option<PathBuf>,
    /// SHA-256 of the peer's certificate, which is trusted as it is
    #[arg(long, value_name = "sha256:HEX", requires = "tls", group = "trust", value_parser = fingerprint)]
    fingerprint: Option<CertificateName>,
    /// What its certificate must be for, in place of the host
    #[arg(long, value_name = "NAME", requires = "ca", value_parser = server_name)]
    server_name: Option<String>,
    /// File with our certificate, for a peer that asks for one, in PEM
    #[arg(long, value_name = "FILE", requires = "tls", requires = "private_key")]
    certificate: Option<PathBuf>,
    /// File with the private key of our certificate, in PEM
    #[arg(long = "key", value_name = "FILE", requires = "certificate")]
    private_key: Option<PathBuf>,
}

impl Tls {
    /// Whether a peer is to be called by TLS.
    pub(super) fn is_given(&self) -> bool {
        self.tls
    }

    /// The TLS by which the peer is called, its files read; `None` without `--tls`.
    pub(super) fn client(&self) -> anyhow::Result<Option<Client>> {
        if !self.tls {
            return Ok(None);
        }
        let own = match (&self.certificate, &self.private_key) {
            (Some(certificate), Some(key)) => {
                Some(KeyFiles { certificate: certificate.clone(), key: key.clone() })
            }
            (_, _) => None,
        };
        let client = Client::new(ClientSettings {
            own,
            ca: self.ca.clone(),
            server_name: self.server_name.clone(),
            names: self.fingerprint.iter().cloned().collect(),
        });
        client.check().context("no TLS")?;
        Ok(Some(client))
    }
}

/// The option that may help.
pub(super) fn option(problem: Problem) -> Option<&'static str> {
    match problem {
        Problem::UnknownCa => Some("--ca, --fingerprint"),
        Problem::WrongName => Some("--server-name, --fingerprint"),
        Problem::BadCertificate => Some("--fingerprint"),
        Problem::Refused | Problem::Nothing => Some("--certificate"),
        Problem::Plain
        | Problem::Protocol
        | Problem::Expired
        | Problem::NotYetValid
        | Problem::NoCertificate
        | Problem::Closed
        | Problem::TimedOut
        | Problem::Internal => None,
    }
}

fn fingerprint(given: &str) -> Result<CertificateName, String> {
    match CertificateName::parse(given) {
        Ok(name @ CertificateName::Sha256(_)) => Ok(name),
        Ok(_) => Err("only sha256: names one certificate".to_owned()),
        Err(refusal) => Err(refusal.to_string()),
    }
}

fn server_name(given: &str) -> Result<String, String> {
    match net::tls::is_server_name(given) {
        true => Ok(given.to_owned()),
        false => Err("it is the name of a host, or an IP address".to_owned()),
    }
}
