//! The seven PDUs (PS3.8 §9.3) and their bytes.
//!
//! P-DATA-TF is the exception: its header is read by [`Association`](crate::Association) and written by
//! [`pdata`](crate::pdata), so that data never passes through a codec.

mod abort;
mod associate;
mod decode;
mod encode;
mod header;
mod reject;
mod user;

pub use abort::{Abort, AbortReason};
pub use associate::{
    APPLICATION_CONTEXT, AssociateAc, AssociateRq, ContextOutcome, ContextResult, ExtendedNegotiation,
    Implementation, ProposedContext, RoleSelection, Titles,
};
pub use reject::AssociateRj;
pub use user::{CommonExtended, IdentityKind, OperationsWindow, UserIdentity};

pub use encode::{RELEASE_RP, RELEASE_RQ};

pub(crate) use decode::speaks_version_1;
pub(crate) use header::{HEADER_BYTES, Header, PduType};
