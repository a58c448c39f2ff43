//! The status page: what an operator wants to know at a glance, in one document without scripts or other files.

mod format;
mod html;
mod lanes;
mod reports;
mod status;
mod upstreams;

pub(crate) use status::status;
