#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use model::TransferSyntaxUid;
use model::multipart::{Accepted, MediaType, accept};
use percent_encoding::percent_decode_str;

use crate::problem::Problem;

/// What a request takes as its answer: the `accept` parameter of its URL, else the Accept header, else anything (PS3.18 §8.3.3.1).
#[derive(Debug, Clone)]
pub(super) struct Accept(Vec<Accepted>);

/// One way to send an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer<'a> {
    media_type: &'static str,
    form: Form,
    /// `None`: whatever the objects have.
    transfer_syntax: Option<&'a TransferSyntaxUid>,
    terms: Terms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The body is of the media type.
    Single,
    /// The body is multipart/related, its parts are of the media type.
    Multipart,
}

/// Which transfer-syntax parameters an offer meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Terms {
    /// None, `*`, and its own.
    Usual,
    /// Only `*`.
    OnlyAny,
    /// Only none.
    OnlyNone,
    /// Only its own.
    Own,
    /// Its own, and none.
    OwnOrNone,
    /// Its own, and `*`.
    OwnOrAny,
    /// All of them.
    Every,
}

impl<'a> Offer<'a> {
    pub(super) fn single(media_type: &'static str, transfer_syntax: Option<&'a TransferSyntaxUid>) -> Self {
        Self { media_type, form: Form::Single, transfer_syntax, terms: Terms::Usual }
    }

    pub(super) fn multipart(
        media_type: &'static str,
        transfer_syntax: Option<&'a TransferSyntaxUid>,
    ) -> Self {
        Self { form: Form::Multipart, ..Self::single(media_type, transfer_syntax) }
    }

    /// Meets only requests that leave the transfer syntax to us by `transfer-syntax=*`.
    pub(super) fn only_for_any_syntax(self) -> Self {
        Self { terms: Terms::OnlyAny, ..self }
    }

    /// Meets only requests that say nothing of the transfer syntax.
    pub(super) fn only_for_no_syntax(self) -> Self {
        Self { terms: Terms::OnlyNone, ..self }
    }

    /// Meets only requests that name the transfer syntax, and those that say nothing of it when it is the `default`.
    pub(super) fn when_named(self, default: bool) -> Self {
        Self { terms: if default { Terms::OwnOrNone } else { Terms::Own }, ..self }
    }

    /// Meets requests that name the transfer syntax or leave it to us, but none that say nothing of it.
    pub(super) fn when_named_or_any(self) -> Self {
        Self { terms: Terms::OwnOrAny, ..self }
    }

    /// Meets requests whatever transfer syntax they name.
    pub(super) fn for_every_syntax(self) -> Self {
        Self { terms: Terms::Every, ..self }
    }

    pub(super) fn is_multipart(&self) -> bool {
        self.form == Form::Multipart
    }

    /// How a range describes this offer; `None` when it does not.
    fn fit(&self, range: &MediaType) -> Option<Fit> {
        let syntax = range.parameter("transfer-syntax");
        if !self.meets_syntax(syntax) {
            return None;
        }
        let names_syntax = syntax.is_some();
        let fit = |closeness, is_direct| Some(Fit { closeness: (closeness, names_syntax), is_direct });
        match range.essence() {
            "*/*" => fit(0, true),
            "multipart/related" | "multipart/*" if self.is_multipart() => match range.parameter("type") {
                None => fit(1, true),
                Some(inner) => {
                    let inner = MediaType::parse(inner).filter(|inner| inner.covers(self.media_type))?;
                    fit(if inner.essence() == self.media_type { 3 } else { 2 }, true)
                }
            },
            // The type of a part stands for the multipart that holds such parts, where there is nothing else.
            essence if essence == self.media_type => fit(3, !self.is_multipart()),
            _ if range.covers(self.media_type) => fit(1, !self.is_multipart()),
            _ => None,
        }
    }

