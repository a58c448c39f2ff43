#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use bytes::{Buf, BytesMut};
use model::limits;
use ul::Pdv;

use crate::{Command, CommandError};

/// Joins the fragments of one association's messages, one direction: command fragments to a [`Message`], data fragments told apart.
///
/// Data never passes through: the owner of the socket takes it where it belongs. At most [`limits::COMMAND_SET_BYTES`] are held.
///
/// PS3.7 §6.3, PS3.8 Annex E.
#[derive(Debug, Default)]
pub struct Assembler {
    expected: Expected,
    command: Vec<u8>,
    /// Bytes of the current command fragment that are still to come.
    fragment_left: usize,
    is_last: bool,
}

/// A command set, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The presentation context it came on.
    pub context_id: u8,
    /// What it says.
    pub command: Command,
    /// Its data set follows in data fragments of the same context.
    pub has_data_set: bool,
}

/// What the bytes of a fragment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// Part of a command set: [`Assembler::take_command`] takes them.
    Command,
    /// Part of the data set of the last message.
    Data {
        /// It is the last part.
        is_last: bool,
    },
}

/// How the peer broke the order of fragments. The caller aborts the association.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// Data before any command, or after the data set has ended.
    #[error("data set fragment without a command")]
    DataWithoutCommand,
    /// Data before the end of the command.
    #[error("data set fragment inside a command set")]
    DataInsideCommand,
    /// A command before the end of the data set.
    #[error("command fragment inside a data set")]
    CommandInsideDataSet,
    /// A fragment of another presentation context in the middle of a message.
    #[error("message of context {expected} continues on context {found}")]
    Context {
        /// Where the message began.
        expected: u8,
        /// Where it went on.
        found: u8,
    },
    /// The command set cannot be read.
    #[error("command set cannot be read")]
    Command(#[from] CommandError),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Expected {
    /// The first fragment of a command.
    #[default]
    Message,
    /// More of the command of this context.
    Command(u8),
    /// The data set of this context.
    Data(u8),
}

impl Assembler {
    /// Learns of the next fragment and says what it is. The bytes of the one before have all been taken.
    ///
    /// # Errors
    /// [`AssembleError`]: the fragment has no place here.
    pub fn begin(&mut self, pdv: &Pdv) -> Result<Fragment, AssembleError> {
        debug_assert_eq!(self.fragment_left, 0, "the fragment before has been taken");
        match self.expected {
            Expected::Command(context_id) | Expected::Data(context_id) if context_id != pdv.context_id => {
                Err(AssembleError::Context { expected: context_id, found: pdv.context_id })
            }
            Expected::Message if !pdv.is_command => Err(AssembleError::DataWithoutCommand),
            Expected::Command(_) if !pdv.is_command => Err(AssembleError::DataInsideCommand),
            Expected::Data(_) if pdv.is_command => Err(AssembleError::CommandInsideDataSet),
            Expected::Data(_) => {
                if pdv.is_last {
                    self.expected = Expected::Message;
                }
                Ok(Fragment::Data { is_last: pdv.is_last })
            }
            Expected::Message | Expected::Command(_) => {
                self.begin_command(pdv)?;
                Ok(Fragment::Command)
            }
        }
    }

    /// Takes the bytes of a [`Fragment::Command`] off the front of `input`, as many as are there, and returns the message when
    /// its last byte was among them. Otherwise call again: with more input while [`Assembler::needs_command_bytes`], else after
    /// the next [`Assembler::begin`].
    ///
    /// # Errors
    /// [`AssembleError::Command`].
    pub fn take_command(&mut self, input: &mut BytesMut) -> Result<Option<Message>, AssembleError> {
        let taken = self.fragment_left.min(input.len());
        self.command.extend_from_slice(input.get(..taken).unwrap_or_default());
        input.advance(taken);
        self.fragment_left -= taken;
        let Expected::Command(context_id) = self.expected else { return Ok(None) };
        if self.fragment_left > 0 || !self.is_last {
            return Ok(None);
        }
        let (command, has_data_set) = Command::decode(&self.command)?;
        self.command.clear();
        self.expected = if has_data_set { Expected::Data(context_id) } else { Expected::Message };
        Ok(Some(Message { context_id, command, has_data_set }))
    }

    /// Whether bytes of the current command fragment are still to come.
    pub fn needs_command_bytes(&self) -> bool {
        self.fragment_left > 0
    }

    /// Whether a message has begun and not ended: another command, a release or a close would cut it.
    pub fn is_inside_message(&self) -> bool {
        self.expected != Expected::Message
    }

    fn begin_command(&mut self, pdv: &Pdv) -> Result<(), CommandError> {
        let length = usize::try_from(pdv.bytes).unwrap_or(usize::MAX);
        if length > limits::COMMAND_SET_BYTES - self.command.len() {
            return Err(CommandError::TooLarge);
        }
        self.expected = Expected::Command(pdv.context_id);
        self.fragment_left = length;
        self.is_last = pdv.is_last;
        Ok(())
    }
}

