//! Tests of the whole server, from outside: the real binary, real sockets, real files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "whoever reads the output of a failed test wants to know")]

mod backlog;
mod bucket_faults;
mod cfind;
mod cget;
mod charsets;
mod cmove;
mod commands;
mod commitment;
mod config;
mod corpus;
mod corpus_retrieved;
mod delivery_faults;
mod durability;
mod explain;
mod harness;
mod hostile;
mod inquire;
mod interop;
mod kill;
mod malformed;
mod memory;
mod pki;
mod privacy;
mod proxy;
mod queue_commands;
mod reload;
mod retrieving;
mod routed;
mod routing;
mod scu;
mod seaweed;
mod senders;
mod sinks;
mod store;
mod synthetic;
mod tidy;
mod tls_called;
mod tls_callers;
mod tls_mistakes;
mod tls_reload;
mod torture;
mod tour;
mod versions;
mod web;