    fn meets_syntax(&self, asked: Option<&str>) -> bool {
        let is_own = |asked: &str| self.transfer_syntax.is_some_and(|own| own.as_str() == asked);
        match (self.terms, asked) {
            (Terms::Every, _) => true,
            (Terms::Usual | Terms::OnlyNone | Terms::OwnOrNone, None) => true,
            (Terms::OnlyAny | Terms::Own | Terms::OwnOrAny, None) => false,
            (Terms::Usual | Terms::OnlyAny | Terms::OwnOrAny, Some("*")) => true,
            (Terms::Usual | Terms::Own | Terms::OwnOrNone | Terms::OwnOrAny, Some(asked)) => is_own(asked),
            (Terms::OnlyAny | Terms::OnlyNone, Some(_)) => false,
        }
    }
}

/// How a range describes an offer.
#[derive(Debug, Clone, Copy)]
struct Fit {
    /// Of several ranges the closest decides (RFC 9110 §12.5.1).
    closeness: (u8, bool),
    /// Whether the range means this form of the answer.
    is_direct: bool,
}

impl Accept {
    /// The place of the most wanted of the offers, as [`Accept::choose`] has it.
    pub(super) fn choose_place(&self, offers: &[Offer<'_>]) -> Option<usize> {
        let chosen = self.choose(offers)?;
        offers.iter().position(|offer| std::ptr::eq(offer, chosen))
    }

    /// The most wanted of the offers, which stand in our order of preference; `None` when none is wanted.
    pub(super) fn choose<'o, 'a>(&self, offers: &'o [Offer<'a>]) -> Option<&'o Offer<'a>> {
        let mut best = None;
        let mut best_quality = (0, true);
        for offer in offers {
            let quality = self.quality(offer);
            if quality.0 > 0 && (best.is_none() || quality > best_quality) {
                (best, best_quality) = (Some(offer), quality);
            }
        }
        best
    }

