//! DICOM over TLS: our certificate and key, whom we trust, and the handshake at either end.
//!
//! Read [`Server`] and [`Client`] first: handles on files that can be read again while associations run. TLS 1.2 and 1.3 with the
//! cipher suites of RFC 9325, by rustls and ring.
//!
//! PS3.15 §B.12.

mod certificate;
mod client;
mod error;
mod files;
mod handshake;
mod name;
mod reload;
mod server;
mod verify;

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};

pub use certificate::{AlternativeName, Certificate};
pub use client::{Client, ClientSettings, is_server_name};
pub use error::{Problem, TlsError};
pub use files::{FileError, FileRole, KeyFiles, check_ca, is_open_to_others};
pub use handshake::Secured;
pub use name::{CertificateName, NameError};
pub use reload::Fresh;
pub use server::{ClientAuth, Server, ServerSettings};

pub(crate) use files::read as read_file;
pub(crate) use handshake::{is_unclosed, looks_like_tls};
pub(crate) use reload::Reloadable;

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// The cipher suites of TLS 1.3 and 1.2 and the groups for key exchange that we offer and take, preferred ones first, by their
/// names at IANA.
pub fn offered() -> (Vec<String>, Vec<String>) {
    let provider = provider();
    let suites = provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
    let groups = provider.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
    (suites, groups)
}
