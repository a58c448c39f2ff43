use super::*;
use model::QueryRetrieveLevel::*;
use std::time::Instant;

fn ct(study: u32, series: u32, n: u32) -> Sample {
    let mut s = Sample::new(study, series, n)
        .with(PATIENT_ID, &format!("P{:06}", study / 2))
        .with(NAME, &format!("{}^{}", NAMES[(study % 997) as usize % NAMES.len()], study % 1000))
        .with(DATE, &format!("{}", 20100101 + (study * 7919 % 12) * 100 + study % 28 + 10000 * (study % 15)))
        .with(TIME, "101530.5")
        .with(ACCESSION, &format!("ACC{study}"))
        .with(MODALITY, ["CT", "MR", "US", "CR"][(study % 4) as usize])
        .with(Tag(0x0028, 0x0010), "512")
        .with(Tag(0x0028, 0x0011), "512")
        .with(Tag(0x0028, 0x0100), "16")
        .with(Tag(0x0008, 0x1030), "CT of the chest")
        .with(Tag(0x0008, 0x103e), "axial");
    for e in 0..70u16 {
        s = s.with(Tag(0x0018, 0x9000 + e), &format!("value {e} {}", if e % 10 == 0 { n } else { 1 }));
    }
    s
}
const NAMES: &[&str] = &[
    "smith",
    "jones",
    "doe",
    "müller",
    "garcia",
    "yamada",
    "novak",
    "kowalski",
    "andersson",
    "dubois",
    "rossi",
    "ivanov",
];