    /// The media type in which JSON is wanted.
    ///
    /// # Errors
    /// 406 when it is not wanted.
    pub(super) fn json(&self) -> Result<&'static str, Problem> {
        let offers = [Offer::single("application/dicom+json", None), Offer::single("application/json", None)];
        let chosen = self.choose(&offers).ok_or_else(|| {
            Problem::not_acceptable("this resource is sent as application/dicom+json or application/json")
        })?;
        Ok(chosen.media_type)
    }

    /// How much an offer is wanted, in thousandths, and whether in its form.
    fn quality(&self, offer: &Offer<'_>) -> (u16, bool) {
        if self.0.is_empty() {
            return (1000, true);
        }
        // Entries come in falling quality, and of equal keys the last is taken: hence in reverse.
        let fits = self.0.iter().rev().filter_map(|entry| Some((offer.fit(&entry.media)?, entry.quality)));
        fits.max_by_key(|(fit, _)| fit.closeness)
            .map_or((0, false), |(fit, quality)| (quality, fit.is_direct))
    }

    fn parse(field: &str) -> Result<Self, Problem> {
        let accepted = accept(field);
        if accepted.is_empty() && !field.trim().is_empty() {
            return Err(Problem::bad_request("Accept is no list of media types"));
        }
        Ok(Self(accepted))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Accept {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let parameter = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .find_map(|parameter| parameter.strip_prefix("accept="));
        if let Some(parameter) = parameter {
            return Self::parse(&percent_decode_str(parameter).decode_utf8_lossy());
        }
        let fields = parts.headers.get_all(header::ACCEPT).iter();
        let fields = fields.map(|field| String::from_utf8_lossy(field.as_bytes())).collect::<Vec<_>>();
        Self::parse(&fields.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &str = "1.2.840.10008.1.2.4.50";
    const NATIVE: &str = "1.2.840.10008.1.2.1";

    fn uid(text: &str) -> TransferSyntaxUid {
        TransferSyntaxUid::lenient(text).unwrap()
    }

    /// Which of the offers is chosen, by its place.
    fn choice(field: &str, offers: &[Offer<'_>]) -> Option<usize> {
        let accept = Accept::parse(field).unwrap();
        let chosen = accept.choose(offers)?;
        offers.iter().position(|offer| std::ptr::eq(offer, chosen))
    }

    #[test]
    fn chooses_how_one_object_is_sent() {
        let syntax = uid(NATIVE);
        let dicom = "application/dicom";
        let offers = [Offer::single(dicom, Some(&syntax)), Offer::multipart(dicom, Some(&syntax))];
        for (field, expected) in [
            ("", Some(0)),
            ("*/*", Some(0)),
            ("application/*", Some(0)),
            ("application/dicom", Some(0)),
            ("application/dicom; transfer-syntax=*", Some(0)),
            ("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", Some(0)),
            ("application/dicom; transfer-syntax=1.2.840.10008.1.2", None),
            ("multipart/related; type=\"application/dicom\"", Some(1)),
            ("multipart/related; type=application/dicom; transfer-syntax=*", Some(1)),
            ("Multipart/Related; Type=\"Application/DICOM\"", Some(1)),
            ("multipart/related; type=\"*/*\"", Some(1)),
            ("multipart/related", Some(1)),
            ("multipart/*", Some(1)),
            ("multipart/related; type=\"application/dicom+xml\"", None),
            ("multipart/related; type=\"\"", None),
            ("multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.50", None),
            ("application/dicom+json", None),
            ("text/html", None),
            ("text/html, */*;q=0.1", Some(0)),
            ("application/dicom;q=0, */*", None),
            ("application/dicom;q=0.5, multipart/related;type=\"application/dicom\"", Some(1)),
            ("application/dicom;q=0", None),
            ("*/*;q=0", None),
        ] {
            assert_eq!(choice(field, &offers), expected, "{field}");
        }
    }

    #[test]
    fn a_named_syntax_is_met_by_none_other() {
        let offers = [Offer::multipart("application/dicom", None)];
        let named = "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.50";
        assert_eq!(choice(named, &offers), None);
        assert_eq!(choice(&format!("{named}, */*;q=0.1"), &offers), Some(0));
    }

    #[test]
    fn chooses_how_frames_are_sent() {
        let syntax = uid(JPEG);
        let offers = [
            Offer::multipart("image/jpeg", Some(&syntax)),
            Offer::single("image/jpeg", Some(&syntax)),
            Offer::multipart("application/octet-stream", Some(&syntax)).only_for_any_syntax(),
        ];
        for (field, expected) in [
            ("*/*", Some(0)),
            ("image/jpeg", Some(1)),
            ("image/*", Some(1)),
            ("multipart/related; type=\"image/jpeg\"", Some(0)),
            ("multipart/related; type=\"image/*\"", Some(0)),
            ("multipart/related; type=\"image/jpeg\"; transfer-syntax=1.2.840.10008.1.2.4.50", Some(0)),
            ("multipart/related; type=\"image/jpeg\"; transfer-syntax=1.2.840.10008.1.2.4.70", None),
            ("multipart/related; type=\"image/jp2\"", None),
            ("multipart/related; type=\"application/octet-stream\"", None),
            (
                "multipart/related; type=\"application/octet-stream\"; transfer-syntax=1.2.840.10008.1.2.1",
                None,
            ),
            ("multipart/related; type=\"application/octet-stream\"; transfer-syntax=*", Some(2)),
            ("application/octet-stream; transfer-syntax=*", Some(2)),
        ] {
            assert_eq!(choice(field, &offers), expected, "{field}");
        }
    }

    #[test]
    fn json_has_two_names() {
        let json = |field: &str| Accept::parse(field).unwrap().json().ok();
        assert_eq!(json(""), Some("application/dicom+json"));
        assert_eq!(json("application/json"), Some("application/json"));
        assert_eq!(json("application/dicom+json, application/json"), Some("application/dicom+json"));
        assert_eq!(json("application/dicom+json;q=0.5, application/json"), Some("application/json"));
        assert_eq!(json("multipart/related; type=\"application/dicom+xml\""), None);
        assert_eq!(json("application/xml"), None);
    }

    #[test]
    fn what_is_no_list_of_media_types_is_refused() {
        assert!(Accept::parse("nonsense").is_err());
        assert!(Accept::parse("  ").is_ok());
    }
}
