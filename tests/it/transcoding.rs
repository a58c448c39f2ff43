//! Objects in other transfer syntaxes: decoded and encoded by us, compared by pydicom with pylibjpeg and CharLS, and by DCMTK.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use model::part10::{self, Split};
use model::scan::scan;
use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, form};
use model::{SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};
use pixels::{Object, abilities, transcode};
use tempfile::TempDir;

use crate::harness::{Server, corpus, dcmtk, files_below, python, run, say};
use crate::routed::{State, dicom, everything_to};
use crate::sinks::{StoreScp, script};
use crate::synthetic::data_set_of;

/// What becomes of each public file that is not in Explicit VR Little Endian, when it is made so.
const VERDICTS: &str = "testdata/transcoding.tsv";
/// How often each transfer syntax is encoded from public files, what becomes of that here and elsewhere, and why it is not encoded.
const ENCODED: &str = "testdata/encoding.tsv";
/// Larger objects are left out where each is encoded several times.
const ENCODED_BYTES: u64 = 300 << 10;
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
/// JPEG XL, and HTJ2K: decoders round as they like.
const LOSSY: [&str; 2] = ["1.2.840.10008.1.2.4.112", "1.2.840.10008.1.2.4.203"];
const RLE: &str = "1.2.840.10008.1.2.5";

/// A copy of a file in another transfer syntax, or why there is none.
fn copy(file: &[u8], to: &str, path: &Path) -> Result<(), String> {
    let Split::Part10(meta) = part10::split(file, true) else { return Err("no DICOM file".to_owned()) };
    let from = meta.transfer_syntax.as_str();
    let header = scan(form(from), &file[meta.data_offset..]).map_err(|error| error.to_string())?;
    let data_offset = meta.data_offset as u64;
    let object = Object {
        bytes: &file,
        data_offset,
        length: file.len() as u64,
        transfer_syntax: from,
        header: &header,
    };
    let to = TransferSyntaxUid::lenient(to).unwrap();
    let class = meta.sop_class.unwrap_or(SopClassUid::lenient("1.2.840.10008.5.1.4.1.1.7").unwrap());
    let instance = meta.sop_instance.unwrap_or(SopInstanceUid::lenient("2.25.1").unwrap());
    let mut out = BufWriter::new(fs::File::create(path).unwrap());
    out.write_all(&part10::write((&class, &instance), &to, None)).unwrap();
    transcode(&object, &to, &mut out, &|| true).map_err(|error| error.to_string())?;
    let length = out.seek(SeekFrom::End(0)).unwrap();
    // What is in the syntax already is copied as it is.
    assert!(
        length.is_multiple_of(2) || from == to.as_str(),
        "{length} bytes from {from} to {to}: {}",
        path.display()
    );
    Ok(())
}

