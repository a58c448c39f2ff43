//! What a peer is asked whether it takes, and what it took in words.

use model::{sop, syntax};
use net::scu::examine::{Answer, MAX_PROPOSALS, Proposal};

/// A SOP class with the word that operators have for it.
pub(super) struct Class {
    pub(super) word: &'static str,
    pub(super) uid: &'static str,
    /// Its instances have pixels, which may be compressed.
    pub(super) has_pixels: bool,
}

/// What a peer took.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// Of [`SERVICES`], those it has.
    pub(super) services: Vec<&'static str>,
    /// Of [`STORAGE`], the words of those it stores.
    pub(super) stored: Vec<&'static str>,
    /// The others.
    pub(super) not_stored: Vec<&'static str>,
    /// Of [`COMPRESSED`], the words of those it takes, with of how many classes.
    pub(super) compressed: Vec<(&'static str, usize)>,
    /// Classes that it was asked for in compressed form.
    pub(super) asked_compressed: usize,
    /// Classes that it would send us by C-GET; `None` where it has no C-GET.
    pub(super) sent: Option<usize>,
}

impl Taken {
    /// What it comes to, in a line.
    pub(super) fn told(&self) -> String {
        let has = |word| self.services.contains(&word);
        let storage = match (self.stored.len(), self.not_stored.len()) {
            (0, _) => "stores nothing that we asked for".to_owned(),
            (stored, 0) => format!("stores all {stored} kinds of objects that we asked for"),
            (stored, others) => format!("stores {stored} of {} kinds of objects", stored + others),
        };
        let (mut offered, mut missing) = (Vec::new(), Vec::new());
        for (word, is_offered) in [
            ("C-FIND", has("C-FIND (study)") || has("C-FIND (patient)")),
            ("C-MOVE", has("C-MOVE (study)") || has("C-MOVE (patient)")),
            ("C-GET", has("C-GET (study)") || has("C-GET (patient)")),
            ("storage commitment", has("storage commitment")),
        ] {
            if is_offered { offered.push(word) } else { missing.push(word) }
        }
        let mut told = storage;
        if !offered.is_empty() {
            told.push_str(&format!("; offers {}", offered.join(", ")));
        }
        if !missing.is_empty() {
            told.push_str(&format!("; no {}", missing.join(", no ")));
        }
        told
    }

    /// The details, a line each.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.stored.is_empty() {
            notes.push(format!("stores: {}", self.stored.join(", ")));
            if !self.not_stored.is_empty() {
                notes.push(format!("does not: {}", self.not_stored.join(", ")));
            }
        }
        if self.asked_compressed > 0 {
            notes.push(self.syntaxes());
        }
        if let Some(sent) = self.sent {
            notes.push(match sent {
                0 => "C-GET: it grants us no SCP role, so that nothing would come".to_owned(),
                sent => format!("C-GET: would send us {sent} kinds of objects"),
            });
        }
        notes
    }

    fn syntaxes(&self) -> String {
        if self.compressed.is_empty() {
            return "compressed: nothing; what is compressed must be decompressed for it".to_owned();
        }
        let of = |(word, classes): &(&str, usize)| match *classes {
            classes if classes == self.asked_compressed => (*word).to_owned(),
            classes => format!("{word} ({classes} of {} kinds)", self.asked_compressed),
        };
        let known: Vec<String> = self.compressed.iter().map(of).collect();
        let is_taken = |word: &str| self.compressed.iter().any(|(taken, _)| *taken == word);
        let missing: Vec<&str> = COMPRESSED.iter().map(|one| one.0).filter(|word| !is_taken(word)).collect();
        match missing.as_slice() {
            [] => format!("compressed: {}", known.join(", ")),
            missing => format!("compressed: {}; not {}", known.join(", "), missing.join(", ")),
        }
    }
}

/// Of each service and kind of object, without compression: one context each.
pub(super) fn plain() -> Vec<Proposal> {
    let uids = SERVICES.iter().map(|(_, uid)| *uid).chain(STORAGE.iter().map(|class| class.uid));
    uids.map(|uid| (uid.to_owned(), UNCOMPRESSED.map(str::to_owned).to_vec())).collect()
}

