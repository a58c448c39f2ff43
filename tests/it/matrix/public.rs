//! Public files in all their transfer syntaxes and character sets: stored, queried and retrieved by clients that nobody here wrote,
//! each file by two or more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use super::chosen::Chosen;
use super::curl;
use super::rust::tool;
use super::stand::{done, peer};
use crate::corpus::Row;
use crate::corpus_retrieved::{Files, get_all, padded};
use crate::harness::{Server, corpus, dcmtk, files_below, free_ports, python, run, say};
use crate::sinks::{StoreScp, script};
use crate::synthetic::{CT, data_set_of};

/// What is done with a file, in the order of the columns: for each of three services, by each of three clients.
const DONE: [&str; 9] = [
    "stored by storescu",
    "stored by pynetdicom",
    "stored by curl",
    "found by findscu",
    "found by pynetdicom",
    "found by curl",
    "moved by movescu to storescp",
    "got by pynetdicom",
    "got by curl",
];
/// Clients of a service that a file must come right by.
const CLIENTS: usize = 2;

/// By SOP Instance UID, which of [`DONE`] came out right.
type Right = BTreeMap<String, [bool; DONE.len()]>;

/// The section of the page; `None` where there are no public files.
pub(super) fn section() -> Option<String> {
    let corpus = corpus()?;
    let chosen = Chosen::of(&corpus);
    let right = right(&corpus, &chosen);
    let mut lacking = Vec::new();
    for (uid, right) in right.iter().filter(|(_, right)| right.contains(&false)) {
        let less: Vec<_> =
            DONE.iter().zip(right).filter(|(_, is_right)| !**is_right).map(|(what, _)| *what).collect();
        let told = format!("{}: not {}", chosen.files[uid].0.path, less.join(", not "));
        say(&told);
        if right.chunks(3).any(|service| service.iter().filter(|is_right| **is_right).count() < CLIENTS) {
            lacking.push(told);
        }
    }
    assert!(lacking.is_empty(), "right by less than {CLIENTS} clients:\n{}", lacking.join("\n"));
    Some(render(&chosen, &right))
}

fn right(corpus: &Path, chosen: &Chosen) -> Right {
    let files = &chosen.files;
    let folder = TempDir::new().unwrap();
    // What one stores the other fetches: so each file goes through both.
    let (one, other, third) = (Side::start(folder.path()), Side::start(folder.path()), Server::start());
    let copies = named_copies(files, folder.path());
    let paths = chosen.paths(corpus, &copies);
    storescu(&one.server, &paths, folder.path());
    storescu_of_rust(&one.server, files, &copies);
    let taken = pynetdicom(&other.server, &copies);
    let taken_of_curl = curl::stored(&third, files, &copies, folder.path());
    let texts = Texts::of(&paths, files);
    let (by_findscu, by_pynetdicom) = (findscu(&one.server, folder.path()), found(&other.server));
    let by_curl = curl::found(&other.server, files, folder.path());
    let (kept_by_one, kept_by_other) = (kept(&one.server, files), kept(&other.server, files));
    let kept_by_third = kept(&third, files);
    let got = get_all(&other.server, files);
    let got_by_curl = curl::got(&other.server, files, folder.path());
    let moved = other.moved(files);
    let sent: BTreeMap<&str, Vec<u8>> =
        files.iter().map(|(uid, (_, file))| (uid.as_str(), padded(file))).collect();
    let is_exact = |uid: &str, from: &BTreeMap<String, Vec<u8>>| from.get(uid) == sent.get(uid);
    let others = kept_by_one.iter().filter(|(uid, _)| !is_exact(uid, &kept_by_one));
    let others: Vec<_> =
        others.map(|(uid, came)| (uid.clone(), &files[uid].0, &came[..], &sent[uid.as_str()][..])).collect();
    let alike = alike(&others);
    let right = files.keys().map(|uid| {
        let right = [
            is_exact(uid, &kept_by_one) || alike.contains(uid),
            taken.contains(uid) && is_exact(uid, &kept_by_other),
            taken_of_curl.contains(uid) && is_exact(uid, &kept_by_third),
            texts.are_right(uid, texts.answer(uid, &by_findscu)),
            texts.are_right(uid, texts.answer(uid, &by_pynetdicom)),
            texts.are_right(uid, by_curl.get(uid)),
            moved.contains(&sent[uid.as_str()]),
            is_exact(uid, &got),
            is_exact(uid, &got_by_curl),
        ];
        (uid.clone(), right)
    });
    right.collect()
}

