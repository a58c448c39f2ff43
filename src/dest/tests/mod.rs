//! Every kind of destination through one suite, and what each kind answers to trouble.

mod answers;
mod folder;
pub(crate) mod parcels;
mod probe;
mod s3;
mod scripted;
mod store;
mod suite;
