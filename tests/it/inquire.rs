//! `gantry find`, `gantry move` and `gantry get` at archives that nobody here wrote, and what they print.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Server, dcmtk, eventually, files_below, free_ports, gantry, python, run};
use crate::sinks::{Orthanc, StoreScp, kill_group, script};
use crate::synthetic::{CT, Object, data_set_of, part10};

/// DCMTK's archive, which knows one move destination.
pub(crate) struct DcmQrScp {
    child: Child,
    folder: TempDir,
    pub(crate) target: String,
}

impl DcmQrScp {
    pub(crate) fn start(destination: SocketAddr) -> Self {
        Self::knowing("STORESCP", destination)
    }

    /// Starts; it moves to this AE title.
    pub(crate) fn knowing(title: &str, destination: SocketAddr) -> Self {
        Self::at(free_ports::<1>()[0], title, destination)
    }

    /// As [`DcmQrScp::knowing`], with this address of its own.
    pub(crate) fn at(address: SocketAddr, title: &str, destination: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let database = folder.path().join("db");
        fs::create_dir(&database).unwrap();
        let config = format!(
            "NetworkTCPPort = {}\nMaxPDUSize = 16384\nMaxAssociations = 16\n\
             HostTable BEGIN\nviewer = ({title}, localhost, {})\nHostTable END\n\
             VendorTable BEGIN\nVendorTable END\n\
             AETable BEGIN\nARCHIVE {} RW (100, 1024mb) ANY\nAETable END\n",
            address.port(),
            destination.port(),
            database.display(),
        );
        let path = folder.path().join("dcmqrscp.cfg");
        fs::write(&path, config).unwrap();
        let child = dcmtk("dcmqrscp")
            .arg("-c")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // The processes that it makes for its associations end with it.
            .process_group(0)
            .spawn()
            .unwrap();
        eventually("dcmqrscp listens", || TcpStream::connect(address).is_ok());
        Self { child, folder, target: format!("ARCHIVE@{address}") }
    }

    /// Where its files are, beside its index.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("db")
    }
}

impl Drop for DcmQrScp {
    fn drop(&mut self) {
        kill_group(&mut self.child);
    }
}

/// Study 21 with two series, of two instances and of one, and study 22 with one instance.
pub(crate) fn objects() -> Vec<Object> {
    [(21, 1, 1), (21, 1, 2), (21, 2, 1), (22, 1, 1)]
        .map(|(study, series, n)| Object { pixel_bytes: 200_000, ..Object::new(study, series, n) })
        .to_vec()
}

pub(crate) fn fill(target: &str) {
    fill_with(target, &objects());
}

pub(crate) fn fill_with(target: &str, objects: &[Object]) {
    let folder = TempDir::new().unwrap();
    for object in objects {
        fs::write(folder.path().join(&object.instance), object.file()).unwrap();
    }
    let (ok, printed) = run(gantry().args(["send", target]).arg(folder.path()));
    assert!(ok, "{printed}");
}

/// Exit code, standard output, standard error.
fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

pub(crate) fn ask(arguments: &[&str]) -> (Option<i32>, String, String) {
    output(gantry().args(arguments))
}

pub(crate) fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// The data sets of the files below a folder, by their path from there.
pub(crate) fn data_sets(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |path: &Path| data_set_of(&fs::read(path).unwrap()).to_vec();
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    files_below(folder).iter().map(|path| (name(path), read(path))).collect()
}

/// As [`data_sets`] should be of those objects.
pub(crate) fn expected(objects: &[Object]) -> BTreeMap<String, Vec<u8>> {
    let path = |object: &Object| format!("{}/{}/{}.dcm", object.study, object.series, object.instance);
    objects.iter().map(|object| (path(object), object.data_set())).collect()
}