/// A server, and where it moves to.
struct Side {
    server: Server,
    destination: StoreScp,
    /// The same for [`PROFILED`].
    profiled: StoreScp,
    /// Where movescu of dicom-rs takes what it asks for.
    own: SocketAddr,
}

impl Side {
    fn start(folder: &Path) -> Self {
        let profile = profile(folder);
        let profiled = StoreScp::with(&["-xf", profile.to_str().unwrap(), "Called"]);
        let destination = StoreScp::with(&["+xa", "--promiscuous"]);
        let [own] = free_ports();
        let peers = [("STORESCP", destination.address), ("PROFILED", profiled.address), ("STORE-SCP", own)];
        let peers: String = peers.iter().map(|(title, address)| peer(title, *address)).collect();
        Self { server: Server::with("", "", &peers), destination, profiled, own }
    }

    /// The data sets that movescu brings to storescp.
    fn moved(&self, files: &Files) -> BTreeSet<Vec<u8>> {
        let all: Vec<_> = files.iter().map(|(uid, (row, _))| (uid.as_str(), &row.transfer_syntax)).collect();
        let (profiled, usual): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, syntax)| PROFILED.contains(&syntax.as_str()));
        for (title, some) in [("STORESCP", usual), ("PROFILED", profiled)] {
            for some in some.chunks(100) {
                let uids: Vec<_> = some.iter().map(|(uid, _)| *uid).collect();
                let key = format!("SOPInstanceUID={}", uids.join("\\"));
                let mut movescu = dcmtk("movescu");
                movescu.args([
                    "-S",
                    "-aec",
                    "GANTRY",
                    "-aem",
                    title,
                    "-k",
                    "QueryRetrieveLevel=IMAGE",
                    "-k",
                    &key,
                ]);
                // It fails when a sub-operation has: what came is looked at.
                run(movescu.args(["127.0.0.1", &self.server.dimse.port().to_string()]));
            }
        }
        let mut moved: BTreeSet<_> =
            self.destination.data_sets().into_iter().chain(self.profiled.data_sets()).collect();
        moved.extend(self.moved_by_rust(files));
        moved
    }

    /// What storescp does not take, by movescu of dicom-rs.
    fn moved_by_rust(&self, files: &Files) -> Vec<Vec<u8>> {
        let is_meant = |row: &Row| !is_proposed(&row.transfer_syntax);
        let uids = files.iter().filter(|(_, (row, _))| is_meant(row)).map(|(uid, _)| uid.as_str());
        let key = format!("SOPInstanceUID={}", uids.collect::<Vec<_>>().join("\\"));
        let place = TempDir::new().unwrap();
        let mut movescu = tool("movescu");
        movescu.args([
            "-S",
            "--promiscuous",
            "--called-ae-title",
            "GANTRY",
            "-q",
            "QueryRetrieveLevel=IMAGE",
            "-q",
            &key,
        ]);
        movescu
            .args(["--move-destination", "STORE-SCP", "-p", &self.own.port().to_string(), "-o"])
            .arg(place.path());
        run(movescu.arg(self.server.dimse.to_string()));
        let files = files_below(place.path()).into_iter();
        files.map(|file| data_set_of(&fs::read(file).unwrap()).to_vec()).collect()
    }
}

/// By one process, whose contexts are those that the files need, as far as one association has them.
fn storescu(server: &Server, paths: &[PathBuf], folder: &Path) {
    let mut kinds = BTreeMap::<String, Vec<&PathBuf>>::new();
    for path in paths {
        let meta = model::part10::split(&fs::read(path).unwrap(), true);
        if let model::part10::Split::Part10(meta) = meta {
            kinds.entry(meta.transfer_syntax.as_str().to_owned()).or_default().push(path);
        }
    }
    for (option, syntaxes) in PROPOSED {
        let some: Vec<_> = syntaxes.iter().filter_map(|syntax| kinds.get(*syntax)).flatten().collect();
        let list = folder.join("list");
        fs::create_dir_all(&list).unwrap();
        for (number, path) in some.iter().enumerate() {
            std::os::unix::fs::symlink(path, list.join(number.to_string())).unwrap();
        }
        let mut storescu = dcmtk("storescu");
        storescu.args(["--no-halt", "-R", option, "+sd", "-aec", "GANTRY", "127.0.0.1"]);
        run(storescu.arg(server.dimse.port().to_string()).arg(&list));
        fs::remove_dir_all(&list).unwrap();
    }
    let some: Vec<_> = PROFILED.iter().filter_map(|syntax| kinds.get(*syntax)).flatten().collect();
    let mut storescu = dcmtk("storescu");
    storescu.args(["--no-halt", "-xf"]).arg(profile(folder)).args(["Caller", "-aec", "GANTRY", "127.0.0.1"]);
    run(storescu.arg(server.dimse.port().to_string()).args(some));
}

