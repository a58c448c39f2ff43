use std::error;

use http::StatusCode;
use model::limits;
use object_store::client::{HttpError, HttpErrorKind};
use pipeline::Outcome;

use super::answer::Answer;

/// Why a request to a store failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The store answered that it did not do it.
    Answer(Answer),
    /// There was no connection, or no answer in time. In words.
    Unreachable(String),
    /// The connection broke before the answer, or the answer is none of S3's. In words.
    Broken(String),
    /// The machine has no role that gives access.
    NoRole(String),
}

impl Trouble {
    pub(super) fn of(error: &object_store::Error) -> Self {
        let mut kind = None;
        let mut last: &dyn error::Error = error;
        let mut next = Some(last);
        while let Some(cause) = next {
            if let Some(answer) = cause.downcast_ref::<Answer>() {
                return Self::Answer(answer.clone());
            }
            kind = cause.downcast_ref::<HttpError>().map(HttpError::kind).or(kind);
            last = cause;
            next = cause.source();
        }
        let words = cut(&last.to_string());
        match kind {
            Some(HttpErrorKind::Connect | HttpErrorKind::Timeout) => Self::Unreachable(words),
            _ => Self::Broken(words),
        }
    }

    /// The same of a request for the keys of a role.
    pub(super) fn of_role(error: &object_store::Error) -> Self {
        match Self::of(error) {
            Self::Answer(answer) => Self::NoRole(answer.to_string()),
            Self::Unreachable(words) | Self::Broken(words) | Self::NoRole(words) => Self::NoRole(words),
        }
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            Self::Unreachable(_) | Self::Broken(_) | Self::NoRole(_) => None,
        }
    }

    /// What happened at `place`, in words.
    pub(super) fn reason(self, place: &str) -> String {
        match self.outcome(place) {
            Outcome::Delivered { answer: reason, .. }
            | Outcome::Stored { answer: reason, .. }
            | Outcome::Retry { reason, .. }
            | Outcome::Down { reason }
            | Outcome::Refused { reason }
            | Outcome::Poison { reason } => reason,
        }
    }

    /// How a delivery ends that met with this at `place`.
    pub(super) fn outcome(self, place: &str) -> Outcome {
        match self {
            Self::Answer(answer) => refused(&answer, place),
            Self::Unreachable(words) => {
                Outcome::Down { reason: format!("{place} cannot be reached: {words}") }
            }
            Self::Broken(words) => {
                Outcome::Retry { reason: format!("{place} did not answer well: {words}"), after: None }
            }
            Self::NoRole(words) => Outcome::Down {
                reason: format!("no access_key_id is configured and this machine has no role: {words}"),
            },
        }
    }
}

/// The class of an answer, by its code and, where that does not say, its status.
fn refused(answer: &Answer, place: &str) -> Outcome {
    let reason = |advice: &str| match advice {
        "" => format!("{place} answers {answer}"),
        _ => format!("{place} answers {answer}: {advice}"),
    };
    let down = |advice: &str| Outcome::Down { reason: reason(advice) };
    let retry = |after| Outcome::Retry { reason: reason(""), after };
    let pause = || Some(answer.retry_after.unwrap_or(limits::S3_PAUSE));
    match (answer.status.as_u16(), answer.code.as_str()) {
        (
            _,
            "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded",
        )
        | (429 | 503, _) => retry(pause()),
        (_, "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" | "InvalidDigest") => {
            Outcome::Retry { reason: reason("damaged on the way, its checksum is wrong"), after: None }
        }
        (_, "IncompleteBody" | "RequestTimeout") => retry(None),
        // Another request at the same key, or an upload that has been tidied away: it begins anew.
        (
            _,
            "OperationAborted"
            | "ConditionalRequestConflict"
            | "NoSuchUpload"
            | "NoSuchKey"
            | "InvalidPart"
            | "InternalError",
        ) => retry(None),
        (_, "InvalidAccessKeyId" | "InvalidClientTokenId") => down("look at access_key_id"),
        (_, "SignatureDoesNotMatch") => down("look at secret_access_key"),
        (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
            down("look at access_key_id and secret_access_key")
        }
        (_, "RequestTimeTooSkewed" | "RequestExpired") => down("look at this machine's clock"),
        (_, "NoSuchBucket" | "InvalidBucketName") => down("look at bucket"),
        (
            _,
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "Redirect"
            | "IllegalLocationConstraintException",
        )
        | (300..=399, _) => match &answer.region {
            Some(region) => down(&format!("look at region, the bucket is in {region}")),
            None => down("look at region and endpoint"),
        },
        (401 | 403, _) => {
            down("look at what access_key_id may do: s3:PutObject, s3:GetObject, s3:ListBucket")
        }
        (501, _) => down("it cannot do what is needed"),
        (507, _) => down("it is full"),
        (408, _) | (500..=599, _) => retry(None),
        // By itself, or by a proxy with a limit.
        (_, "EntityTooLarge" | "MaxMessageLengthExceeded") | (413, _) => {
            Outcome::Refused { reason: reason("too large for it") }
        }
        (_, "KeyTooLongError" | "MetadataTooLarge") | (451, _) => Outcome::Refused { reason: reason("") },
        (404 | 405, _) | (_, "") => down("look at endpoint, this may be no S3"),
        // It may be about this object, or about what the store cannot do: it has the time until it is given up to be seen to.
        _ => retry(None),
    }
}

/// Words of others, in one line and not endless.
fn cut(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
