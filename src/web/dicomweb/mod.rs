//! DICOMweb (PS3.18): searching, retrieving and storing. A resource is a file with `routes()` and a line here.

mod accept;
mod bulkdata;
mod elsewhere;
mod frames;
mod made_frames;
mod metadata;
mod multipart;
mod paged;
mod pages;
pub(crate) mod paths;
mod qido;
mod rendition;
mod routes;
mod stow;
mod stream;
mod target;
mod urls;
mod wado;

pub(crate) use pages::Pages;
pub use qido::fuzz_qido;
pub(crate) use routes::router;

/// The paths of all resources, with their variables in braces (PS3.18 §10.2).
pub fn dicomweb_paths() -> &'static [&'static str] {
    paths::ALL
}
