//! For which kinds an association is proposed, with what the peer said last time in mind.

use std::collections::HashSet;

use pipeline::peers::Said;

use super::alternatives::{Kind, proposed, proposed_at_last};
use super::store::MAX_KINDS;

/// What a new association is proposed for: this kind, those that wait, and those that were sent before; and what these can be
/// transcoded into. As many as fit:
///
/// 1. what the first can go as, because it is to go;
/// 2. of each other what it goes as by all that is known: as it is, or where the peer refuses that as what it takes;
/// 3. what else they can go as, in case that the peer takes them so no more;
/// 4. what the peer refuses.
///
/// What the peer refuses is left out where it takes the same in another form: it is asked again when it no longer does, and when what is
/// remembered no longer holds. Where it refuses the first as it is and native, it is asked for it compressed as well; where it takes one
/// of the others only so, that is proposed for it.
pub fn proposal(kinds: &[Kind], said: impl Fn(&Kind) -> Option<Said>) -> Vec<Kind> {
    let Some((first, others)) = kinds.split_first() else { return Vec::new() };
    let (mut second, mut third, mut fourth) = (Vec::new(), Vec::new(), Vec::new());
    for kind in others {
        let is_taken = |kind: &Kind| said(kind) == Some(Said::Takes);
        let is_refused = |kind: &Kind| said(kind) == Some(Said::Refuses);
        let packed = packed_ways(kind, &said).into_iter().filter(is_taken);
        let ways = packed.chain(open_ways(kind, &said));
        let (refused, open): (Vec<Kind>, Vec<Kind>) = ways.partition(is_refused);
        let mut open = open.into_iter();
        second.extend(open.next());
        third.extend(open);
        fourth.extend(refused);
    }
    let ways = open_ways(first, &said).into_iter().chain(packed_ways(first, &said));
    let all = ways.chain(second).chain(third).chain(fourth);
    let mut seen = HashSet::new();
    all.filter(|kind| seen.insert(kind.clone())).take(MAX_KINDS).collect()
}

/// As what an instance of a kind can go as it is or native, best first.
pub(super) fn plain_ways(kind: &Kind) -> impl Iterator<Item = Kind> {
    std::iter::once(kind.clone()).chain(proposed(kind))
}

/// The same without what the peer is known to refuse, where it is known to take another.
fn open_ways(kind: &Kind, said: impl Fn(&Kind) -> Option<Said>) -> Vec<Kind> {
    without_refused(plain_ways(kind).collect(), said)
}

/// As what it can go compressed, where the peer is known to refuse all else.
fn packed_ways(kind: &Kind, said: impl Fn(&Kind) -> Option<Said>) -> Vec<Kind> {
    if plain_ways(kind).any(|way| said(&way) != Some(Said::Refuses)) {
        return Vec::new();
    }
    without_refused(proposed_at_last(kind).collect(), said)
}

fn without_refused(ways: Vec<Kind>, said: impl Fn(&Kind) -> Option<Said>) -> Vec<Kind> {
    let is_taken = ways.iter().any(|way| said(way) == Some(Said::Takes));
    ways.into_iter().filter(|way| !is_taken || said(way) != Some(Said::Refuses)).collect()
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
                ("MR", JPEG_2000),
                ("MR", VIDEO),
                ("MR", EXPLICIT),
                ("MR", IMPLICIT),
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
        let mr = [("MR", JPEG_2000), ("MR", EXPLICIT), ("MR", IMPLICIT)];
        let ct = [("CT", EXPLICIT), ("CT", IMPLICIT)];
        let packed = [JPEG_LS, JPEG_LOSSLESS, RLE, HTJ2K].map(|syntax| ("MR", syntax));
        check(&[mr[0], ct[0]], &[], &mr, &[&mr[..], &packed, &ct].concat());
        check(&[ct[0], mr[0]], &[], &mr, &[ct[0], ct[1], mr[0], mr[1], mr[2]]);
        check(
            &[ct[0], mr[0], ("MR", VIDEO)],
            &[],
            &mr[..1],
            &[ct[0], ct[1], mr[1], ("MR", VIDEO), mr[2], mr[0]],
        );
    }

    #[test]
    fn what_is_taken_compressed_only_is_proposed_so_until_it_is_taken_otherwise() {
        let plain = [EXPLICIT, IMPLICIT].map(|syntax| ("CT", syntax));
        let taken = [("CT", RLE)];
        let unknown = [JPEG_2000, JPEG_LOSSLESS, HTJ2K].map(|syntax| ("CT", syntax));
        let refused = [&plain[..], &[("CT", JPEG_LS)]].concat();
        // It is asked again for what says more.
        let expected = [&plain[..], &unknown[..2], &taken, &unknown[2..]].concat();
        check(&plain[..1], &taken, &refused, &expected);
        check(&[("MR", VIDEO), plain[0]], &taken, &refused, &[&[("MR", VIDEO)], &taken[..], &plain].concat());
        check(&plain[..1], &[&taken[..], &plain[1..]].concat(), &plain[..1], &plain[1..]);
        // It has never been asked for it compressed.
        check(&[("MR", VIDEO), plain[0]], &[], &plain, &[&[("MR", VIDEO)], &plain[..]].concat());
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