/// Joins anything: fragments of one byte for context and kind, one for the length, and so many bytes. It must not panic, and holds
/// no more than a command set may have.
///
/// # Panics
/// When it holds more.
pub fn fuzz_assembler(data: &[u8]) {
    let mut assembler = Assembler::default();
    let mut rest = data;
    while let Some(([head, length], after)) = rest.split_first_chunk() {
        let (value, after) = after.split_at_checked(usize::from(*length)).unwrap_or((after, &[]));
        rest = after;
        let bytes = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let pdv = Pdv { context_id: head >> 2, is_command: head & 1 != 0, is_last: head & 2 != 0, bytes };
        let is_command = match assembler.begin(&pdv) {
            Ok(fragment) => fragment == Fragment::Command,
            Err(_) => return,
        };
        let mut input = BytesMut::from(value);
        while is_command && !input.is_empty() {
            if assembler.take_command(&mut input).is_err() {
                return;
            }
        }
        assert!(assembler.command.len() <= limits::COMMAND_SET_BYTES, "a command set is bounded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{echo::CEchoRq, find::CFindRq};

    fn pdv(context_id: u8, is_command: bool, is_last: bool, length: usize) -> Pdv {
        Pdv { context_id, is_command, is_last, bytes: u32::try_from(length).unwrap() }
    }

    #[test]
    fn joins_a_command_from_any_fragments() {
        let bytes = Command::from(CFindRq { message_id: 3, affected_sop_class_uid: None }).to_bytes();
        for size in 1..=bytes.len() {
            let mut assembler = Assembler::default();
            let mut input = BytesMut::new();
            let mut message = None;
            for part in bytes.chunks(size) {
                assert_eq!(assembler.begin(&pdv(5, true, false, part.len())), Ok(Fragment::Command));
                for byte in part {
                    assert!(assembler.needs_command_bytes());
                    input.extend_from_slice(&[*byte]);
                    message = assembler.take_command(&mut input).unwrap();
                    assert_eq!(message, None);
                }
            }
            // A peer may close a command with an empty fragment.
            assert_eq!(assembler.begin(&pdv(5, true, true, 0)), Ok(Fragment::Command));
            message = message.or(assembler.take_command(&mut input).unwrap());
            let message = message.unwrap();
            assert_eq!(message.context_id, 5);
            assert!(message.has_data_set && assembler.is_inside_message());
            assert_eq!(assembler.begin(&pdv(5, false, false, 7)), Ok(Fragment::Data { is_last: false }));
            assert_eq!(assembler.begin(&pdv(5, false, true, 0)), Ok(Fragment::Data { is_last: true }));
            assert!(!assembler.is_inside_message());
        }
    }

    #[test]
    fn takes_no_byte_of_what_follows_the_command() {
        let mut assembler = Assembler::default();
        let bytes = Command::from(CEchoRq { message_id: 1 }).to_bytes();
        assembler.begin(&pdv(1, true, true, bytes.len())).unwrap();
        let mut input = BytesMut::from(&bytes[..]);
        input.extend_from_slice(b"next");
        assert!(assembler.take_command(&mut input).unwrap().is_some());
        assert_eq!(&input[..], b"next");
    }

    #[test]
    fn refuses_fragments_out_of_place() {
        let within_data = || {
            let mut assembler = Assembler::default();
            let bytes = Command::from(CFindRq { message_id: 3, affected_sop_class_uid: None }).to_bytes();
            assembler.begin(&pdv(1, true, true, bytes.len())).unwrap();
            assembler.take_command(&mut BytesMut::from(&bytes[..])).unwrap().unwrap();
            assembler
        };
        let within_command = || {
            let mut assembler = Assembler::default();
            assembler.begin(&pdv(1, true, false, 0)).unwrap();
            assembler
        };
        for (mut assembler, next, expected) in [
            (Assembler::default(), pdv(1, false, true, 4), AssembleError::DataWithoutCommand),
            (within_command(), pdv(1, false, true, 4), AssembleError::DataInsideCommand),
            (within_command(), pdv(3, true, true, 4), AssembleError::Context { expected: 1, found: 3 }),
            (within_data(), pdv(1, true, true, 4), AssembleError::CommandInsideDataSet),
            (within_data(), pdv(3, false, true, 4), AssembleError::Context { expected: 1, found: 3 }),
            (Assembler::default(), pdv(1, true, true, 65_537), CommandError::TooLarge.into()),
        ] {
            assert_eq!(assembler.begin(&next), Err(expected));
        }
    }

    #[test]
    fn bounds_the_sum_of_fragments() {
        let mut assembler = Assembler::default();
        for _ in 0..2 {
            assembler.begin(&pdv(1, true, false, 32_768)).unwrap();
            assert_eq!(assembler.take_command(&mut BytesMut::zeroed(32_768)), Ok(None));
        }
        assert_eq!(assembler.begin(&pdv(1, true, false, 1)), Err(CommandError::TooLarge.into()));
    }
}