/// What independent decoders say of originals and copies.
pub(crate) fn compare(pairs: &[(PathBuf, PathBuf)]) -> BTreeMap<String, String> {
    let mut compared = python();
    compared.arg(script("pixels.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let folder = TempDir::new().unwrap();
    let list = folder.path().join("pairs");
    let lines = pairs.iter().map(|(original, copy)| format!("{}\t{}\n", original.display(), copy.display()));
    fs::write(&list, lines.collect::<String>()).unwrap();
    let output = compared.stdin(fs::File::open(&list).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let verdicts = text.lines().filter_map(|line| line.split_once('\t'));
    verdicts.map(|(path, verdict)| (path.to_owned(), verdict.to_owned())).collect()
}

#[test]
fn every_public_file_decodes_as_elsewhere_or_says_why_not() {
    let Some(corpus) = corpus() else { return };
    let root = corpus.join("files");
    let folder = TempDir::new().unwrap();
    let (mut verdicts, mut pairs) = (BTreeMap::new(), Vec::new());
    for (number, path) in files_below(&root).into_iter().enumerate() {
        let file = fs::read(&path).unwrap();
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let copied = folder.path().join(number.to_string());
        match part10::split(&file, true) {
            Split::Part10(meta) if meta.transfer_syntax.as_str() != EXPLICIT_VR_LITTLE_ENDIAN => {}
            _ => continue,
        }
        match copy(&file, EXPLICIT_VR_LITTLE_ENDIAN, &copied) {
            Ok(()) => pairs.push((path, copied)),
            Err(reason) => {
                verdicts.insert(name, format!("refused: {reason}"));
            }
        }
    }
    for (path, verdict) in compare(&pairs) {
        verdicts.insert(Path::new(&path).strip_prefix(&root).unwrap().display().to_string(), verdict);
    }
    let found: String = verdicts.iter().map(|(name, verdict)| format!("{name}\t{verdict}\n")).collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(VERDICTS);
    if std::env::var_os("GANTRY_UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    let changed: Vec<&str> =
        found.lines().filter(|line| !expected.lines().any(|known| known == *line)).collect();
    assert!(changed.is_empty(), "{VERDICTS} says otherwise:\n{}", changed.join("\n"));
    assert_eq!(found.lines().count(), expected.lines().count(), "{VERDICTS} names a file that is gone");
    let equal = found.lines().filter(|line| line.contains("\tequal")).count();
    let close = found.lines().filter(|line| line.contains("\twithin")).count();
    let refused = found.lines().filter(|line| line.contains("\trefused")).count();
    say(&format!("transcoding: {equal} files decode as elsewhere, {close} nearly, {refused} are refused"));
}

/// Of these transfer syntaxes there are few public files, or none.
#[test]
fn what_imagecodecs_encodes_decodes_here_as_there() {
    let (encoded, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (ok, printed) = run(python().arg(script("encoded.py")).arg(encoded.path()));
    assert!(ok, "{printed}");
    let pairs = files_below(encoded.path()).into_iter().map(|path| {
        let copied = folder.path().join(path.file_name().unwrap());
        copy(&fs::read(&path).unwrap(), EXPLICIT_VR_LITTLE_ENDIAN, &copied)
            .unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
        (path, copied)
    });
    let verdicts = compare(&pairs.collect::<Vec<_>>());
    assert_eq!(verdicts.len(), 20);
    for (path, verdict) in &verdicts {
        let is_lossy = LOSSY.iter().any(|syntax| path.contains(syntax));
        let expected = if is_lossy { &["equal", "within 1 "][..] } else { &["equal"] };
        assert!(expected.iter().any(|start| verdict.starts_with(start)), "{verdicts:#?}");
    }
}

#[test]
fn what_is_encoded_decodes_elsewhere_to_the_same_pixels() {
    let Some(corpus) = corpus() else { return };
    let targets = abilities().iter().filter(|ability| ability.encoder.is_some());
    let targets: Vec<_> =
        targets.map(|ability| ability.uid).filter(|uid| *uid != EXPLICIT_VR_LITTLE_ENDIAN).collect();
    let folder = TempDir::new().unwrap();
    // How often each target came out so.
    let mut outcomes: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut copies = Vec::new();
    for (number, path) in files_below(&corpus.join("files")).into_iter().enumerate() {
        let file = fs::read(&path).unwrap();
        if file.len() as u64 > ENCODED_BYTES {
            continue;
        }
        let number = format!("{number}-{}", path.file_name().unwrap().display());
        let native = folder.path().join(format!("{number}-native"));
        if copy(&file, EXPLICIT_VR_LITTLE_ENDIAN, &native).is_err() {
            continue;
        }
        let native_file = fs::read(&native).unwrap();
        // Damaged at its end, and stays so.
        if !native_file.len().is_multiple_of(2) {
            continue;
        }
        for (target, to) in targets.iter().enumerate() {
            let copied = folder.path().join(format!("{number}-{target}"));
            if let Err(reason) = copy(&native_file, to, &copied) {
                *outcomes.entry((to, format!("refused: {reason}"))).or_default() += 1;
                continue;
            }
            let back = folder.path().join(format!("{number}-{target}-back"));
            copy(&fs::read(&copied).unwrap(), EXPLICIT_VR_LITTLE_ENDIAN, &back).unwrap();
            copies.push((*to, native.clone(), copied, back));
        }
    }
    let ours: Vec<_> = copies.iter().map(|(_, native, _, back)| (back.clone(), native.clone())).collect();
    let theirs: Vec<_> =
        copies.iter().map(|(_, native, copied, _)| (copied.clone(), native.clone())).collect();
    let (ours, theirs) = (compare(&ours), compare(&theirs));
    let said =
        |verdicts: &BTreeMap<String, String>, path: &Path| verdicts[&path.display().to_string()].clone();
    for (to, _, copied, back) in &copies {
        let outcome = format!("here {}, elsewhere {}", said(&ours, back), said(&theirs, copied));
        *outcomes.entry((to, outcome)).or_default() += 1;
    }
    let found: String =
        outcomes.iter().map(|((to, outcome), count)| format!("{to}\t{outcome}\t{count}\n")).collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(ENCODED);
    if std::env::var_os("GANTRY_UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&golden).unwrap_or_default(), "{ENCODED} says otherwise");
    let wrong = |verdict: &String| !verdict.starts_with("equal") && verdict != "not decoded";
    let other: Vec<_> = ours.iter().chain(&theirs).filter(|(_, verdict)| wrong(verdict)).collect();
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn a_peer_gets_what_it_can_read() {
    let Some(corpus) = corpus() else { return };
    let files = [
        "pydicom__pydicom/MR_small_jp2klossless.dcm",
        "pydicom__pydicom/SC_rgb_rle_2frame.dcm",
        "pydicom__pydicom/image_dfl.dcm",
        "pydicom__pylibjpeg-data/JPEGBaseline_1s_1f_u_08_08.dcm",
    ];
    let paths: Vec<PathBuf> = files.iter().map(|file| corpus.join("files").join(file)).collect();
    // +xi takes Implicit VR Little Endian only, +xe Explicit VR Little Endian and that.
    for (option, expected) in [("+xi", IMPLICIT_VR_LITTLE_ENDIAN), ("+xe", EXPLICIT_VR_LITTLE_ENDIAN)] {
        let scp = StoreScp::with(&[option]);
        let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", scp.address));
        let bodies: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        assert_eq!(server.stow("/dicom-web/studies", &bodies).status, 200);
        server.wait_until_delivered("pacs", files.len());
        let got = scp.files();
        assert_eq!(got.len(), files.len());
        let by_instance: BTreeMap<String, PathBuf> =
            got.iter().map(|path| (instance(path).1, path.clone())).collect();
        let mut pairs = Vec::new();
        for path in &paths {
            let (stored, uid) = instance(path);
            let received = &by_instance[&uid];
            let is_as_stored = instance(received).0 == stored;
            assert!(is_as_stored || instance(received).0 == expected, "{}", path.display());
            let delivery = server.ledger().into_iter().find(|row| row.instance == uid).unwrap();
            assert_eq!(delivery.status.contains("transcoded from"), !is_as_stored, "{}", delivery.status);
            assert_eq!(delivery.state, State::Delivered);
            let file = fs::read(received).unwrap();
            assert_eq!(
                delivery.sent,
                hash(data_set_of(&file)),
                "{}: the hash is that of what was sent",
                path.display()
            );
            pairs.push((path.clone(), received.clone()));
        }
        for (path, verdict) in compare(&pairs) {
            assert!(verdict.starts_with("equal") || verdict.starts_with("within 1 "), "{path}: {verdict}");
        }
        assert!(files_below(&server.data_dir().join("transcoded")).is_empty(), "copies are removed");
    }
}

/// storescp takes instances of these classes in one transfer syntax only, whose UID this is.
fn takes_only(syntax: &str, folder: &Path) -> StoreScp {
    let classes = ["CTImageStorage", "MRImageStorage", "SecondaryCaptureImageStorage"];
    let contexts =
        classes.iter().zip(1..).map(|(class, n)| format!("PresentationContext{n} = {class}\\Only\n"));
    let profile = format!(
        "[[TransferSyntaxes]]\n[Only]\nTransferSyntax1 = {syntax}\n\
         [[PresentationContexts]]\n[Storage]\n{}\
         [[Profiles]]\n[Default]\nPresentationContexts = Storage\n",
        contexts.collect::<String>()
    );
    let path = folder.join("storescp.cfg");
    fs::write(&path, profile).unwrap();
    StoreScp::with(&["-xf", path.to_str().unwrap(), "Default"])
}

/// JPEG-LS, native and RLE; in grey and in colour.
const LOSSLESS: [&str; 3] = [
    "chafey__dicomParser/CT1_UNC.fragmented_no_bot_jpeg_ls.80.dcm",
    "pydicom__pydicom/MR_small.dcm",
    "pydicom__pydicom/SC_rgb_rle_2frame.dcm",
];

/// All came in this transfer syntax, with their pixels.
fn assert_came(scp: &StoreScp, syntax: &str, paths: &[PathBuf]) {
    let got = scp.files();
    assert_eq!(got.len(), paths.len());
    let by_instance: BTreeMap<String, PathBuf> =
        got.iter().map(|path| (instance(path).1, path.clone())).collect();
    assert!(got.iter().all(|path| instance(path).0 == syntax), "{syntax}");
    let pairs: Vec<_> =
        paths.iter().map(|path| (path.clone(), by_instance[&instance(path).1].clone())).collect();
    let verdicts = compare(&pairs);
    assert_eq!(verdicts.len(), paths.len());
    for (path, verdict) in verdicts {
        assert!(verdict.starts_with("equal"), "{path} in {syntax}: {verdict}");
    }
}

#[test]
fn a_peer_that_takes_one_compressed_transfer_syntax_only_gets_that() {
    let Some(corpus) = corpus() else { return };
    let paths = LOSSLESS.map(|file| corpus.join("files").join(file));
    let bodies = paths.each_ref().map(|path| fs::read(path).unwrap());
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let studies = paths.each_ref().map(|path| study(path)).join("\\");
    for syntax in [JPEG_LS, RLE, JPEG_2000] {
        let folder = TempDir::new().unwrap();
        let scp = takes_only(syntax, folder.path());
        let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", scp.address));
        assert_eq!(server.stow("/dicom-web/studies", &bodies).status, 200);
        server.wait_until_delivered("pacs", paths.len());
        assert_came(&scp, syntax, &paths);

        // To C-MOVE it is a stranger.
        let scp = takes_only(syntax, folder.path());
        let peer = format!("[peer.pacs]\nae_title = \"STORESCP\"\naddress = \"{}\"\n", scp.address);
        let server = Server::routed(&everything_to(&[]), &peer);
        assert_eq!(server.stow("/dicom-web/studies", &bodies).status, 200);
        let (ok, printed) = run(dcmtk("movescu")
            .args(["-v", "-S", "-aec", "GANTRY", "-aem", "STORESCP", "-k", "QueryRetrieveLevel=STUDY"])
            .args([
                "-k",
                &format!("StudyInstanceUID={studies}"),
                "127.0.0.1",
                &server.dimse.port().to_string(),
            ]));
        assert!(ok && printed.contains("Received Final Move Response (Success)"), "{printed}");
        assert_came(&scp, syntax, &paths);
    }
}

#[test]
fn a_peer_that_takes_everything_gets_what_is_stored() {
    let Some(corpus) = corpus() else { return };
    let paths = LOSSLESS.map(|file| corpus.join("files").join(file));
    let bodies = paths.each_ref().map(|path| fs::read(path).unwrap());
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    let scp = StoreScp::with(&["+xa"]);
    let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", scp.address));
    assert_eq!(server.stow("/dicom-web/studies", &bodies).status, 200);
    server.wait_until_delivered("pacs", paths.len());
    let stored = |path: &PathBuf| instance(path);
    let (mut came, mut sent) =
        (scp.files().iter().map(stored).collect::<Vec<_>>(), paths.iter().map(stored).collect::<Vec<_>>());
    came.sort();
    sent.sort();
    assert_eq!(came, sent);
}

#[test]
fn what_cannot_be_decoded_is_refused_with_both_reasons() {
    let Some(corpus) = corpus() else { return };
    let scp = StoreScp::with(&["+xi"]);
    let server = Server::routed(&everything_to(&["pacs"]), &dicom("pacs", "STORESCP", scp.address));
    let file = fs::read(corpus.join("files/pydicom__pydicom-data/liver_rle.dcm")).unwrap();
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);
    server.wait_for("pacs", State::Dead, 1);
    let reason = server.reason("pacs");
    assert!(reason.contains("the peer takes no") && reason.contains("not transcoded: "), "{reason}");
    assert!(reason.contains("single bits are not decoded"), "{reason}");
}

/// Study Instance UID of a file.
fn study(path: &Path) -> String {
    let file = fs::read(path).unwrap();
    let Split::Part10(meta) = part10::split(&file, true) else { panic!("{path:?}") };
    let header = scan(form(meta.transfer_syntax.as_str()), &file[meta.data_offset..]).unwrap();
    let uid: StudyInstanceUid = header.uid(model::Tag(0x0020, 0x000D)).unwrap();
    uid.to_string()
}

/// Transfer syntax and SOP Instance UID of a file.
pub(crate) fn instance(path: &Path) -> (String, String) {
    let Split::Part10(meta) = part10::split(&fs::read(path).unwrap(), true) else { panic!("{path:?}") };
    let file = fs::read(path).unwrap();
    let header = scan(form(meta.transfer_syntax.as_str()), &file[meta.data_offset..]).unwrap();
    let uid: SopInstanceUid = header.uid(model::Tag(0x0008, 0x0018)).unwrap();
    (meta.transfer_syntax.to_string(), uid.to_string())
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).to_vec()
}