/// Transfer syntaxes that DCMTK knows, and proposes and takes only when a file says so.
const PROFILED: [&str; 2] = ["1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55"];

/// That file (DCMTK, asconfig.txt), for CT and secondary captures: who calls proposes each by itself, who is called takes any.
fn profile(folder: &Path) -> PathBuf {
    let mut text = "[[TransferSyntaxes]]\n".to_owned();
    let (mut all, mut proposed, mut taken) = ("[All]\n".to_owned(), String::new(), String::new());
    for (number, syntax) in (1..).zip(PROFILED) {
        writeln!(text, "[S{number}]\nTransferSyntax1 = {syntax}").unwrap();
        writeln!(all, "TransferSyntax{number} = {syntax}").unwrap();
    }
    for (count, class) in [CT, "1.2.840.10008.5.1.4.1.1.7"].iter().enumerate() {
        writeln!(taken, "PresentationContext{} = {class}\\All", count + 1).unwrap();
        for number in 1..=PROFILED.len() {
            let context = count * PROFILED.len() + number;
            writeln!(proposed, "PresentationContext{context} = {class}\\S{number}").unwrap();
        }
    }
    text += &format!("{all}[[PresentationContexts]]\n[Proposed]\n{proposed}[Taken]\n{taken}");
    text +=
        "[[Profiles]]\n[Caller]\nPresentationContexts = Proposed\n[Called]\nPresentationContexts = Taken\n";
    let path = folder.join("profile");
    fs::write(&path, text).unwrap();
    path
}

/// Options of storescu, and the transfer syntaxes of files that it then sends as they are.
const PROPOSED: [(&str, &[&str]); 15] = [
    ("-xe", &["1.2.840.10008.1.2.1"]),
    ("-xi", &["1.2.840.10008.1.2"]),
    ("-xb", &["1.2.840.10008.1.2.2"]),
    ("-xd", &["1.2.840.10008.1.2.1.99"]),
    ("-xr", &["1.2.840.10008.1.2.5"]),
    ("-xs", &["1.2.840.10008.1.2.4.70"]),
    ("-xy", &["1.2.840.10008.1.2.4.50"]),
    ("-xx", &["1.2.840.10008.1.2.4.51"]),
    ("-xt", &["1.2.840.10008.1.2.4.80"]),
    ("-xu", &["1.2.840.10008.1.2.4.81"]),
    ("-xv", &["1.2.840.10008.1.2.4.90"]),
    ("-xw", &["1.2.840.10008.1.2.4.91"]),
    ("-xm", &["1.2.840.10008.1.2.4.100"]),
    ("-xn", &["1.2.840.10008.1.2.4.102"]),
    ("-x4", &["1.2.840.10008.1.2.4.107"]),
];

/// What the one of DCMTK has no option for, by that of dicom-rs.
fn storescu_of_rust(server: &Server, files: &Files, copies: &[PathBuf]) {
    let some = files.values().zip(copies).filter(|((row, _), _)| !is_proposed(&row.transfer_syntax));
    let target = format!("GANTRY@{}", server.dimse);
    // It fails when one of the files has: what came is looked at.
    run(tool("storescu").arg(target).args(some.map(|(_, copy)| copy)));
}

fn is_proposed(syntax: &str) -> bool {
    PROFILED.contains(&syntax) || PROPOSED.iter().any(|(_, proposed)| proposed.contains(&syntax))
}

