//! The whole door on a real archive in a temporary folder: called without a socket, but for `connection`.

mod connection;
mod object;
mod operator;
mod qido;
mod server;
mod stow;
mod wado;
