//! Tests of the whole server, from outside: the real binary, real sockets, real files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "whoever reads the output of a failed test wants to know")]

mod cfind;
mod charsets;
mod commands;
mod config;
mod corpus;
mod durability;
mod harness;
mod hostile;
mod interop;
mod kill;
mod malformed;
mod memory;
mod privacy;
mod scu;
mod store;
mod synthetic;
mod tidy;
mod web;
