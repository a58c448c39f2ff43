use archive::Support;
use model::{QueryRetrieveLevel, limits, vr};

use super::table::{Table, table};

pub(super) fn services() -> String {
    format!(
        "## 4 Service Details\n\n\
         ### 4.1 Verification\n\nC-ECHO is answered with success whenever an association stands.\n\n\
         ### 4.2 Storage\n\n\
         Level 2 (PS3.4 §B.4.1): every attribute is kept, private ones too; no element is coerced, and digital signatures stay valid. \
         The same content under a known SOP Instance UID is a success and is kept once; other content is kept as a further version, \
         and queries and retrieves go on with the first. Data sets and elements are not validated against their IODs: an object needs \
         only its UIDs, and to be readable from end to end.\n\n\
         As SCU, an object goes out as it is kept, in a transfer syntax that the peer took for its SOP Class; where that is none, it \
         is transcoded (Annex B). What a configured peer took and refused is remembered: what it refuses is left out of the next \
         proposals, for a day at most, where it takes the same object in another form, and comes last where it does not. What an answer means for the \
         delivery:\n\n{}\n\
         ### 4.3 Query\n\n{}\n\
         ### 4.4 Retrieval\n\n{}\n\
         ### 4.5 Storage Commitment\n\n{}\n\
         ### 4.6 Statuses that are answered with as SCP\n\n{}\n\
         A request without a service of ours on its presentation context is answered with 0122H, an unknown one with 0211H.\n\n\
         ### 4.7 DICOMweb\n\n{}",
        store_answers(),
        query(),
        retrieval(),
        commitment(),
        statuses(),
        dicomweb(),
    )
}

fn store_answers() -> String {
    let mut rows = Table::new(&["status", "the delivery is", "meaning"]);
    for (first, last, verdict) in dest::store_verdicts() {
        let codes = if first == last { first.to_string() } else { format!("{first} to {last}") };
        let meanings = [first, last].map(net::scu::store_meaning);
        let meaning = if meanings[0] == meanings[1] { meanings[0].to_owned() } else { meanings.join(", ") };
        rows.row(&[&codes, verdict, &meaning]);
    }
    rows.row(&["others", "tried again", ""]);
    rows.finish()
}

fn query() -> String {
    let mut keys = Table::new(&["level", "attribute", "tag", "VR", "key", "matching"]);
    for (level, tag, vr) in archive::indexed() {
        let keyword = vr::keyword(tag).unwrap_or_default();
        let matching = match archive::support(level, tag) {
            _ if keyword == "TimezoneOffsetFromUTC" => "the zone of the keys, where that is negotiated",
            Support::Match => matching(vr),
            Support::Return | Support::No => "returned only",
        };
        keys.row(&[
            level.keyword(),
            keyword,
            &tag.to_string(),
            &format!("{vr:?}"),
            kind(level, keyword),
            matching,
        ]);
    }
    format!(
        "Patient Root and Study Root, at the levels PATIENT, STUDY, SERIES and IMAGE. Keys are matched as PS3.4 §C.2.2.2 says; an \
         unknown key is ignored, and the pending status is FF01H then. Person names match without regard to case and accents. Unique \
         keys of the levels above may be missing. Any other attribute that is stored is a return key, at the level of its module; \
         Retrieve AE Title is ours. A response is in the character set of its request where that can say it, else in UTF-8.\n\n{}\n\
         Inside sequences, one item must meet all keys; the first {} items are indexed. The anatomic regions of a study are \
         those of its instances (Anatomic Region Sequence, outside of functional groups):\n\n{}\n\
         SOP Class Extended Negotiation grants what is asked for of these (PS3.4 §C.5.1.1), and relational retrieval; as SCU `gantry find`, \
         `gantry move` and `gantry get` ask for them where that is wanted:\n\n{}\n\
         In a relational query, keys of the levels below its own match, too, with all that the tables above and the granted mechanisms have: \
         a patient or study matches when one series, and one instance of it, meets all keys of these levels together. Such a key is \
         returned with zero length. Else keys of the levels below are ignored as unknown ones.\n\n\
         Identifiers may have {} KiB and {} keys, and a key {} patterns and ranges to choose from, a name {} words to be found by sound, all keys {} \
         of these; a response is made for each match as it is found. A search that takes longer than {} s for {} matches ends with \
         A700H.\n\n\
         Where upstream archives are configured, they are asked as SCU for the same at the same time, without extended negotiation, so not for keys of the levels below, in \
         Patient Root at the level PATIENT and in Study Root else. What they have and we do not, by the unique key of the level, comes \
         behind our own matches, up to {} of them, with Instance Availability NEARLINE, and with two values of Retrieve AE Title: ours, \
         and that of the archive. One that fails or is late does not change the final status: it is named in Error Comment (0000,0902) \
         beside Success. Rows that do not meet a key which it ignored are left out; where it says FF01H, or a row does not tell whether \
         it meets a key, as those of the levels below, the pending status is FF01H. \
         Who asks is not asked, and nobody is once a query has come through {} archives of ours.\n",
        keys.finish(),
        limits::INDEXED_ITEMS,
        keys_within(),
        mechanisms(),
        limits::IDENTIFIER_BYTES >> 10,
        limits::IDENTIFIER_KEYS,
        limits::KEY_ALTERNATIVES,
        limits::FUZZY_WORDS,
        limits::QUERY_ALTERNATIVES,
        limits::READ_TIMEOUT.as_secs(),
        limits::PAGE_ROWS,
        limits::UPSTREAM_ROWS,
        limits::UPSTREAM_HOPS,
    )
}