#[test]
fn dcmqrscp_is_asked_for_what_it_has() {
    let archive = DcmQrScp::start(free_ports::<1>()[0]);
    fill(&archive.target);
    let find = |more: &[&str]| ask(&[&["find", &archive.target], more].concat());
    let (exit, table, said) = find(&["-k", "PatientName=Test2*"]);
    assert_eq!((exit, said.as_str()), (Some(0), ""), "{table}");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("StudyDate"), "{table}");
    assert!(
        lines[1..].iter().any(|line| line.contains("Test21^Person") && line.contains("2.25.21")),
        "{table}"
    );

    let (exit, printed, _) = find(&[
        "--level",
        "series",
        "-k",
        "StudyInstanceUID=2.25.21",
        "--return",
        "Modality,SeriesInstanceUID",
    ]);
    let mut rows: Vec<_> =
        printed.lines().map(str::split_whitespace).map(Iterator::collect::<Vec<_>>).collect();
    rows[1..].sort();
    assert_eq!(exit, Some(0));
    assert_eq!(rows, [["Modality", "SeriesInstanceUID"], ["CT", "2.25.21.1"], ["CT", "2.25.21.2"]]);

    let instances =
        ["--level", "instance", "-k", "StudyInstanceUID=2.25.21", "-k", "SeriesInstanceUID=2.25.21.1"];
    let (exit, printed, _) = find(&[&instances[..], &["--json"]].concat());
    let rows = json(&printed);
    assert_eq!((exit, rows.as_array().unwrap().len()), (Some(0), 2), "{printed}");
    assert_eq!(rows[0]["00080052"]["Value"][0], "IMAGE", "{printed}");

    let (exit, printed, said) = find(&["--limit", "1", "--json"]);
    assert_eq!((exit, json(&printed).as_array().unwrap().len()), (Some(0), 1), "{printed}");
    assert!(said.contains("there are more"), "{said}");
    let (exit, printed, said) = find(&["-k", "PatientName=Nobody*", "--json"]);
    assert_eq!((exit, printed.as_str(), said.as_str()), (Some(1), "[]\n", "nothing matches\n"));
    let (exit, printed, _) = find(&["--level", "patient", "--return", "PatientID"]);
    assert_eq!((exit, printed.lines().count()), (Some(0), 3), "{printed}");
}

#[test]
fn dcmqrscp_moves_and_tells_what_it_cannot() {
    let sink = StoreScp::start();
    let archive = DcmQrScp::start(sink.address);
    fill(&archive.target);
    let move_ = |more: &[&str]| ask(&[&["move", &archive.target], more].concat());
    let (exit, printed, said) = move_(&["--to", "STORESCP", "--study", "2.25.21"]);
    assert_eq!(exit, Some(0), "{printed}{said}");
    assert_eq!(printed, "0000H success, 3 completed\n");
    assert_eq!(sink.files().len(), 3);
    let (exit, printed, _) =
        move_(&["--to", "STORESCP", "--study", "2.25.22", "--series", "2.25.22.1", "--json"]);
    let told = json(&printed);
    assert_eq!((exit, &told["status"], &told["completed"]), (Some(0), &"0000H".into(), &1.into()), "{told}");
    let (exit, printed, _) = move_(&["--to", "NOWHERE", "--study", "2.25.21"]);
    assert!(exit == Some(1) && printed.starts_with("A801H refused: move destination unknown"), "{printed}");
    let (exit, printed, _) = move_(&["--to", "STORESCP", "--study", "2.25.99"]);
    assert_eq!(exit, Some(1), "nothing is no success: {printed}");
    assert_eq!(sink.files().len(), 4);
    drop(sink);
    let (exit, printed, _) = move_(&["--to", "STORESCP", "--study", "2.25.21", "--json"]);
    assert!(exit == Some(1) && json(&printed)["status"] != "0000H", "{printed}");
}

#[test]
fn dcmqrscp_gives_what_is_got() {
    let archive = DcmQrScp::start(free_ports::<1>()[0]);
    fill(&archive.target);
    let out = TempDir::new().unwrap();
    let folder = out.path().join("new/folder");
    let get = |more: &[&str]| {
        let mut command = gantry();
        output(command.args(["get", &archive.target]).args(more).arg("--out").arg(&folder))
    };
    let (exit, printed, said) = get(&["--study", "2.25.21"]);
    assert_eq!(exit, Some(0), "{printed}{said}");
    assert!(
        printed.contains("3 instances kept") && printed.contains("0000H success, 3 completed"),
        "{printed}"
    );
    let objects = objects();
    assert!(data_sets(&folder) == expected(&objects[..3]), "bit by bit");
    let instance = ["--study", "2.25.21", "--series", "2.25.21.2", "--instance", "2.25.21.2.1"];
    let (exit, printed, _) = get(&[&instance[..], &["--json"]].concat());
    let told = json(&printed);
    assert_eq!((exit, &told["kept"], &told["there_already"]), (Some(0), &1.into(), &1.into()), "{told}");
    let (exit, printed, _) = get(&["--patient", "P22"]);
    assert_eq!(exit, Some(0), "{printed}");
    assert!(data_sets(&folder) == expected(&objects), "nothing but these");
    let (exit, printed, _) = get(&["--study", "2.25.99"]);
    assert_eq!(exit, Some(1), "nothing is no success: {printed}");
}