#[test]
#[ignore]
fn measure() {
    let base = std::env::var("MEASURE_DIR").unwrap_or("/dev/shm".into());
    let n_studies: u32 = std::env::var("STUDIES").ok().and_then(|s| s.parse().ok()).unwrap_or(100_000);
    let per: u32 = std::env::var("PER").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    let folder = tempfile::tempdir_in(base).unwrap();
    let telemetry = Telemetry::new();
    let archive = Archive::open(config(folder.path()), telemetry.clone()).unwrap();
    let home = Home { folder, archive, telemetry };
    run(async {
        // single commit latency
        let mut spent = Vec::new();
        let mut prep = std::time::Duration::ZERO;
        for i in 0..500 {
            let s = ct(900_000, 1, i);
            let t = Instant::now();
            let p = s.prepared(&home.archive);
            prep += t.elapsed();
            let t = Instant::now();
            home.archive.commit(p).await.unwrap();
            spent.push(t.elapsed());
        }
        spent.sort();
        eprintln!(
            "single commit p50 {:?} p99 {:?}; file+scan+prepare avg {:?}",
            spent[250],
            spent[495],
            prep / 500
        );
        // prepare only
        let s = ct(900_000, 1, 9999);
        let ds = s.data_set();
        let header = scan(form(EXPLICIT_VR_LITTLE_ENDIAN), &ds).unwrap();
        let dictionaries = crate::metadata::Dictionaries::new();
        for with in [false, true] {
            let mut json = Vec::new();
            model::json::write_header(&header, "/x", &mut json);
            if with {
                dictionaries.insert(crate::metadata::SeriesKey::of(&s.ids()), json.clone());
            }
            let t = Instant::now();
            for _ in 0..1000 {
                let mut json = Vec::new();
                model::json::write_header(&header, "/x", &mut json);
                std::hint::black_box(&json);
            }
            let j = t.elapsed() / 1000;
            let t = Instant::now();
            let d = dictionaries.of(&crate::metadata::SeriesKey::of(&s.ids()));
            let mut len = 0;
            for _ in 0..1000 {
                len = crate::metadata::pack(&json, d.as_deref()).bytes.len();
            }
            let z = t.elapsed() / 1000;
            let t = Instant::now();
            for _ in 0..1000 {
                std::hint::black_box(crate::rows::Values::from_header(&header, &s.ids().sop_class));
            }
            eprintln!(
                "dict {with}: json {} bytes {j:?}, pack {len} bytes {z:?}, rows {:?}",
                json.len(),
                t.elapsed() / 1000
            );
        }
    });
    // insert rate: direct through the batcher, files not written
    let t = Instant::now();
    let mut in_commit = std::time::Duration::ZERO;
    let Home { folder, archive, telemetry } = home;
    drop(archive);
    {
        let connection = crate::schema::open_writer(&folder.path().join("index.sqlite")).unwrap();
        let files = std::sync::Arc::new(crate::files::Files::open(folder.path()).unwrap());
        let dictionaries = std::sync::Arc::new(crate::metadata::Dictionaries::new());
        let shared = crate::writer::Shared {
            files: files.clone(),
            dictionaries: dictionaries.clone(),
            telemetry: telemetry.clone(),
        };
        let mut batcher = crate::batch::Batcher::new(&connection, &shared);
        let mut jobs = Vec::new();
        let mut replies = Vec::new();
        let mut total = 0u64;
        let mut order: Vec<u32> = (1..=n_studies).collect();
        let mut x = 12345u64;
        for i in (1..order.len()).rev() {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            order.swap(i, (x >> 33) as usize % (i + 1));
        }
        for (k, study) in order.iter().enumerate() {
            for i in 0..per {
                let s = ct(*study, 1 + i * 2 / per, i);
                let data_set = s.data_set();
                let file = files.spool(|_| Ok(())).unwrap().sync().unwrap();
                // leave no file
                std::fs::remove_file(file.path()).unwrap();
                let prepared = Prepared::new(
                    NewInstance {
                        ids: s.ids(),
                        transfer_syntax: TransferSyntaxUid::parse(EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
                        file,
                        data_offset: 0,
                        length: 5,
                        sha256: Sha256::digest(&data_set).into(),
                        header: scan(form(EXPLICIT_VR_LITTLE_ENDIAN), &data_set).unwrap(),
                        source: Source { door: Door::Dimse, calling_aet: None, address: None },
                    },
                    &dictionaries,
                );
                let (reply, rx) = tokio::sync::oneshot::channel();
                jobs.push(crate::batch::Job { instance: prepared, reply });
                replies.push(rx);
                total += 1;
                if jobs.len() == 128 {
                    let t = Instant::now();
                    batcher.commit(std::mem::take(&mut jobs));
                    in_commit += t.elapsed();
                    replies.clear();
                }
            }
            if k % 10000 == 9999 {
                eprintln!(
                    "{total} instances {:?}, in commit {:?} = {:.0}/s",
                    t.elapsed(),
                    in_commit,
                    total as f64 / in_commit.as_secs_f64()
                );
            }
        }
        batcher.commit(jobs);
        eprintln!(
            "total {total} in commit {in_commit:?} = {:.0}/s; index {} MB",
            total as f64 / in_commit.as_secs_f64(),
            std::fs::metadata(folder.path().join("index.sqlite")).unwrap().len() >> 20
        );
    }
    connection_exec(&folder);
    let t = Instant::now();
    let archive = Archive::open(config(folder.path()), telemetry.clone()).unwrap();
    eprintln!("open {:?}", t.elapsed());
    let home = Home { folder, archive, telemetry };
    run(async {
        // 2000-instance series
        for i in 0..2000 {
            home.archive.commit(ct(950_000, 1, i).prepared(&home.archive)).await.unwrap();
        }
        let scope =
            Scope { study: StudyInstanceUid::lenient("2.25.950000").unwrap(), series: None, instance: None };
        for _ in 0..3 {
            let t = Instant::now();
            let (mut n, mut bytes, mut next) = (0, 0, None);
            loop {
                let page = home.archive.metadata(&scope, next).await.unwrap();
                n += page.rows.len();
                bytes += page.rows.iter().map(Vec::len).sum::<usize>();
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            eprintln!("metadata {n} instances {bytes} bytes {:?}", t.elapsed());
            let t = Instant::now();
            let (mut n, mut next) = (0, None);
            loop {
                let page = home.archive.instances(&scope, next).await.unwrap();
                n += page.rows.len();
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
            eprintln!("instances {n} {:?}", t.elapsed());
        }
        let cases: Vec<(model::QueryRetrieveLevel, Vec<(Tag, &str)>)> = vec![
            (Study, vec![]),
            (Study, vec![(PATIENT_ID, "P000777")]),
            (Study, vec![(NAME, "smith*")]),
            (Study, vec![(NAME, "smith^12*")]),
            (Study, vec![(NAME, "*mith^77")]),
            (Study, vec![(NAME, "*nobody*")]),
            (Study, vec![(NAME, "nobody*")]),
            (Study, vec![(DATE, "20150101-20151231")]),
            (Study, vec![(DATE, "20150101-20150110"), (MODALITIES, "MR")]),
            (Study, vec![(MODALITIES, "US")]),
            (Study, vec![(MODALITIES, "PT")]),
            (Study, vec![(ACCESSION, "ACC777")]),
            (Study, vec![(ACCESSION, "ACC77*")]),
            (Study, vec![(Tag(0x0008, 0x1030), "*nothing*")]),
            (Study, vec![(NAME, "*mith^77"), (MODALITIES, "CT"), (DATE, "20100101-")]),
            (Patient, vec![(NAME, "smith*")]),
            (Series, vec![(STUDY, "2.25.777")]),
            (Series, vec![(MODALITY, "US")]),
            (Series, vec![]),
            (Series, vec![(DATE, "20150101-20150102")]),
            (Image, vec![(STUDY, "2.25.950000")]),
            (Image, vec![]),
            (Image, vec![(INSTANCE, "2.25.777.1.1")]),
            (Image, vec![(PATIENT_ID, "P000777")]),
        ];
        for (level, keys) in cases {
            let mut q = query_for(level, &keys);
            q.include.defaults = true;
            q.limit = Some(100);
            let mut times = Vec::new();
            let mut n = 0;
            for _ in 0..5 {
                let t = Instant::now();
                n = home.all(&q).await.len();
                times.push(t.elapsed());
            }
            eprintln!(
                "{level:?} {keys:?}: {n} rows first {:?} best {:?}",
                times[0],
                times.iter().min().unwrap()
            );
        }
        let mut q = query(Study);
        q.include.defaults = true;
        let t = Instant::now();
        let n = home.all(&q).await.len();
        eprintln!("all {n} studies {:?}", t.elapsed());
        let t = Instant::now();
        let n = home.all(&query(Image)).await.len();
        eprintln!("all {n} instances {:?}", t.elapsed());
        let t = Instant::now();
        home.archive.overview().await.unwrap();
        eprintln!("overview {:?}", t.elapsed());
    });
    eprintln!(
        "rss {}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find(|l| l.starts_with("VmRSS"))
            .unwrap()
    );
}
fn connection_exec(folder: &TempDir) {
    let c = Connection::open(folder.path().join("index.sqlite")).unwrap();
    c.execute("DELETE FROM open_hour", []).unwrap();
}

fn rss() -> String { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmRSS")).unwrap().to_owned() }

#[test]
#[ignore]
fn small() {
    let base = std::env::var("MEASURE_DIR").unwrap_or("/dev/shm".into());
    eprintln!("{}", rss());
    let folder = tempfile::tempdir_in(base).unwrap();
    let telemetry = Telemetry::new();
    let archive = Archive::open(config(folder.path()), telemetry.clone()).unwrap();
    let home = Home { folder, archive, telemetry };
    eprintln!("open {}", rss());
    let s = ct(1, 1, 1);
    let header = scan(form(EXPLICIT_VR_LITTLE_ENDIAN), &s.data_set()).unwrap();
    let mut json = Vec::new(); model::json::write_header(&header, "/x", &mut json);
    let many: Vec<_> = (0..200).map(|_| { let d = crate::metadata::Dictionary::new(json.clone()); crate::metadata::pack(&json, Some(&d)); d }).collect();
    eprintln!("200 dictionaries {} {}", many.len(), rss());
    drop(many);
    run(async {
        for width in [1usize, 4, 16] {
            let per = 4000 / width;
            let prepared: Vec<Vec<_>> = (0..width).map(|w| (0..per).map(|i| ct(10 + w as u32 + 100 * width as u32, 1, i as u32).prepared(&home.archive)).collect()).collect();
            let t = Instant::now();
            let mut set = tokio::task::JoinSet::new();
            for list in prepared { let a = home.archive.clone(); set.spawn(async move { for p in list { a.commit(p).await.unwrap(); } }); }
            set.join_all().await;
            eprintln!("width {width}: {:?} per instance, {:.0}/s", t.elapsed() / 4000, 4000.0 / t.elapsed().as_secs_f64());
        }
    });
    let (mut prepare, mut spool) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    for i in 0..100_000 { let t = Instant::now(); let mut f = home.archive.spool().unwrap(); f.append(b"x").unwrap(); let f = f.sync().unwrap(); spool += t.elapsed();
        if i % 100_000 == 0 { prepare += t.elapsed(); }
        std::mem::forget(f); }
    eprintln!("spool {:?} {prepare:?}", spool / 100_000);
    let Home { folder, archive, telemetry } = home;
    drop(archive);
    let t = Instant::now();
    let archive = Archive::open(config(folder.path()), telemetry.clone()).unwrap();
    eprintln!("open with 12000 rows 100000 orphans {:?} {}", t.elapsed(), rss());
    let home = Home { folder, archive, telemetry };
    run(async { for i in 0..20000 { if i % 1000 == 0 { } home.archive.commit(ct(77, 1, i).prepared(&home.archive)).await.unwrap(); } });
    let Home { folder, archive, telemetry } = home;
    drop(archive);
    let t = Instant::now();
    let _archive = Archive::open(config(folder.path()), telemetry.clone()).unwrap();
    eprintln!("open with 32000 rows {:?}", t.elapsed());
}