/// Stores them; the SOP Instance UIDs, which the copies are called by, of those that were answered with Success.
fn pynetdicom(server: &Server, copies: &[PathBuf]) -> BTreeSet<String> {
    let told = told::<2>(&["store", &server.dimse.port().to_string()], &lines(copies));
    let taken = told.into_iter().filter(|[_, status]| status == "0");
    taken.map(|[path, _]| Path::new(&path).file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The data sets that a server keeps of these, as they lie in its folder.
fn kept(server: &Server, files: &Files) -> BTreeMap<String, Vec<u8>> {
    let instances = files_below(&server.data_dir().join("instances"));
    let of = |path: PathBuf| {
        let file = fs::read(path).unwrap();
        let model::part10::Split::Part10(meta) = model::part10::split(&file, true) else {
            panic!("no file of PS3.10")
        };
        (meta.sop_instance.unwrap().as_str().to_owned(), data_set_of(&file).to_vec())
    };
    instances.into_iter().map(of).filter(|(uid, _)| files.contains_key(uid)).collect()
}

/// Some of the files name no SOP class before the data set, where clients look for it.
fn named_copies(files: &Files, folder: &Path) -> Vec<PathBuf> {
    let place = folder.join("named");
    fs::create_dir(&place).unwrap();
    files.iter().map(|(uid, (row, file))| named(uid, row, &padded(file), &place.join(uid))).collect()
}

/// Writes a data set as a file that names what it is.
fn named(uid: &str, row: &Row, data_set: &[u8], path: &Path) -> PathBuf {
    let class = model::SopClassUid::lenient(&row.sop_class).unwrap();
    let instance = model::SopInstanceUid::lenient(uid).unwrap();
    let syntax = model::TransferSyntaxUid::lenient(&row.transfer_syntax).unwrap();
    let meta = model::part10::write((&class, &instance), &syntax, None);
    fs::write(path, [&meta, data_set].concat()).unwrap();
    path.to_owned()
}

/// The names of all studies as pydicom reads the answers that findscu writes to files.
fn findscu(server: &Server, folder: &Path) -> Names {
    let answers = folder.join("answers");
    fs::create_dir(&answers).unwrap();
    let mut findscu = dcmtk("findscu");
    findscu.args(["-S", "-X", "-aec", "GANTRY", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]);
    findscu.args(["-k", "PatientName", "127.0.0.1", &server.dimse.port().to_string()]);
    done(findscu.current_dir(&answers));
    let answers: Vec<PathBuf> = files_below(&answers);
    told(&["names"], &lines(&answers)).into_iter().map(|[_, study, name]| (study, name)).collect()
}

fn found(server: &Server) -> Names {
    let rows = told::<2>(&["find", &server.dimse.port().to_string()], "");
    rows.into_iter().map(|[study, name]| (study, name)).collect()
}

/// Names by Study Instance UID.
type Names = BTreeMap<String, String>;

/// What pydicom reads in the files; dcm2json where pydicom cannot read one or leaves escape sequences in a name.
struct Texts {
    /// Study and name by SOP Instance UID.
    of: BTreeMap<String, (String, String)>,
}

impl Texts {
    fn of(paths: &[PathBuf], files: &Files) -> Self {
        let uids: BTreeMap<&Path, _> = paths.iter().map(PathBuf::as_path).zip(files.keys()).collect();
        let text = |[path, study, name]: [String; 3]| {
            let is_read = !study.is_empty() && !name.contains('\x1B');
            let uid = uids[Path::new(&path)].clone();
            (uid, if is_read { (study, name) } else { by_dcm2json(&path) })
        };
        Self { of: told(&["names"], &lines(paths)).into_iter().map(text).collect() }
    }

    /// What was found of the study of this file.
    fn answer<'a>(&self, uid: &str, found: &'a Names) -> Option<&'a String> {
        found.get(&self.of.get(uid)?.0)
    }

    /// Whether the answer is the name in this file, or that in another file of the study where these differ.
    fn are_right(&self, uid: &str, answer: Option<&String>) -> bool {
        let (Some((study, name)), Some(answer)) = (self.of.get(uid), answer) else { return false };
        let differs =
            || self.of.values().any(|(other, text)| other == study && text != name && text == answer);
        answer == name || differs()
    }
}

/// Study and name.
fn by_dcm2json(path: &str) -> (String, String) {
    let data_set: Value = serde_json::from_str(&done(dcmtk("dcm2json").args(["-q", path]))).unwrap();
    let study = data_set["0020000D"]["Value"][0].as_str().unwrap();
    (study.to_owned(), curl::joined(&data_set))
}