fn keys_within() -> String {
    let mut keys = Table::new(&["level", "sequence", "attribute", "tag", "VR", "matching"]);
    for (level, sequence, tag, vr) in archive::indexed_within() {
        let [sequence, attribute] = [sequence, tag].map(|tag| vr::keyword(tag).unwrap_or_default());
        let (tag, of_vr) = (tag.to_string(), format!("{vr:?}"));
        keys.row(&[level.keyword(), sequence, attribute, &tag, &of_vr, matching(vr)]);
    }
    keys.finish()
}

/// In the order of PS3.4 Table C.5-1.
fn mechanisms() -> String {
    let granted = net::query_mechanisms();
    let answer = |is_granted| if is_granted { "granted" } else { "not granted" };
    table(
        ["byte", "mechanism", "answer"],
        &[
            ["1", "relational queries", answer(granted.relational)],
            ["2", "combined date-time matching", answer(granted.combined_datetime)],
            ["3", "fuzzy semantic matching of person names", answer(granted.fuzzy_names)],
            ["4", "time zone adjustment", answer(granted.timezone)],
            ["5", "Query/Retrieve View", answer(false)],
            ["6", "empty value matching", answer(granted.empty_values)],
            ["7", "multiple value matching", answer(granted.multiple_values)],
        ],
    )
}

/// PS3.4 Tables C.6-1 to C.6-5.
fn kind(level: QueryRetrieveLevel, keyword: &str) -> &'static str {
    let (unique, required): (&str, &[&str]) = match level {
        QueryRetrieveLevel::Patient => ("PatientID", &["PatientName"]),
        QueryRetrieveLevel::Study => {
            ("StudyInstanceUID", &["StudyDate", "StudyTime", "AccessionNumber", "StudyID"])
        }
        QueryRetrieveLevel::Series => ("SeriesInstanceUID", &["Modality", "SeriesNumber"]),
        QueryRetrieveLevel::Image => ("SOPInstanceUID", &["InstanceNumber"]),
    };
    match keyword {
        _ if keyword == unique => "unique",
        _ if required.contains(&keyword) => "required",
        _ => "optional",
    }
}

fn matching(vr: model::Vr) -> &'static str {
    use model::Vr;
    match vr {
        Vr::UI => "single value, list of UID",
        Vr::DA | Vr::TM | Vr::DT => "single value, range",
        Vr::PN => "single value, wildcard, by component group",
        Vr::IS | Vr::DS | Vr::US => "single value",
        _ => "single value, wildcard",
    }
}