/// What came of [`plain`].
pub(super) fn read_plain(answer: &Answer) -> Taken {
    let mut answers = answer.contexts.iter().map(Result::is_ok);
    let mut taken = Taken::default();
    for (word, _) in SERVICES {
        if answers.next() == Some(true) {
            taken.services.push(word);
        }
    }
    for class in STORAGE {
        let list = if answers.next() == Some(true) { &mut taken.stored } else { &mut taken.not_stored };
        list.push(class.word);
    }
    taken
}

/// The kinds of objects that it stores and that have pixels, each in each compressed syntax: a context each, so that the choice of one
/// syntax hides no other; as many as an association holds together.
pub(super) fn compressed(taken: &Taken) -> Vec<Vec<Proposal>> {
    let classes = STORAGE.iter().filter(|class| class.has_pixels && taken.stored.contains(&class.word));
    let pairs: Vec<Proposal> = classes
        .flat_map(|class| COMPRESSED.iter().map(|(_, uid)| (class.uid.to_owned(), vec![(*uid).to_owned()])))
        .collect();
    pairs.chunks(MAX_PROPOSALS).map(<[Proposal]>::to_vec).collect()
}

/// Adds what came of one association of [`compressed`].
pub(super) fn add_compressed(taken: &mut Taken, proposals: &[Proposal], answer: &Answer) {
    for ((_, asked), answered) in proposals.iter().zip(&answer.contexts) {
        let Ok(syntax) = answered else { continue };
        let word = COMPRESSED.iter().find(|(_, uid)| uid == syntax && asked.iter().any(|asked| asked == uid));
        let Some((word, _)) = word else { continue };
        match taken.compressed.iter_mut().find(|(known, _)| known == word) {
            Some((_, classes)) => *classes += 1,
            None => taken.compressed.push((word, 1)),
        }
    }
}

/// How many kinds of objects [`compressed`] asks for.
pub(super) fn pixel_classes(taken: &Taken) -> usize {
    STORAGE.iter().filter(|class| class.has_pixels && taken.stored.contains(&class.word)).count()
}

/// C-GET, and the kinds of objects that we would be SCP of for it.
pub(super) fn sent() -> (Vec<Proposal>, Vec<&'static str>) {
    let classes: Vec<&str> = STORAGE.iter().map(|class| class.uid).collect();
    let uids = std::iter::once(sop::STUDY_ROOT_GET).chain(classes.iter().copied());
    let proposals = uids.map(|uid| (uid.to_owned(), UNCOMPRESSED.map(str::to_owned).to_vec())).collect();
    (proposals, classes)
}

/// What came of [`sent`].
pub(super) fn read_sent(answer: &Answer) -> usize {
    let taken = answer.contexts.iter().skip(1).zip(STORAGE).filter(|(answered, _)| answered.is_ok());
    taken.filter(|(_, class)| answer.scp_of.iter().any(|uid| uid == class.uid)).count()
}

/// How many kinds of objects a peer is asked for.
pub(in crate::cli) fn kinds() -> usize {
    STORAGE.len()
}

/// The compressed transfer syntaxes that it is asked for, by their UIDs.
pub(in crate::cli) fn compressed_syntaxes() -> impl Iterator<Item = &'static str> {
    COMPRESSED.iter().map(|(_, uid)| *uid)
}

/// What every association of ours proposes without compression.
pub(super) const UNCOMPRESSED: [&str; 2] =
    [syntax::EXPLICIT_VR_LITTLE_ENDIAN, syntax::IMPLICIT_VR_LITTLE_ENDIAN];

/// Services besides storage.
pub(super) const SERVICES: &[(&str, &str)] = &[
    ("C-FIND (study)", sop::STUDY_ROOT_FIND),
    ("C-MOVE (study)", sop::STUDY_ROOT_MOVE),
    ("C-GET (study)", sop::STUDY_ROOT_GET),
    ("C-FIND (patient)", sop::PATIENT_ROOT_FIND),
    ("C-MOVE (patient)", sop::PATIENT_ROOT_MOVE),
    ("C-GET (patient)", sop::PATIENT_ROOT_GET),
    ("storage commitment", sop::STORAGE_COMMITMENT_PUSH_MODEL),
];

