//! Who uses an association: what callers have to prove, and what we present to those whom we call.
//!
//! PS3.7 §D.3.3.7.

mod expected;
mod jwt;
mod ours;
mod secret;

pub use expected::{Expected, IdentityError};
pub use jwt::{TokenError, TokenSettings, Tokens, fuzz_token};
pub use ours::{OurIdentity, OurProof, Source};
pub use secret::Secret;