#[test]
fn orthanc_is_asked_moves_and_gives() {
    let server = Server::start();
    let orthanc = Orthanc::start(server.dimse);
    let target = format!("ORTHANC@{}", orthanc.dicom);
    fill(&target);
    let lossless = compressed();
    orthanc.post("/instances", &lossless);

    let find = ["find", &target, "--level", "series", "-k", "StudyInstanceUID=2.25.21", "--json"];
    let (exit, printed, said) = ask(&find);
    assert_eq!((exit, json(&printed).as_array().unwrap().len()), (Some(0), 3), "{printed}{said}");

    let out = TempDir::new().unwrap();
    let mut get = gantry();
    get.args(["get", &target, "--study", "2.25.21", "--out"]).arg(out.path());
    let (exit, printed, said) = output(&mut get);
    assert_eq!(exit, Some(0), "{printed}{said}");
    let got = data_sets(out.path());
    assert_eq!(got.len(), 4, "{printed}");
    for (path, data) in expected(&objects()[..3]) {
        let pixels = &data[data.len() - 100_000..];
        assert!(got[&path].ends_with(pixels), "{path}");
    }
    let file = fs::read(out.path().join("2.25.21/2.25.21.3/2.25.21.3.1.dcm")).unwrap();
    assert!(contains(&file, JPEG_LOSSLESS.as_bytes()) && contains(&file, FRAME), "as it is stored there");

    let (exit, printed, said) = ask(&["move", &target, "--to", "GANTRY", "--study", "2.25.21"]);
    assert_eq!(exit, Some(0), "{printed}{said}");
    let rows = || server.get("/dicom-web/studies/2.25.21/instances").json();
    eventually("all have come", || rows().as_array().is_some_and(|rows| rows.len() == 4));
    let (exit, printed, _) = ask(&["move", &target, "--to", "NOWHERE", "--study", "2.25.21"]);
    assert_eq!(exit, Some(1), "{printed}");
}

/// tests/interop/archive.py
pub(crate) struct PyArchive {
    child: Child,
    _folder: TempDir,
    pub(crate) target: String,
}

impl PyArchive {
    fn start(destination: SocketAddr) -> Self {
        Self::with(&objects(), destination, &[])
    }

    /// Starts with these objects, and behaves in these ways.
    pub(crate) fn with(objects: &[Object], destination: SocketAddr, ways: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        for object in objects {
            fs::write(folder.path().join(&object.instance), object.file()).unwrap();
        }
        let [address] = free_ports();
        let child = python()
            .arg(script("archive.py"))
            .arg(address.port().to_string())
            .arg(folder.path())
            .arg(destination.port().to_string())
            .args(ways)
            .process_group(0)
            .spawn()
            .unwrap();
        eventually("the archive listens", || TcpStream::connect(address).is_ok());
        Self { child, _folder: folder, target: format!("ARCHIVE@{address}") }
    }
}

impl Drop for PyArchive {
    fn drop(&mut self) {
        kill_group(&mut self.child);
    }
}

#[test]
fn pynetdicom_is_asked_moves_and_gives() {
    let sink = StoreScp::start();
    let archive = PyArchive::start(sink.address);
    let (exit, printed, said) =
        ask(&["find", &archive.target, "--return", "PatientName", "-k", "PatientID=P22"]);
    assert_eq!((exit, printed.as_str()), (Some(0), "PatientName\nTest22^Person\n"), "{said}");
    let (exit, printed, said) = ask(&["move", &archive.target, "--to", "VIEWER", "--patient", "P21"]);
    assert_eq!((exit, printed.as_str()), (Some(0), "0000H success, 3 completed\n"), "{said}");
    assert_eq!(sink.files().len(), 3);
    let (exit, printed, _) = ask(&["move", &archive.target, "--to", "NOWHERE", "--study", "2.25.21"]);
    assert!(exit == Some(1) && printed.starts_with("A801H refused: move destination unknown"), "{printed}");

    let out = TempDir::new().unwrap();
    let mut get = gantry();
    get.args(["get", &archive.target, "--study", "2.25.21", "--out"]).arg(out.path());
    let (exit, printed, said) = output(&mut get);
    assert_eq!(exit, Some(0), "{printed}{said}");
    let got = data_sets(out.path());
    assert!(got == expected(&objects()[..3]), "bit by bit");

    // Nobody listens there any more: what fails is named.
    drop(sink);
    let moved = ask(&["move", &archive.target, "--to", "VIEWER", "--study", "2.25.21", "--json"]);
    assert!(moved.0 == Some(1) && json(&moved.1)["status"] != "0000H", "{moved:?}");
}

