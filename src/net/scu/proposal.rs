//! For which kinds an association is proposed, with what the peer said last time in mind.

use std::collections::HashSet;

use pipeline::peers::Said;

use super::alternatives::{Kind, proposed, proposed_besides};
use super::store::MAX_KINDS;

/// What a new association is proposed for: this kind, those that wait, and those that were sent before; and what these can be
/// transcoded into. As many as fit:
///
/// 1. what the first can go as, because it is to go;
/// 2. of each other what it goes as by all that is known: as it is, or where the peer refuses that as what it takes;
/// 3. what else they can go as, in case that the peer takes them so no more;
/// 4. what the peer refuses;
/// 5. what they can go as compressed.
///
/// What the peer refuses is left out where it takes the same in another form that is no worse: it is asked again when it no longer does,
/// and when what is remembered no longer holds. Where it takes a kind as it is or native, compressed forms are left out.
pub fn proposal(kinds: &[Kind], said: impl Fn(&Kind) -> Option<Said>) -> Vec<Kind> {
    let Some((first, others)) = kinds.split_first() else { return Vec::new() };
    let (mut second, mut third, mut fourth, mut fifth) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Ways { plain, compressed } in others.iter().map(|kind| Ways::open(kind, &said)) {
        let is_refused = |kind: &Kind| said(kind) == Some(Said::Refuses);
        let (refused, open): (Vec<Kind>, Vec<Kind>) = plain.into_iter().partition(is_refused);
        let (mut open, mut compressed) = (open.into_iter(), compressed.into_iter());
        second.extend(open.next().or_else(|| compressed.next()));
        third.extend(open);
        fourth.extend(refused);
        fifth.extend(compressed);
    }
    let Ways { plain, compressed } = Ways::open(first, &said);
    let all = plain.into_iter().chain(compressed).chain(second).chain(third).chain(fourth).chain(fifth);
    let mut seen = HashSet::new();
    all.filter(|kind| seen.insert(kind.clone())).take(MAX_KINDS).collect()
}

/// As what an instance of a kind can go, best first, without what the peer is known to refuse where it is known to take another.
struct Ways {
    /// As it is, and native.
    plain: Vec<Kind>,
    compressed: Vec<Kind>,
}

impl Ways {
    fn open(kind: &Kind, said: impl Fn(&Kind) -> Option<Said>) -> Self {
        let is_taken = |way: &Kind| said(way) == Some(Said::Takes);
        let mut plain: Vec<Kind> = std::iter::once(kind.clone()).chain(proposed(kind)).collect();
        let mut compressed: Vec<Kind> = match plain.iter().any(is_taken) {
            true => Vec::new(),
            false => proposed_besides(kind).collect(),
        };
        // What is known to be taken comes first.
        compressed.sort_by_key(|way| !is_taken(way));
        let is_open = |way: &Kind| said(way) != Some(Said::Refuses);
        // A compressed form that is taken is no reason not to ask again for a better one.
        if plain.iter().any(is_taken) {
            plain.retain(is_open);
        }
        if compressed.iter().any(is_taken) {
            compressed.retain(is_open);
        }
        Self { plain, compressed }
    }
}

#[cfg(test)]
mod tests {
    use model::{SopClassUid, TransferSyntaxUid};

    use super::*;

    const IMPLICIT: &str = "1.2.840.10008.1.2";
    const EXPLICIT: &str = "1.2.840.10008.1.2.1";
    const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
    const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
    const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
    const RLE: &str = "1.2.840.10008.1.2.5";
    const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
    const HTJ2K: &str = "1.2.840.10008.1.2.4.201";
    const VIDEO: &str = "1.2.840.10008.1.2.4.102";

    fn kind(class: &str, syntax: &str) -> Kind {
        (SopClassUid::lenient(class).unwrap(), TransferSyntaxUid::lenient(syntax).unwrap())
    }

    /// What is proposed for these kinds to a peer that is known to take and to refuse so much, by class and transfer syntax.
    fn check(
        kinds: &[(&str, &str)],
        takes: &[(&str, &str)],
        refuses: &[(&str, &str)],
        expected: &[(&str, &str)],
    ) {
        let kinds: Vec<Kind> = kinds.iter().map(|(class, syntax)| kind(class, syntax)).collect();
        let has =
            |list: &[(&str, &str)], (class, syntax): &Kind| list.contains(&(class.as_str(), syntax.as_str()));
        let proposed = proposal(&kinds, |kind| match (has(takes, kind), has(refuses, kind)) {
            (true, _) => Some(Said::Takes),
            (_, true) => Some(Said::Refuses),
            (false, false) => None,
        });
        let proposed: Vec<_> =
            proposed.iter().map(|(class, syntax)| (class.as_str(), syntax.as_str())).collect();
        assert_eq!(proposed, expected);
    }

