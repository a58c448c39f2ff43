//! Pages, limits and offsets, also while instances come in.

use model::QueryRetrieveLevel::{Image, Patient, Series, Study};
use model::limits::PAGE_ROWS;

use super::*;

/// So many studies of one instance, on few dates.
async fn stored(studies: u32) -> Home {
    let home = Home::new();
    let mut tasks = tokio::task::JoinSet::new();
    for study in 1..=studies {
        let (archive, prepared) = (home.archive.clone(), dated(study).prepared(&home.archive));
        tasks.spawn(async move { archive.commit(prepared).await.unwrap() });
    }
    tasks.join_all().await;
    home
}

fn dated(study: u32) -> Sample {
    let date = if study.is_multiple_of(5) { String::new() } else { format!("2020010{}", study % 5) };
    Sample::new(study, 1, 1).with(DATE, &date).with(PATIENT_ID, &format!("P{study}"))
}

fn sorted(mut uids: Vec<String>) -> Vec<String> {
    uids.sort();
    uids
}

#[test]
fn pages_hold_every_row_once_and_in_order() {
    let studies = 2 * PAGE_ROWS + 7;
    run(async {
        let home = stored(studies).await;
        for level in [Study, Series, Image] {
            let uids = home.uids(&query(level)).await;
            assert_eq!(uids.len(), usize::try_from(studies).unwrap());
            let unique = sorted(uids.clone());
            assert!(unique.windows(2).all(|pair| pair[0] != pair[1]));
            let page = home.archive.find(&query(level), None).await.unwrap();
            assert_eq!(page.rows.len(), usize::try_from(PAGE_ROWS).unwrap());
        }
        assert_eq!(home.all(&query(Patient)).await.len(), usize::try_from(studies).unwrap());
        let mut by_date = query(Study);
        by_date.include.tags.insert(DATE);
        let rows = home.all(&by_date).await;
        let dates: Vec<&str> =
            rows.iter().map(|row| row.attributes.first(DATE).unwrap_or_default()).collect();
        assert!(dates.is_sorted_by(|one, two| one >= two));
        let dated = home.uids(&query_for(Study, &[(DATE, "20200102-20200103")])).await;
        let of_dates = (1..=studies).filter(|study| [2, 3].contains(&(study % 5))).count();
        assert_eq!(dated.len(), of_dates);
    });
}

#[test]
fn rows_that_come_in_between_shift_nothing() {
    let studies = PAGE_ROWS + 50;
    run(async {
        let home = stored(studies).await;
        for level in [Study, Series, Image] {
            let before = home.uids(&query(level)).await;
            let mut uids = Vec::new();
            let first = home.archive.find(&query(level), None).await.unwrap();
            uids.extend(first.rows);
            let next = 10_000 * (level as u32 + 1);
            for study in next..next + 20 {
                home.store_new(&dated(study)).await;
            }
            let second = home.archive.find(&query(level), first.next).await.unwrap();
            uids.extend(second.rows);
            let uids: Vec<String> = uids
                .iter()
                .map(|row| {
                    row.ids.instance.as_ref().map(ToString::to_string).unwrap_or_else(|| {
                        row.ids
                            .series
                            .as_ref()
                            .map_or_else(|| row.ids.study.as_ref().unwrap().to_string(), ToString::to_string)
                    })
                })
                .collect();
            let old: Vec<String> = uids.into_iter().filter(|uid| before.contains(uid)).collect();
            assert_eq!(old, before[..old.len()]);
            assert!(old.len() >= usize::try_from(PAGE_ROWS).unwrap());
        }
    });
}

#[test]
fn limit_and_offset_count_over_all_pages() {
    let studies = 2 * PAGE_ROWS + 7;
    run(async {
        let home = stored(studies).await;
        let all = home.uids(&query(Study)).await;
        let total = all.len();
        for (limit, offset) in [
            (Some(0), 0),
            (Some(1), 0),
            (Some(PAGE_ROWS), 0),
            (Some(PAGE_ROWS + 1), 0),
            (Some(studies), 0),
            (Some(10_000), 0),
            (None, 3),
            (None, 10_000),
            (Some(PAGE_ROWS + 10), PAGE_ROWS - 5),
            (Some(10), studies - 4),
        ] {
            let uids = home.uids(&Query { limit, offset, ..query(Study) }).await;
            let begin = usize::try_from(offset).unwrap().min(total);
            let end = limit.map_or(total, |limit| (begin + usize::try_from(limit).unwrap()).min(total));
            assert_eq!(uids, all[begin..end], "limit {limit:?} offset {offset}");
        }
        let exact = home.archive.find(&Query { limit: Some(PAGE_ROWS), ..query(Study) }, None).await.unwrap();
        assert!(exact.next.is_none());
    });
}

#[test]
fn a_last_page_that_is_full_is_the_last() {
    run(async {
        let home = stored(PAGE_ROWS).await;
        for level in [Patient, Study, Series, Image] {
            let page = home.archive.find(&query(level), None).await.unwrap();
            assert_eq!((page.rows.len(), page.next.is_none()), (usize::try_from(PAGE_ROWS).unwrap(), true));
        }
        let study =
            Scope { study: StudyInstanceUid::lenient("2.25.1").unwrap(), series: None, instance: None };
        assert!(home.archive.instances(&study, None).await.unwrap().next.is_none());
    });
}

#[test]
fn pages_of_stored_json_are_bounded_in_bytes() {
    run(async {
        let home = Home::new();
        let long = "x".repeat(60_000);
        for n in 1..=100 {
            home.store_new(&Sample::new(1, 1, n).with(Tag(0x0020, 0x4000), &long)).await;
        }
        let mut all = query(Image);
        all.include.all = true;
        assert!(home.archive.find(&all, None).await.unwrap().rows.len() < 100);
        assert_eq!(home.uids(&all).await.len(), 100);
        all.limit = Some(90);
        assert_eq!(home.uids(&all).await.len(), 90);
        all.include.most_stored_bytes = Some(70_000);
        let page = home.archive.find(&all, None).await.unwrap();
        assert_eq!(page.rows.len(), 2, "as much as a row may have");
        let stored = page.rows[0].json.as_deref().unwrap();
        assert!(stored.len() > 60_000);
        all.include.most_stored_bytes = Some(50_000);
        let page = home.archive.find(&all, None).await.unwrap();
        assert_eq!(page.rows[0].json.as_deref().unwrap(), br#"{"00204000":{"vr":"LT"}}"#);
        assert_eq!(home.uids(&all).await.len(), 90);
    });
}
