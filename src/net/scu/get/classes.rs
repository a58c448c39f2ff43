//! Which SOP classes a retrieve will bring.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use model::header::Header;
use model::{QueryRetrieveLevel, Tag, Vr, sop};

use super::super::find::FindScu;
use super::super::{Question, Settings, Target};
use super::offer::STORAGE_CONTEXTS;
use crate::end::End;
use crate::error::Error;

/// The SOP classes of what `question` is about, as the peer tells by C-FIND; those that are met most where it does not.
///
/// # Errors
/// [`Error::Connect`]: the peer is not there to be asked for anything else either.
pub(crate) async fn of(
    target: &Target,
    settings: &Settings,
    question: &Question,
) -> Result<Vec<String>, Error> {
    let asked = ask(target, settings, question).await;
    match asked {
        Ok(classes) if !classes.is_empty() => return Ok(classes.into_iter().collect()),
        Ok(_) => tracing::debug!("the peer does not tell SOP classes"),
        Err(error @ Error::Connect { .. }) => return Err(error),
        Err(error) => tracing::debug!(error = crate::chain(&error), "the peer tells no SOP classes"),
    }
    Ok(common())
}

/// Those that are met most.
pub(crate) fn common() -> Vec<String> {
    COMMON.map(str::to_owned).to_vec()
}

async fn ask(target: &Target, settings: &Settings, question: &Question) -> Result<BTreeSet<String>, Error> {
    let mut scu = FindScu::associate(target, settings, question.root).await?;
    let told = tell(&mut scu, question).await;
    scu.end(told).await
}

/// By SOP Classes in Study (0008,0062) where all studies have it, else by an instance or some of each series.
async fn tell(scu: &mut FindScu, question: &Question) -> Result<BTreeSet<String>, End> {
    let mut classes = BTreeSet::new();
    let mut is_known = true;
    let studies = asking(question, QueryRetrieveLevel::Study, &[STUDY, SOP_CLASSES_IN_STUDY]);
    scu.find(&studies, Some(MOST), |row| {
        let told = uids(row, SOP_CLASSES_IN_STUDY);
        is_known &= !told.is_empty();
        add(&mut classes, told);
    })
    .await?;
    if (is_known && !classes.is_empty()) || !question.keys.iter().any(|(tag, _)| *tag == STUDY) {
        return Ok(if is_known { classes } else { BTreeSet::new() });
    }
    classes.clear();
    let mut series = BTreeSet::new();
    let all_series = asking(question, QueryRetrieveLevel::Series, &[SERIES]);
    scu.find(&all_series, Some(MOST), |row| series.extend(uids(row, SERIES).into_iter().next())).await?;
    for uid in series {
        let mut instances = asking(question, QueryRetrieveLevel::Image, &[INSTANCE, SOP_CLASS]);
        instances.keys.insert_text(SERIES, Vr::UI, &uid);
        scu.find(&instances, Some(SOME), |row| add(&mut classes, uids(row, SOP_CLASS))).await?;
    }
    Ok(classes)
}

/// Adds as many as there is room for in an association, however many a peer tells.
fn add(classes: &mut BTreeSet<String>, told: Vec<String>) {
    for class in told {
        if classes.len() < STORAGE_CONTEXTS {
            classes.insert(class);
        }
    }
}

/// The keys of the question down to a level, and what is to be returned.
fn asking(question: &Question, level: QueryRetrieveLevel, returned: &[Tag]) -> Question {
    let mut keys = model::attributes::Attributes::new();
    for tag in returned {
        keys.insert(*tag, Vr::UI, Vec::new());
    }
    for (tag, of) in [
        (PATIENT, QueryRetrieveLevel::Patient),
        (STUDY, QueryRetrieveLevel::Study),
        (SERIES, QueryRetrieveLevel::Series),
        (INSTANCE, QueryRetrieveLevel::Image),
    ] {
        if let Some(key) = question.keys.get(tag).filter(|_| of <= level) {
            keys.insert(tag, key.vr, key.values.clone());
        }
    }
    Question { root: question.root, level, keys }
}

/// The storage classes, or series, that a match names.
fn uids(row: &Header, tag: Tag) -> Vec<String> {
    let text = row.text(tag).unwrap_or_default();
    let uids = text.split('\\').map(|uid| uid.trim_matches(['\0', ' ']));
    let is_wanted =
        |uid: &&str| !uid.is_empty() && uid.len() <= 64 && (tag == SERIES || sop::is_storage(uid));
    uids.filter(is_wanted).map(str::to_owned).collect()
}