    #[test]
    fn a_stranger_is_asked_for_everything() {
        check(
            &[("CT", JPEG_LS), ("MR", JPEG_2000), ("MR", VIDEO)],
            &[],
            &[],
            &[
                ("CT", JPEG_LS),
                ("CT", EXPLICIT),
                ("CT", IMPLICIT),
                ("CT", JPEG_2000),
                ("CT", JPEG_LOSSLESS),
                ("CT", RLE),
                ("CT", DEFLATED),
                ("CT", HTJ2K),
                ("MR", JPEG_2000),
                ("MR", VIDEO),
                ("MR", EXPLICIT),
                ("MR", IMPLICIT),
                ("MR", JPEG_LS),
                ("MR", JPEG_LOSSLESS),
                ("MR", RLE),
                ("MR", DEFLATED),
                ("MR", HTJ2K),
            ],
        );
    }

    #[test]
    fn what_is_refused_is_left_out_where_another_form_is_taken() {
        check(
            &[("CT", JPEG_LS), ("MR", JPEG_2000)],
            &[("CT", EXPLICIT), ("MR", IMPLICIT)],
            &[("CT", JPEG_LS), ("MR", JPEG_2000), ("MR", EXPLICIT)],
            &[("CT", EXPLICIT), ("CT", IMPLICIT), ("MR", IMPLICIT)],
        );
    }

    #[test]
    fn what_is_refused_in_every_form_is_asked_for_last_but_for_what_is_to_go() {
        let mr = [JPEG_2000, EXPLICIT, IMPLICIT].map(|syntax| ("MR", syntax));
        let packed = [JPEG_LS, JPEG_LOSSLESS, RLE, DEFLATED, HTJ2K].map(|syntax| ("MR", syntax));
        let ct = [("CT", EXPLICIT), ("CT", IMPLICIT)];
        check(&[mr[0], ct[0]], &ct[..1], &mr, &[&mr[..], &packed, &ct].concat());
        let after = [&ct[..], &packed[..1], &mr, &packed[1..]].concat();
        check(&[ct[0], mr[0]], &ct[..1], &mr, &after);
        check(
            &[ct[0], mr[0], ("MR", VIDEO)],
            &ct[..1],
            &mr[..1],
            &[&ct[..], &[mr[1], ("MR", VIDEO), mr[2], mr[0]], &packed].concat(),
        );
    }

    #[test]
    fn what_is_taken_compressed_only_is_proposed_so() {
        let plain = [EXPLICIT, IMPLICIT].map(|syntax| ("CT", syntax));
        let taken = [("CT", RLE)];
        let unknown = [JPEG_2000, JPEG_LOSSLESS, DEFLATED, HTJ2K].map(|syntax| ("CT", syntax));
        let refused = [&plain[..], &[("CT", JPEG_LS)]].concat();
        check(&plain[..1], &taken, &refused, &[&plain[..], &taken, &unknown].concat());
        // Until it takes it native again.
        check(&plain[..1], &[&taken[..], &plain[1..]].concat(), &plain[..1], &plain[1..]);
    }

    #[test]
    fn where_room_is_short_only_the_first_has_compressed_forms() {
        let kinds: Vec<Kind> = (0..60).map(|n| kind(&format!("1.{n}"), EXPLICIT)).collect();
        let proposed = proposal(&kinds, |_| None);
        assert_eq!(proposed.len(), MAX_KINDS);
        for (n, (class, _)) in kinds.iter().enumerate() {
            for syntax in [EXPLICIT, IMPLICIT] {
                assert!(proposed.contains(&kind(class.as_str(), syntax)), "{class}");
            }
            assert_eq!(proposed.contains(&kind(class.as_str(), HTJ2K)), n == 0, "{class}");
        }
    }

    #[test]
    fn beyond_what_one_association_can_have_the_way_that_is_known_comes_first() {
        // Each class in JPEG 2000, which the peer refuses of every second one.
        let classes: Vec<String> = (0..100).map(|n| format!("1.{n}")).collect();
        let kinds: Vec<Kind> = classes.iter().map(|class| kind(class, JPEG_2000)).collect();
        let is_refused = |class: &SopClassUid| class.as_str()[2..].parse::<u32>().unwrap() % 2 == 0;
        let proposed = proposal(&kinds, |(class, syntax)| match (syntax.as_str(), is_refused(class)) {
            (JPEG_2000, true) => Some(Said::Refuses),
            (JPEG_2000, false) | (EXPLICIT, true) => Some(Said::Takes),
            (_, _) => None,
        });
        assert_eq!(proposed.len(), MAX_KINDS);
        for class in &classes {
            let syntax = if is_refused(&SopClassUid::lenient(class).unwrap()) { EXPLICIT } else { JPEG_2000 };
            assert!(proposed.contains(&kind(class, syntax)), "{class}");
        }
    }
}