#[test]
fn answers_are_decoded_and_peers_have_names() {
    let server = Server::start();
    let file = {
        let mut file = Object { patient_name: "M_ller^Zo_".to_owned(), ..Object::new(31, 1, 1) }.file();
        let at = file.windows(6).position(|window| window == b"M_ller").unwrap();
        file[at + 1] = 0xFC;
        file[at + 9] = 0xEB;
        let class = file.windows(6).position(|window| window == [8, 0, 0x16, 0, b'U', b'I']).unwrap();
        [&file[..class], &crate::scu::element(8, 5, "CS", "ISO_IR 100"), &file[class..]].concat()
    };
    assert_eq!(server.stow("/dicom-web/studies", &[&file]).status, 200);
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("gantry.toml");
    let peer = format!(
        "ae_title = \"SENDER\"\n[peer.archive]\nae_title = \"GANTRY\"\naddress = \"{}\"\n",
        server.dimse
    );
    fs::write(&config, peer).unwrap();
    let config = config.to_str().unwrap();
    let (exit, printed, said) =
        ask(&["find", "archive", "--config", config, "-k", "PatientName=MÜLLER*", "--return", "PatientName"]);
    assert_eq!((exit, printed.as_str()), (Some(0), "PatientName\nMüller^Zoë\n"), "{said}");
    eventually("the calling title is that of the configuration", || server.log().contains("calling=SENDER"));
    let (exit, _, said) = ask(&["find", "archiv", "--config", config]);
    assert!(exit == Some(2) && said.contains("did you mean \"archive\"?"), "{said}");
    let (exit, _, said) = ask(&["find", "archive"]);
    assert!(exit == Some(2) && said.contains("--config"), "{said}");
    let (exit, _, said) =
        ask(&["find", &format!("GANTRY@{}", server.dimse), "--root", "study", "--level", "patient"]);
    assert!(exit == Some(1) && said.contains("A900H failed: identifier does not match SOP class"), "{said}");
    let (exit, _, said) =
        ask(&["move", &format!("GANTRY@{}", free_ports::<1>()[0]), "--to", "X", "--study", "1.2"]);
    assert!(exit == Some(1) && said.contains("nothing listens there"), "{said}");
}

#[test]
fn wrong_arguments_are_told_before_anyone_is_called() {
    let peer = "PACS@127.0.0.1:1";
    for (arguments, part) in [
        (&["find", peer, "-k", "PatientNam=x"][..], "did you mean PatientName?"),
        (&["find", peer, "--return", "Modalty"], "did you mean Modality?"),
        (&["find", peer, "-k", "RequestAttributesSequence=x"], "sequence"),
        (&["find", peer, "--limit", "0"], "limit"),
        (&["find", peer, "--level", "scan"], "possible values"),
        (&["find"], "required"),
        (&["move", peer, "--study", "1.2"], "--to"),
        (&["move", peer, "--to", "VIEWER"], "--patient"),
        (&["move", peer, "--to", "VIEWER", "--series", "1.2"], "--study"),
        (&["move", peer, "--to", "VIEWER", "--study", "1.2.*"], "one value"),
        (&["get", peer, "--study", "1.2"], "--out"),
    ] {
        let (exit, _, said) = ask(arguments);
        assert!(exit == Some(2) && said.contains(part), "{arguments:?} {exit:?}\n{said}");
    }
}

const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
/// Nobody decodes it.
const FRAME: &[u8] = b"\xFF\xD8 a frame that nobody decodes. \xFF\xD9";

/// Instance 2.25.21.3.1, whose pixels are encapsulated.
fn compressed() -> Vec<u8> {
    let object = Object::new(21, 3, 1);
    let native = object.data_set();
    let at = native.len() - object.pixel_bytes - 12;
    let mut data = native[..at].to_vec();
    data.extend(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\0\0\0\0\xFE\xFF\x00\xE0");
    data.extend((FRAME.len() as u32).to_le_bytes());
    data.extend(FRAME);
    data.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    part10(CT, &object.instance, JPEG_LOSSLESS, &data)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    crate::harness::find(haystack, needle).is_some()
}