/// Secondary Capture Image Storage (PS3.4 Table B.5-1).
pub(super) const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

/// Kinds of objects that common modalities make (PS3.4 Table B.5-1).
pub(super) const STORAGE: &[Class] = &[
    pixels("CR", "1.2.840.10008.5.1.4.1.1.1"),
    pixels("DX", "1.2.840.10008.5.1.4.1.1.1.1"),
    pixels("mammography", "1.2.840.10008.5.1.4.1.1.1.2"),
    pixels("intra-oral", "1.2.840.10008.5.1.4.1.1.1.3"),
    pixels("breast tomosynthesis", "1.2.840.10008.5.1.4.1.1.13.1.3"),
    pixels("CT", "1.2.840.10008.5.1.4.1.1.2"),
    pixels("enhanced CT", "1.2.840.10008.5.1.4.1.1.2.1"),
    pixels("MR", "1.2.840.10008.5.1.4.1.1.4"),
    pixels("enhanced MR", "1.2.840.10008.5.1.4.1.1.4.1"),
    pixels("US", "1.2.840.10008.5.1.4.1.1.6.1"),
    pixels("US multi-frame", "1.2.840.10008.5.1.4.1.1.3.1"),
    pixels("XA", "1.2.840.10008.5.1.4.1.1.12.1"),
    pixels("RF", "1.2.840.10008.5.1.4.1.1.12.2"),
    pixels("NM", "1.2.840.10008.5.1.4.1.1.20"),
    pixels("PET", "1.2.840.10008.5.1.4.1.1.128"),
    pixels("enhanced PET", "1.2.840.10008.5.1.4.1.1.130"),
    pixels("secondary capture", SECONDARY_CAPTURE),
    pixels("multi-frame secondary capture", "1.2.840.10008.5.1.4.1.1.7.4"),
    pixels("endoscopy", "1.2.840.10008.5.1.4.1.1.77.1.1"),
    pixels("photography", "1.2.840.10008.5.1.4.1.1.77.1.4"),
    pixels("ophthalmic photography", "1.2.840.10008.5.1.4.1.1.77.1.5.1"),
    pixels("OCT", "1.2.840.10008.5.1.4.1.1.77.1.5.4"),
    pixels("whole slide", "1.2.840.10008.5.1.4.1.1.77.1.6"),
    other("video endoscopy", "1.2.840.10008.5.1.4.1.1.77.1.1.1"),
    other("segmentation", "1.2.840.10008.5.1.4.1.1.66.4"),
    other("presentation state", "1.2.840.10008.5.1.4.1.1.11.1"),
    other("key object selection", "1.2.840.10008.5.1.4.1.1.88.59"),
    other("basic text SR", "1.2.840.10008.5.1.4.1.1.88.11"),
    other("enhanced SR", "1.2.840.10008.5.1.4.1.1.88.22"),
    other("comprehensive SR", "1.2.840.10008.5.1.4.1.1.88.33"),
    other("radiation dose SR", "1.2.840.10008.5.1.4.1.1.88.67"),
    other("mammography CAD SR", "1.2.840.10008.5.1.4.1.1.88.50"),
    other("encapsulated PDF", "1.2.840.10008.5.1.4.1.1.104.1"),
    other("RT image", "1.2.840.10008.5.1.4.1.1.481.1"),
    other("RT dose", "1.2.840.10008.5.1.4.1.1.481.2"),
    other("RT structure set", "1.2.840.10008.5.1.4.1.1.481.3"),
    other("RT plan", "1.2.840.10008.5.1.4.1.1.481.5"),
    other("12-lead ECG", "1.2.840.10008.5.1.4.1.1.9.1.1"),
];