/// Runs tests/interop/corpus.py; the lists of texts that it prints.
fn told<const N: usize>(arguments: &[&str], input: &str) -> Vec<[String; N]> {
    let mut child = python()
        .arg(script("corpus.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = printed.lines().map(|line| serde_json::from_str::<Vec<Value>>(line).unwrap());
    rows.map(|row| std::array::from_fn(|n| row.get(n).map(text).unwrap_or_default())).collect()
}

fn lines(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("{}\n", path.display())).collect()
}

/// The files that came otherwise than they were, but for how they are written: with each value the same, as pydicom reads them.
fn alike(pairs: &[(String, &Row, &[u8], &[u8])]) -> BTreeSet<String> {
    let folder = TempDir::new().unwrap();
    let mut input = String::new();
    for (number, (uid, row, came, sent)) in pairs.iter().enumerate() {
        let [came, sent] = [("came", came), ("sent", sent)].map(|(name, data_set)| {
            named(uid, row, data_set, &folder.path().join(format!("{number}-{name}")))
        });
        writeln!(input, "{uid}\t{}\t{}", came.display(), sent.display()).unwrap();
    }
    let told = told::<2>(&["alike"], &input);
    told.into_iter().filter(|[_, is_alike]| is_alike == "true").map(|[uid, _]| uid).collect()
}

fn render(chosen: &Chosen, right: &Right) -> String {
    let files = &chosen.files;
    let mut syntaxes = BTreeMap::<String, Vec<&[bool; DONE.len()]>>::new();
    let mut charsets = BTreeMap::<String, Vec<&[bool; DONE.len()]>>::new();
    for (uid, right) in right {
        let (row, _) = &files[uid];
        let name = model::syntax::name(&row.transfer_syntax).unwrap_or("a private one");
        let by_rust = if is_proposed(&row.transfer_syntax) { "" } else { " *" };
        syntaxes.entry(format!("{name} ({}){by_rust}", row.transfer_syntax)).or_default().push(right);
        let charset = if row.charset.is_empty() { "none" } else { &row.charset };
        charsets.entry(format!("`{charset}`")).or_default().push(right);
    }
    let mut page = [TITLE, HEAD, &chosen_of(chosen)].concat();
    for (what, rows) in [("transfer syntax", syntaxes), ("character set", charsets)] {
        writeln!(page, "| {what} | files | {} |\n|---|---|{}", DONE.join(" | "), "---|".repeat(DONE.len()))
            .unwrap();
        for (name, rights) in rows {
            let cells: [String; DONE.len()] =
                std::array::from_fn(|column| match rights.iter().filter(|right| right[column]).count() {
                    0 => "—".to_owned(),
                    count => count.to_string(),
                });
            writeln!(page, "| {name} | {} | {} |", rights.len(), cells.join(" | ")).unwrap();
        }
        page.push('\n');
    }
    page
}

/// How many files there are, and which of them are none of these.
fn chosen_of(chosen: &Chosen) -> String {
    let left_out: usize = chosen.left_out.values().sum();
    let reasons: Vec<_> =
        chosen.left_out.iter().map(|(reason, count)| format!("- {count} {reason}\n")).collect();
    let (taken, completed) = (chosen.files.len(), chosen.completed.len());
    format!(
        "Of {} files {taken} are stored; {completed} of these lack UIDs and are given made-up ones before, and nothing else. Left out are \
         {left_out}, which:\n\n{}\n",
        taken + left_out,
        reasons.concat()
    )
}

/// What the section begins with.
pub(super) const TITLE: &str = "## Transfer syntaxes and character sets\n";
const HEAD: &str = "
Public files, with some that pydicom made of kinds that no public one shows, and how many of them came right. storescu and movescu are
those of DCMTK; where it does not take the transfer syntax (*), they are those of dicom-rs. curl stores by STOW-RS, a request for each with a
multipart body of its own making, finds by QIDO-RS, a search by SOP Instance UID for each, and gets by WADO-RS as
`application/dicom; transfer-syntax=*`. What was stored is read in the data folder: of pynetdicom and curl it is bit by bit the data set, as
is what movescu brought and what pynetdicom and curl got; of storescu it has each element with its value, as storescu writes data sets anew.
What was found is the name of the patient as pydicom decodes it, in the answer and in the file; the answer to curl is JSON, and where pydicom
leaves escape sequences in the name (ISO-IR 58) or cannot read the file, its name is what dcm2json of DCMTK decodes. Where it is less, the
client does not send the file or writes other values: both of storescu make an odd fragment even, neither knows the private transfer syntax,
and that of DCMTK does not read the file in ISO_IR 13. The test fails where a transfer syntax or a character set has no
row, and where a file is not stored, found and retrieved right by two clients each.

";
