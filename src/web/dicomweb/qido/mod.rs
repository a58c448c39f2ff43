//! Searching for studies, series and instances (PS3.18 §10.6).

mod answer;
mod params;
mod row;
mod search;

#[cfg(test)]
mod tests;

pub use params::fuzz_qido;
pub(super) use search::routes;
