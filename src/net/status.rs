//! Errors of the pipeline to DIMSE statuses, for every service: nowhere else, and without a rest.

use dimse::service::{find, store};
use dimse::{Outcome, Status};
use model::scan::ScanError;
use pipeline::{Error, IngestError, Stored};

/// How a C-STORE ended.
///
/// What failed on our side is "out of resources", which tells senders to try again. A duplicate is a success, and so is other content
/// under a known UID: it is kept as another version.
///
/// PS3.4 Table B.2-1.
pub(crate) fn of_ingest(result: &Result<Stored, IngestError>) -> Outcome {
    let error = match result {
        Ok(_) => return Status::SUCCESS.into(),
        Err(refused) => &refused.error,
    };
    match error {
        Error::NoSpace | Error::Archive(_) | Error::File(_) => {
            Outcome::because(store::OUT_OF_RESOURCES, error.to_string())
        }
        Error::Disagreement(_) | Error::OtherStudy => {
            Outcome::because(store::DATA_SET_DOES_NOT_MATCH, error.to_string())
        }
        Error::Unreadable(reason) => Outcome::because(store::CANNOT_UNDERSTAND, unreadable(*reason)),
        Error::Part10(_)
        | Error::NotPart10
        | Error::MissingUid(_)
        | Error::Body(_)
        | Error::NotFound
        | Error::NotAvailable(_) => Outcome::because(store::CANNOT_UNDERSTAND, error.to_string()),
    }
}

/// The reason, short enough for Error Comment.
pub(crate) fn unreadable(reason: ScanError) -> String {
    match reason {
        ScanError::PastEnd(tag) => format!("element {tag} runs past the end of the data set"),
        ScanError::FragmentPastEnd(tag) => format!("a fragment of {tag} runs past the end of the data set"),
        ScanError::Unclosed(tag) => format!("element {tag} of undefined length is never closed"),
        ScanError::Lost(tag) => format!("tag {tag} stands where it cannot"),
        ScanError::Trailing(_) => "bytes that are no padding follow the last element".to_owned(),
        ScanError::Deflate => "the deflate stream is damaged or breaks off".to_owned(),
        ScanError::Inflated => "the deflate stream inflates to too many bytes".to_owned(),
    }
}

/// How a C-FIND ended that could not be carried out.
///
/// PS3.4 Table C.4-1.
pub(crate) fn of_find(error: &Error) -> Outcome {
    match error {
        Error::NoSpace => Outcome::because(find::OUT_OF_RESOURCES, error.to_string()),
        Error::Archive(_)
        | Error::File(_)
        | Error::Part10(_)
        | Error::NotPart10
        | Error::Unreadable(_)
        | Error::MissingUid(_)
        | Error::Disagreement(_)
        | Error::OtherStudy
        | Error::Body(_)
        | Error::NotFound
        | Error::NotAvailable(_) => Outcome::because(find::UNABLE_TO_PROCESS, error.to_string()),
    }
}
