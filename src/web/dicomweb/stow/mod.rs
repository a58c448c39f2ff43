//! Storing instances (PS3.18 §10.5).

mod outcome;
mod parts;
mod store;

#[cfg(test)]
mod tests;

pub(super) use store::routes;
