//! DIMSE messages (PS3.7): command sets as typed values, fragments joined to messages, status codes and their meaning.
//!
//! Pure: bytes in, values out. Read [`Command`] and [`Assembler`] first. Deliberately absent: data sets, which never pass
//! through here (bulk goes from the socket to a file, an identifier to [`model`]), and sockets.
//!
//! ```
//! use dimse::{Command, Outcome, Status, service::echo};
//!
//! let request = Command::CEchoRq(echo::CEchoRq { message_id: 7 });
//! let (received, has_data_set) = Command::decode(&request.to_bytes()).unwrap();
//! assert_eq!((received, has_data_set), (request, false));
//!
//! let answer = echo::CEchoRsp { message_id_being_responded_to: 7, outcome: Outcome::from(Status::SUCCESS) };
//! assert_eq!(answer.outcome.status.to_string(), "0000H");
//! ```

mod assemble;
mod command;
mod outcome;
pub mod service;
mod status;
#[cfg(test)]
mod tests;
mod wire;

pub use assemble::{AssembleError, Assembler, Fragment, Message, fuzz_assembler};
pub use command::{Command, OtherRq, OtherRsp, fuzz_command};
pub use outcome::{ErrorComment, Outcome};
pub use status::{Class, Status};
pub use wire::CommandError;
