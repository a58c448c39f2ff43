//! In which presentation contexts a peer may send instances.

use model::syntax;
use ul::pdu::RoleSelection;

use super::super::MAX_KINDS;

/// What is proposed for a peer to send.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) contexts: Vec<(String, Vec<String>)>,
    /// We are to be SCP of each of the SOP classes (PS3.4 §C.5.3).
    pub(super) roles: Vec<RoleSelection>,
}

impl Offer {
    /// Of the first [`STORAGE_CONTEXTS`] of these SOP classes: more do not fit.
    pub(super) fn of(classes: &[String]) -> Self {
        let classes = classes.get(..STORAGE_CONTEXTS).unwrap_or(classes);
        let role = |class: &String| RoleSelection { sop_class: class.clone(), scu: false, scp: true };
        Self { contexts: contexts(classes), roles: classes.iter().map(role).collect() }
    }
}

/// Contexts for these SOP classes.
///
/// A context has one transfer syntax once it is accepted, and not every peer can transcode. So each class gets several contexts, as far as
/// they go round: one for each way to be native, since many peers choose the one without VRs where they are let, and one for each other
/// transfer syntax, or for several of these together.
fn contexts(classes: &[String]) -> Vec<(String, Vec<String>)> {
    let each = STORAGE_CONTEXTS.checked_div(classes.len()).unwrap_or(0);
    let groups = groups(each);
    let of = |class: &String| groups.iter().map(|group| (class.clone(), group.clone())).collect::<Vec<_>>();
    classes.iter().flat_map(of).collect()
}

/// All transfer syntaxes in at most so many groups, what is met most at the front of each.
fn groups(most: usize) -> Vec<Vec<String>> {
    let own = |syntaxes: &[&str]| syntaxes.iter().map(|uid| (*uid).to_owned()).collect::<Vec<_>>();
    let native: Vec<_> = match most {
        0 | 1 => return vec![[own(&NATIVE), own(&OTHERS)].concat()],
        2 => vec![own(&NATIVE)],
        _ => NATIVE.iter().map(|syntax| own(&[syntax])).collect(),
    };
    let left = most.saturating_sub(native.len()).clamp(1, OTHERS.len());
    let group = |first| own(&OTHERS.iter().copied().skip(first).step_by(left).collect::<Vec<_>>());
    native.into_iter().chain((0..left).map(group)).collect()
}

/// Contexts of an association but that for C-GET.
pub(super) const STORAGE_CONTEXTS: usize = MAX_KINDS - 1;

const NATIVE: [&str; 2] = [syntax::EXPLICIT_VR_LITTLE_ENDIAN, syntax::IMPLICIT_VR_LITTLE_ENDIAN];

/// What is met most comes first.
const OTHERS: [&str; 34] = [
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.102",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.103",
    syntax::EXPLICIT_VR_BIG_ENDIAN,
    syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.4.111",
    "1.2.840.10008.1.2.4.112",
    "1.2.840.10008.1.2.4.101",
    "1.2.840.10008.1.2.4.104",
    "1.2.840.10008.1.2.4.105",
    "1.2.840.10008.1.2.4.106",
    "1.2.840.10008.1.2.4.107",
    "1.2.840.10008.1.2.4.108",
    "1.2.840.10008.1.2.4.92",
    "1.2.840.10008.1.2.4.93",
    "1.2.840.10008.1.2.1.98",
    "1.2.840.10008.1.2.8.1",
    "1.2.840.10008.1.2.4.52",
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.55",
    "1.2.840.10008.1.2.4.58",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn classes(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("1.2.{number}")).collect()
    }

    #[test]
    fn every_class_is_offered_in_every_syntax_and_all_fit() {
        for count in [0, 1, 2, 4, 42, 63, 64, MAX_KINDS - 1, MAX_KINDS, 5000] {
            let Offer { contexts, roles } = Offer::of(&classes(count));
            let most = count.min(MAX_KINDS - 1);
            assert!(contexts.len() < MAX_KINDS && roles.len() == most, "{count}");
            for class in classes(most) {
                assert!(roles.iter().any(|role| role.sop_class == class), "{count}");
                let own = contexts.iter().filter(|(of, _)| *of == class);
                let syntaxes: BTreeSet<_> = own.flat_map(|(_, syntaxes)| syntaxes).collect();
                assert_eq!(syntaxes.len(), NATIVE.len() + OTHERS.len(), "{count}");
            }
        }
    }

    #[test]
    fn few_classes_have_a_context_for_each_syntax() {
        let contexts = contexts(&classes(3));
        assert_eq!(contexts.len(), 3 * 36);
        assert!(contexts.iter().all(|(_, syntaxes)| syntaxes.len() == 1));
        let thirty = super::contexts(&classes(30));
        assert_eq!((thirty.len(), thirty[0].1.len(), thirty[2].1.len()), (120, 1, 17));
        let sixty = super::contexts(&classes(60));
        assert_eq!(
            (sixty.len(), &sixty[0].1, &sixty[1].1),
            (120, &NATIVE.map(str::to_owned).to_vec(), &OTHERS.map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn all_syntaxes_are_registered() {
        for uid in NATIVE.iter().chain(&OTHERS) {
            assert!(syntax::name(uid).is_some(), "{uid}");
        }
    }
}
