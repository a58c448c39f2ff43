//! Errors of the pipeline to DIMSE statuses, for every service: nowhere else, and without a rest.

use dimse::service::{find, retrieve, store};
use dimse::{Outcome, Status};
use model::UpstreamName;
use model::scan::ScanError;
use pipeline::{Error, IngestError, Stored};

use crate::scu::{Kept, NotKept};

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
        Error::NoSpace | Error::Busy | Error::NoTurn(_) | Error::Archive(_) | Error::File(_) => {
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
        | Error::TooManySelected
        | Error::TooManySought
        | Error::TooLong
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

/// How a C-STORE ended that is a sub-operation of our C-GET.
///
/// PS3.4 Table B.2-1.
pub(crate) fn of_arrival(result: &Result<Kept, NotKept>) -> Outcome {
    let reason = match result {
        Ok(_) => return Status::SUCCESS.into(),
        Err(reason) => reason,
    };
    match reason {
        // Where our folder is, is none of the peer's business.
        NotKept::Folder { .. } | NotKept::Taken(_) | NotKept::Interrupted => {
            Outcome::because(store::OUT_OF_RESOURCES, "it cannot be written")
        }
        NotKept::NotOfItsContext => Outcome::because(Status::SOP_CLASS_NOT_SUPPORTED, reason.to_string()),
        NotKept::Disagreement(_) => Outcome::because(store::DATA_SET_DOES_NOT_MATCH, reason.to_string()),
        NotKept::Unreadable(why) => Outcome::because(store::CANNOT_UNDERSTAND, unreadable(*why)),
        NotKept::Missing(_) => Outcome::because(store::CANNOT_UNDERSTAND, reason.to_string()),
    }
}

/// How a C-FIND ended that could not be carried out.
///
/// PS3.4 Table C.4-1.
pub(crate) fn of_find(error: &Error) -> Outcome {
    match error {
        Error::NoSpace | Error::Busy | Error::NoTurn(_) | Error::TooLong => {
            Outcome::because(find::OUT_OF_RESOURCES, error.to_string())
        }
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
        | Error::TooManySelected
        | Error::TooManySought
        | Error::NotAvailable(_) => Outcome::because(find::UNABLE_TO_PROCESS, error.to_string()),
    }
}

/// An outcome, with the upstream archives in its comment that did not say all that they may have, unless it has another.
///
/// PS3.7 §9.3.2.2, §9.3.3.2, §9.3.4.2. PS3.7 Annex C has Error Comment (0000,0902) go with failures; who does not look for it beside
/// Success does not find it.
pub(crate) fn without(outcome: Outcome, silent: &[UpstreamName]) -> Outcome {
    let names: Vec<&str> = silent.iter().map(UpstreamName::as_str).collect();
    let words = match names.as_slice() {
        [] => return outcome,
        [name] => format!("incomplete: upstream archive {name} did not give all"),
        names => format!("incomplete: upstream archives {} did not give all", names.join(", ")),
    };
    Outcome { error_comment: outcome.error_comment.or_else(|| Some(words.into())), ..outcome }
}

/// Why a request for storage commitment was not taken on.
///
/// PS3.7 §10.1.4.1.10.
pub(crate) fn of_commitment(error: &Error) -> Outcome {
    match error {
        Error::NoSpace | Error::Busy | Error::NoTurn(_) => {
            Outcome::because(Status::RESOURCE_LIMITATION, error.to_string())
        }
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
        | Error::TooManySelected
        | Error::TooManySought
        | Error::TooLong
        | Error::NotAvailable(_) => Outcome::because(Status::PROCESSING_FAILURE, error.to_string()),
    }
}

/// How a C-MOVE or C-GET ended whose instances could not be told.
///
/// PS3.4 Tables C.4-2, C.4-3.
pub(crate) fn of_selection(error: &Error) -> Outcome {
    match error {
        Error::NoSpace
        | Error::Busy
        | Error::NoTurn(_)
        | Error::TooManySelected
        | Error::TooManySought
        | Error::TooLong
        | Error::Archive(_)
        | Error::File(_) => Outcome::because(retrieve::UNABLE_TO_CALCULATE, error.to_string()),
        Error::Part10(_)
        | Error::NotPart10
        | Error::Unreadable(_)
        | Error::MissingUid(_)
        | Error::Disagreement(_)
        | Error::OtherStudy
        | Error::Body(_)
        | Error::NotFound
        | Error::NotAvailable(_) => Outcome::because(retrieve::UNABLE_TO_PROCESS, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use dimse::ErrorComment;
    use model::Tag;
    use pipeline::BodyError;

    use super::*;

    #[test]
    fn every_refusal_has_its_status_and_says_why() {
        let pixels = Tag(0x7FE0, 0x0010);
        for (error, status, comment) in [
            (Error::NoSpace, 0xA700, "not enough disk space"),
            (archive::Error::NoSpace.into(), 0xA700, "not enough disk space"),
            (Error::Busy, 0xA700, "too many large headers at once"),
            (Error::Archive(archive::Error::Closed), 0xA700, "archive failed"),
            (
                Error::Disagreement("SOP Class UID"),
                0xA900,
                "SOP Class UID of the command is not that of the data set",
            ),
            (Error::OtherStudy, 0xA900, "the instance belongs to another study"),
            (Error::MissingUid("Study Instance UID"), 0xC000, "Study Instance UID is missing"),
            (
                Error::Unreadable(ScanError::Trailing(3)),
                0xC000,
                "bytes that are no padding follow the last element",
            ),
            (
                Error::Unreadable(ScanError::FragmentPastEnd(pixels)),
                0xC000,
                "a fragment of (7FE0,0010) runs past the end of the data set",
            ),
            (Error::Body(BodyError::Ended), 0xC000, "transfer did not complete"),
        ] {
            let outcome = of_ingest(&Err(IngestError { error, sop_class: None, sop_instance: None }));
            let found = outcome.error_comment.as_ref().map(ErrorComment::as_str);
            assert_eq!((outcome.status, found), (Status(status), Some(comment)));
        }
    }

    #[test]
    fn every_reason_fits_its_field() {
        let tag = Tag(0x7FE0, 0x0010);
        for reason in [
            ScanError::PastEnd(tag),
            ScanError::FragmentPastEnd(tag),
            ScanError::Unclosed(tag),
            ScanError::Lost(tag),
            ScanError::Trailing(7),
            ScanError::Deflate,
            ScanError::Inflated,
        ] {
            let text = unreadable(reason);
            assert_eq!(ErrorComment::from(text.clone()).as_str(), text);
        }
    }

    #[test]
    fn a_request_for_storage_commitment_that_failed_says_so() {
        assert_eq!(of_commitment(&Error::NoSpace).status, Status(0x0213));
        assert_eq!(of_commitment(&Error::Archive(archive::Error::Closed)).status, Status(0x0110));
    }

    #[test]
    fn what_is_not_kept_has_its_status() {
        let path = || std::path::PathBuf::from("/private/folder");
        let full =
            NotKept::Folder { doing: "write", path: path(), source: std::io::ErrorKind::StorageFull.into() };
        for (reason, status, comment) in [
            (full, 0xA700, "it cannot be written"),
            (NotKept::Taken(path()), 0xA700, "it cannot be written"),
            (NotKept::NotOfItsContext, 0x0122, "SOP class is not that of the presentation context"),
            (
                NotKept::Disagreement("SOP Class UID"),
                0xA900,
                "SOP Class UID of the command is not that of the data set",
            ),
            (NotKept::Unreadable(ScanError::Deflate), 0xC000, "the deflate stream is damaged or breaks off"),
            (NotKept::Missing("Study Instance UID"), 0xC000, "Study Instance UID is missing"),
        ] {
            let outcome = of_arrival(&Err(reason));
            let found = outcome.error_comment.as_ref().map(ErrorComment::as_str);
            assert_eq!((outcome.status, found), (Status(status), Some(comment)));
        }
    }

    #[test]
    fn a_query_that_failed_says_so() {
        assert_eq!(of_find(&Error::NoSpace).status, Status(0xA700));
        let long = of_find(&archive::Error::TooLong.into());
        assert_eq!(long, Outcome::because(Status(0xA700), "the search took more than 60 s, ask for less"));
        assert_eq!(of_find(&Error::Archive(archive::Error::Closed)).status, Status(0xC000));
        let failed = of_selection(&Error::Archive(archive::Error::Closed));
        assert_eq!(failed, Outcome::because(Status(0xA701), "archive failed"));
        let refused = of_selection(&archive::Error::TooManySelected.into());
        assert_eq!(refused, Outcome::because(Status(0xA701), "more than 262144 series or instances at once"));
        let refused = of_selection(&Error::TooManySought).error_comment.unwrap();
        assert_eq!(refused.as_str(), Error::TooManySought.to_string(), "fits");
        assert_eq!(of_selection(&Error::NotFound).status, Status(0xC000));
    }
}