const PATIENT: Tag = Tag(0x0010, 0x0020);
const STUDY: Tag = Tag(0x0020, 0x000D);
const SERIES: Tag = Tag(0x0020, 0x000E);
const INSTANCE: Tag = Tag(0x0008, 0x0018);
const SOP_CLASS: Tag = Tag(0x0008, 0x0016);
const SOP_CLASSES_IN_STUDY: Tag = Tag(0x0008, 0x0062);

/// Studies, or series of a study, that are looked at.
const MOST: NonZeroU64 = NonZeroU64::new(1_000).expect("it is not zero");
/// Instances of a series that are looked at: they are of one class, but for a few vendors'.
const SOME: NonZeroU64 = NonZeroU64::new(100).expect("it is not zero");

/// What archives have most of. So many that each still has one context for what is not compressed, and one for the rest.
const COMMON: [&str; 58] = [
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.12.2",
    "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
    "1.2.840.10008.5.1.4.1.1.4.2",
    "1.2.840.10008.5.1.4.1.1.4.3",
    "1.2.840.10008.5.1.4.1.1.4.4",
    "1.2.840.10008.5.1.4.1.1.130",
    "1.2.840.10008.5.1.4.1.1.128.1",
    "1.2.840.10008.5.1.4.1.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.1.3",
    "1.2.840.10008.5.1.4.1.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.13.1.1",
    "1.2.840.10008.5.1.4.1.1.13.1.2",
    "1.2.840.10008.5.1.4.1.1.13.1.3",
    "1.2.840.10008.5.1.4.1.1.12.1.1",
    "1.2.840.10008.5.1.4.1.1.12.2.1",
    "1.2.840.10008.5.1.4.1.1.6.2",
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
    "1.2.840.10008.5.1.4.1.1.11.1",
    "1.2.840.10008.5.1.4.1.1.11.2",
    "1.2.840.10008.5.1.4.1.1.11.3",
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.50",
    "1.2.840.10008.5.1.4.1.1.88.59",
    "1.2.840.10008.5.1.4.1.1.88.65",
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.104.1",
    "1.2.840.10008.5.1.4.1.1.66.1",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.481.1",
    "1.2.840.10008.5.1.4.1.1.481.2",
    "1.2.840.10008.5.1.4.1.1.481.3",
    "1.2.840.10008.5.1.4.1.1.481.5",
    "1.2.840.10008.5.1.4.1.1.9.1.1",
    "1.2.840.10008.5.1.4.1.1.77.1.1",
    "1.2.840.10008.5.1.4.1.1.77.1.4",
    "1.2.840.10008.5.1.4.1.1.77.1.4.1",
    "1.2.840.10008.5.1.4.1.1.77.1.5.1",
    "1.2.840.10008.5.1.4.1.1.77.1.5.4",
    "1.2.840.10008.5.1.4.1.1.77.1.6",
];

#[cfg(test)]
mod tests {
    use model::query::Root;

    use super::super::super::MAX_KINDS;
    use super::*;

    #[test]
    fn common_classes_are_registered_once_and_have_room_for_two_contexts_each() {
        for class in COMMON {
            assert!(sop::is_storage(class) && sop::name(class).is_some(), "{class}");
        }
        assert_eq!(COMMON.iter().collect::<BTreeSet<_>>().len(), COMMON.len());
        assert!(COMMON.len() * 2 < MAX_KINDS);
    }

    #[test]
    fn as_many_are_held_as_can_be_proposed() {
        let mut classes = BTreeSet::new();
        for row in 0..9 {
            add(&mut classes, (0..1000).map(|number| format!("1.2.{row}.{number}")).collect());
        }
        assert_eq!(classes.len(), MAX_KINDS - 1);
    }

    #[test]
    fn what_is_asked_has_the_keys_down_to_its_level() {
        let mut keys = model::attributes::Attributes::new();
        for (tag, value) in [(STUDY, "1.2"), (SERIES, "1.2.3"), (INSTANCE, "1.2.3.4")] {
            keys.insert_text(tag, Vr::UI, value);
        }
        let question = Question { root: Root::Study, level: QueryRetrieveLevel::Image, keys };
        let series = asking(&question, QueryRetrieveLevel::Series, &[SERIES]);
        assert_eq!((series.keys.first(STUDY), series.keys.first(SERIES)), (Some("1.2"), Some("1.2.3")));
        assert_eq!((series.keys.get(INSTANCE), series.keys.len()), (None, 2));
    }
}