fn retrieval() -> String {
    format!(
        "C-MOVE goes to any configured peer, by its AE title, over as many associations as `move_associations` says; C-GET over the \
         association that it was asked on, on presentation contexts for which the requestor took the SCP role. What the other end does \
         not take as it is stored is transcoded (Annex B): with C-MOVE into one of those that are proposed beside the stored transfer \
         syntax (5.4), native before compressed, with C-GET into the best that a context has. Both take unique keys \
         with lists of UIDs, at every level of both models, up to {} series or named instances. One sub-operation that fails is \
         counted and listed in Failed SOP Instance UID List (up to {} bytes), and the rest goes on. C-CANCEL ends both.\n\n\
         What an upstream archive has of it and we lack is fetched first, by C-GET, or by C-MOVE to our own AE title, while Pending \
         responses go on; up to {} studies, series or named instances are looked for; where \
         more are named it is not asked, and counts as one that does not answer. What it has and does not give is a failed \
         sub-operation; A701H says that we have nothing and it does not answer. Where we have something, one that does not answer is \
         named in Error Comment beside Success. Unique keys sent to it are lists of up to {} UIDs, and single values to an archive that \
         does not know lists. A retrieve from it ends when nothing new comes of it for {} times its `fetch_timeout`, whatever is pending.\n",
        limits::SELECTED_KEYS,
        limits::FAILED_UIDS_BYTES,
        limits::UPSTREAM_PIECES,
        limits::UPSTREAM_BATCH,
        limits::RETRIEVE_STANDSTILL,
    )
}

fn commitment() -> String {
    format!(
        "Push model, up to {} instances in a request. An instance is committed to when it is in the index with that SOP Class and its \
         file is there in full length. The report is sent over the association of its request, and over one of ours, with the SCP \
         role proposed, where that has ended or does not take it; it is tried again, over restarts too, until it is taken or \
         `report_retry` gives up. Retrieve AE Title is that of this AE; storage media are not told.\n\n\
         As SCU, objects that a destination with `verify = \"commitment\"` took are asked about, and the one that `gantry doctor \
         --commitment` stored; the report is taken over the association of the request and over one that the SCP opens.\n",
        limits::COMMITMENT_REFERENCES,
    )
}

fn statuses() -> String {
    let mut rows = Table::new(&["service", "status", "meaning"]);
    for (service, status, meaning) in net::statuses() {
        rows.row(&[service, &status.to_string(), meaning]);
    }
    rows.finish()
}

fn dicomweb() -> String {
    let mut resources = Table::new(&["resource", "methods"]);
    for path in web::dicomweb_paths() {
        resources.row(&[&format!("`{path}`"), methods(path)]);
    }
    format!(
        "{}\n{}\n\
         Searches match as C-FIND does; `limit`, `offset`, `includefield`, `fuzzymatching`, `emptyvaluematching`, \
         `multiplevaluematching` and `TimezoneOffsetFromUTC` are taken. Retrieve AE Title is returned where `includefield` \
         asks for it, with that of the upstream archive behind ours for what only it has. A store request may have {} parts, and answers \
         200, 202 or 409 with the Store Instances Response Module (PS3.18 §I.2).\n",
        resources.finish(),
        table(
            ["transaction", "media types"],
            &[
                ["search, metadata", "`application/dicom+json`"],
                [
                    "retrieve",
                    "`multipart/related; type=\"application/dicom\"`, a single object also as `application/dicom`, each with \
                  `transfer-syntax` where Annex B has an encoder"
                ],
                [
                    "frames, bulk data",
                    "`application/octet-stream`, or the media type of the transfer syntax (PS3.18 Table 8.7.3-5), single \
                  and `multipart/related`"
                ],
                ["store", "`multipart/related; type=\"application/dicom\"`"],
            ]
        ),
        limits::STOW_PARTS,
    )
}

fn methods(path: &str) -> &'static str {
    match path.rsplit('/').next() {
        Some("studies" | "{study}") => "GET, POST",
        _ => "GET",
    }
}
