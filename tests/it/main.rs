//! Tests of the whole server, from outside: the real binary, real sockets, real files.

mod cfind;
mod commands;
mod config;
mod corpus;
mod durability;
mod harness;
mod hostile;
mod interop;
mod kill;
mod memory;
mod scu;
mod store;
mod synthetic;
mod tidy;
mod web;