/// Compressed transfer syntaxes in use.
const COMPRESSED: &[(&str, &str)] = &[
    ("RLE", "1.2.840.10008.1.2.5"),
    ("JPEG Baseline", "1.2.840.10008.1.2.4.50"),
    ("JPEG Extended", "1.2.840.10008.1.2.4.51"),
    ("JPEG Lossless", "1.2.840.10008.1.2.4.70"),
    ("JPEG-LS lossless", "1.2.840.10008.1.2.4.80"),
    ("JPEG-LS lossy", "1.2.840.10008.1.2.4.81"),
    ("JPEG 2000 lossless", "1.2.840.10008.1.2.4.90"),
    ("JPEG 2000", "1.2.840.10008.1.2.4.91"),
    ("HTJ2K lossless", "1.2.840.10008.1.2.4.201"),
    ("HTJ2K", "1.2.840.10008.1.2.4.203"),
    ("JPEG XL lossless", "1.2.840.10008.1.2.4.110"),
    ("H.264", "1.2.840.10008.1.2.4.102"),
];

const fn pixels(word: &'static str, uid: &'static str) -> Class {
    Class { word, uid, has_pixels: true }
}

const fn other(word: &'static str, uid: &'static str) -> Class {
    Class { word, uid, has_pixels: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(contexts: Vec<Result<String, &'static str>>) -> Answer {
        Answer {
            contexts,
            scp_of: Vec::new(),
            max_pdu_bytes: 0,
            implementation_class_uid: None,
            implementation_version_name: None,
        }
    }

    #[test]
    fn the_tables_name_what_the_standard_has_and_fit_an_association() {
        assert!(plain().len() <= MAX_PROPOSALS && sent().0.len() <= MAX_PROPOSALS);
        for class in STORAGE {
            assert!(sop::is_storage(class.uid) && sop::name(class.uid).is_some(), "{}", class.word);
        }
        for (word, uid) in SERVICES {
            assert!(sop::name(uid).is_some(), "{word}");
        }
        for (word, uid) in COMPRESSED {
            assert!(syntax::name(uid).is_some(), "{word}");
        }
    }

    #[test]
    fn what_is_taken_is_told() {
        let explicit = || Ok(syntax::EXPLICIT_VR_LITTLE_ENDIAN.to_owned());
        let all = read_plain(&answer(plain().iter().map(|_| explicit()).collect()));
        let told = all.told();
        assert!(
            told.starts_with("stores all 38 kinds of objects that we asked for; offers C-FIND"),
            "{told}"
        );
        let nothing = read_plain(&answer(plain().iter().map(|_| Err("no")).collect()));
        assert!(nothing.told().starts_with("stores nothing that we asked for; no C-FIND, no C-MOVE"));
        assert!(nothing.notes().is_empty());
        let mut some = plain().iter().map(|_| Err("no")).collect::<Vec<_>>();
        some[SERVICES.len()] = explicit();
        some[0] = explicit();
        let mut some = read_plain(&answer(some));
        assert!(some.told().starts_with("stores 1 of 38 kinds of objects; offers C-FIND; no C-MOVE"));
        let associations = compressed(&some);
        some.asked_compressed = pixel_classes(&some);
        assert_eq!((associations.len(), associations[0].len(), some.asked_compressed), (1, 12, 1));
        assert_eq!(some.notes()[2], "compressed: nothing; what is compressed must be decompressed for it");
        let took = associations[0].iter().map(|(_, syntaxes)| {
            let syntax = syntaxes[0].clone();
            if syntax.ends_with(".4.70") { Ok(syntax) } else { Err("no") }
        });
        let took: Vec<_> = took.collect();
        add_compressed(&mut some, &associations[0], &answer(took));
        assert_eq!(some.compressed, [("JPEG Lossless", 1)]);
        assert!(some.notes()[2].starts_with("compressed: JPEG Lossless; not RLE, JPEG Baseline"));
    }

    #[test]
    fn more_contexts_than_an_association_holds_go_in_several() {
        let explicit = || Ok(syntax::EXPLICIT_VR_LITTLE_ENDIAN.to_owned());
        let all = read_plain(&answer(plain().iter().map(|_| explicit()).collect()));
        let sizes: Vec<usize> = compressed(&all).iter().map(Vec::len).collect();
        assert_eq!(sizes, [128, 128, 20]);
    }
}
