use std::slice;

use model::attributes::Attributes;
use model::query::{Query, Selection};
use model::{QueryRetrieveLevel, Uid};

use super::listing::{Held, Piece};
use super::port::Answer;
use super::rows::Sieve;

/// Takes anything as a row that an upstream archive gives to a query, and as one that says what it has of a retrieve. For fuzzing and
/// for tests.
///
/// # Panics
/// When what is made of the row is not what the query or the retrieve was about.
pub fn fuzz_row(query: &Query, selection: Option<&Selection>, row: &Attributes) {
    as_answer(query, row);
    let pieces = selection.map(Piece::of).unwrap_or_default();
    for piece in pieces {
        if let Some(held) = piece.held(row) {
            as_held(&piece, held, row);
        }
    }
}

fn as_answer(query: &Query, row: &Attributes) {
    let mut sieve = Sieve::new(query);
    let answer = || Answer { place: 0, attributes: row.clone(), bytes: 0, has_unknown_keys: false };
    assert!(query.elsewhere([]).is_met_by(&Attributes::new()), "what is not there is not held against it");
    let Some(one) = sieve.candidate(answer()) else { return };
    let ids = &one.row.ids;
    assert_eq!(ids.study.is_some(), query.level >= QueryRetrieveLevel::Study);
    assert_eq!(ids.series.is_some(), query.level >= QueryRetrieveLevel::Series);
    assert_eq!(ids.instance.is_some(), query.level >= QueryRetrieveLevel::Image);
    assert!(sieve.candidate(answer()).is_none(), "each is given once");
    assert_eq!(sieve.ours(slice::from_ref(&one)).level, query.level);
    let ours = one.row.clone();
    assert!(sieve.without(vec![one], &[ours]).is_empty(), "what we have is ours");
}

fn as_held(piece: &Piece, held: Held, row: &Attributes) {
    let scope = &held.scope;
    assert!(scope.study.is_valid() && scope.series.as_ref().is_none_or(Uid::is_valid));
    assert_eq!(scope.series.is_some(), piece.level >= QueryRetrieveLevel::Series);
    assert_eq!(scope.instance.is_some(), piece.level >= QueryRetrieveLevel::Image);
    assert_ne!(held.instances, Some(0), "what has nothing is not there");
    let named = piece.names();
    assert_eq!(piece.without(slice::from_ref(&held)).len(), named.saturating_sub(1), "it is one of those");
    if scope.instance.is_some() {
        return;
    }
    // What is asked next is inside of it, whatever the row says.
    let inside = Piece::inside(scope);
    if let Some(held) = inside.held(row) {
        assert_eq!(held.scope.study, scope.study);
        assert!(scope.series.is_none() || held.scope.series == scope.series);
    }
}
