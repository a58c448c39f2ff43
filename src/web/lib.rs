//! The HTTP door: DICOMweb below `/dicom-web` (PS3.18), health, metrics and the operator's status page.
//!
//! Read [`Listener`] and [`Config`] first. Every resource parses its request into a call of [`pipeline::Pipeline`] and writes what comes
//! back. Objects stream in both directions, so memory does not grow with their size. JSON answers are made a page at a time, and what the
//! pages take while peers read them is bounded for all together; the answer to a store request is limited. Deliberately absent: TLS and access
//! control, which do not exist yet, and anything that could be said by one pipeline function.
//!
//! ```
//! use web::{Origin, PublicUrl, Readiness};
//!
//! let readiness = Readiness::new(["dimse", "web"]);
//! readiness.set("web", true);
//! assert_eq!(readiness.missing(), ["dimse"]);
//! assert!("https://viewer.example.org".parse::<Origin>().is_ok());
//! assert_eq!("https://pacs.example.org/".parse::<PublicUrl>()?.as_str(), "https://pacs.example.org");
//! # Ok::<(), web::InvalidUrl>(())
//! ```

mod app;
mod config;
mod connections;
mod cors;
mod dicomweb;
mod health;
mod listener;
mod measure;
mod metrics;
mod pace;
mod page;
mod problem;
mod routes;
mod stall;
#[cfg(test)]
mod tests;

pub use config::{Config, InvalidOrigin, InvalidUrl, Origin, Product, PublicUrl};
pub use dicomweb::{dicomweb_paths, fuzz_qido};
pub use health::Readiness;
pub use listener::{Error, Listener};
