//! The command line: exit codes, what is printed, starting and stopping.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, eventually, files_below, free_ports, gantry, run};
use crate::scu::{Scu, pdata};
use crate::synthetic::{CT, EXPLICIT, IMPLICIT, Object, part10};

fn code(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

#[test]
fn tells_its_version_and_its_commands() {
    let version = format!("gantry {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(code(gantry().arg("--version")), (Some(0), version));
    let (exit, help) = code(gantry().arg("--help"));
    assert_eq!(exit, Some(0));
    for command in ["serve", "check", "echo", "send", "find", "move", "get"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in\n{help}");
    }
}

#[test]
fn wrong_arguments_are_not_a_wrong_configuration() {
    for arguments in [
        &[][..],
        &["serve", "gantry.toml"],
        &["--config", "gantry.toml", "serve"],
        &["echo"],
        &["echo", "127.0.0.1:104"],
        &["echo", "PACS@127.0.0.1"],
        &["echo", "PACS@127.0.0.1:0"],
        &["echo", "A_TITLE_OF_17_CHA@127.0.0.1:104"],
        &["send", "PACS@127.0.0.1:104"],
        &["send", "PACS@127.0.0.1:104", "x", "--associations", "0"],
        &["send", "PACS@127.0.0.1:104", "x", "--associations", "65"],
        &["send", "PACS@127.0.0.1:104", "x", "--calling", ""],
        &["send", "PACS@127.0.0.1:104", "x", "--ahead", "0"],
        &["send", "PACS@127.0.0.1:104", "x", "--ahead", "65"],
    ] {
        let (exit, printed) = code(gantry().args(arguments));
        assert_eq!(exit, Some(2), "{arguments:?}\n{printed}");
    }
}

#[test]
fn without_a_configuration_none_is_looked_for() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("gantry.toml"), "nonsense").unwrap();
    assert_eq!(code(gantry().arg("check").current_dir(folder.path())).0, Some(0));
}

#[test]
fn sigterm_and_ctrl_c_end_the_server_well() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start();
        server.signal(signal);
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "{}", server.log());
        assert!(server.log().contains(&format!("signal=SIG{signal}")), "{}", server.log());
    }
}

#[test]
fn the_start_log_names_listeners_and_data() {
    let server = Server::start();
    let log = server.log();
    for expected in [
        format!("dimse={}", server.dimse),
        format!("web={}", server.web),
        format!("{}", server.data_dir().display()),
    ] {
        assert!(log.contains(&expected), "{expected} is not in\n{log}");
    }
    assert!(!log.contains("level=warn"), "{log}");
}

#[test]
fn the_start_log_warns_of_open_doors() {
    let [dimse, web] = free_ports();
    let folder = TempDir::new().unwrap();
    let config = format!(
        "[dimse]\nlisten = \"0.0.0.0:{}\"\n[web]\nlisten = \"0.0.0.0:{}\"\nopen = true\n",
        dimse.port(),
        web.port()
    );
    fs::write(folder.path().join("gantry.toml"), config).unwrap();
    let log = folder.path().join("log");
    let mut child = gantry()
        .args(["serve", "--config", "gantry.toml"])
        .current_dir(folder.path())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    eventually("both warnings", || {
        let log = fs::read_to_string(&log).unwrap();
        log.contains("HTTP is open") && log.contains("no [peer.NAME] is configured")
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = Server::start();
    let [dimse, web] = free_ports();
    let folder = TempDir::new().unwrap();
    let config = format!(
        "data_dir = {:?}\n[dimse]\nlisten = \"{dimse}\"\n[web]\nlisten = \"{web}\"\n",
        server.data_dir().display().to_string()
    );
    fs::write(folder.path().join("gantry.toml"), config).unwrap();
    let (exit, printed) =
        code(gantry().args(["serve", "--config", "gantry.toml"]).current_dir(folder.path()));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains(&server.data_dir().display().to_string()), "{printed}");
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn an_address_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = TempDir::new().unwrap();
    let config =
        format!("[dimse]\nlisten = \"{}\"\n[web]\nlisten = \"127.0.0.1:0\"\n", taken.local_addr().unwrap());
    fs::write(folder.path().join("gantry.toml"), config).unwrap();
    let (exit, printed) =
        code(gantry().args(["serve", "--config", "gantry.toml"]).current_dir(folder.path()));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains(&taken.local_addr().unwrap().to_string()), "{printed}");
}

#[test]
fn stopping_does_not_wait_for_idle_associations() {
    let mut server = Server::start();
    let mut idle = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    let started = Instant::now();
    assert_eq!(server.terminate().code(), Some(0), "{}", server.log());
    assert!(
        started.elapsed() < PATIENCE / 6,
        "an idle association held the server for {:?}",
        started.elapsed()
    );
    let end = idle.receive().unwrap_err();
    assert!(end.to_string().starts_with("PDU type 7"), "an A-ABORT, not {end}");
}

#[test]
fn stopping_lets_a_message_end() {
    let mut server = Server::start();
    let object = Object { pixel_bytes: 1 << 20, ..Object::new(1, 1, 1) };
    let data = object.data_set();
    let (first, rest) = data.split_at(800_000);
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    let command = scu.command(0x0001, CT, &[(0x0700, &[0, 0]), (0x1000, object.instance.as_bytes())], true);
    scu.send(1, true, &command).unwrap();
    for fragment in first.chunks(100_000) {
        scu.stream().write_all(&pdata(1, 0, fragment)).unwrap();
    }
    // The server is in the middle of the message when it has made the file.
    eventually("a file", || !files_below(&server.data_dir().join("instances")).is_empty());
    server.signal("TERM");
    eventually("the signal in the log", || server.log().contains("msg=stopping"));
    scu.send(1, false, rest).unwrap();
    assert_eq!(scu.receive().unwrap().status(), 0x0000);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    server.start_again();
    assert_eq!(server.get("/dicom-web/instances").json().as_array().unwrap().len(), 1);
}

#[test]
fn stopping_ends_within_ten_seconds_whatever_peers_do() {
    let mut server = Server::start();
    let mut scu = Scu::associate(server.dimse, &[(CT, &[EXPLICIT])]).unwrap();
    let command = scu.command(0x0001, CT, &[(0x0700, &[0, 0]), (0x1000, b"2.25.1")], true);
    scu.send(1, true, &command).unwrap();
    scu.stream().write_all(&pdata(1, 0, &[0; 1000])).unwrap();
    let started = Instant::now();
    assert_eq!(server.terminate().code(), Some(0), "{}", server.log());
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(11), "stopping took {elapsed:?}");
}

#[test]
fn echo_tells_whether_a_peer_answers() {
    let server = Server::start();
    let (exit, printed) = code(gantry().arg("echo").arg(format!("GANTRY@{}", server.dimse)));
    assert_eq!(exit, Some(0), "{printed}");
    let [nobody] = free_ports();
    let (exit, printed) = code(gantry().arg("echo").arg(format!("GANTRY@{nobody}")));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains(&nobody.to_string()) && printed.contains("nothing listens there"), "{printed}");
    let (exit, printed) = code(gantry().arg("echo").arg(format!("GANTRY@{}", server.web)));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains("is this a DICOM port"), "{printed}");
}

#[test]
fn what_is_kept_is_for_the_servers_user_only() {
    let server = Server::start();
    let folder = mixed_folder();
    let (sent, printed) =
        run(gantry().args(["send", &format!("GANTRY@{}", server.dimse)]).arg(folder.path()));
    assert!(sent, "{printed}");
    let kept = files_below(&server.data_dir());
    assert!(kept.len() > 3, "{kept:?}");
    for path in kept {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}

#[test]
fn send_without_instances_fails_and_says_what_was_skipped() {
    let folder = TempDir::new().unwrap();
    let [nobody] = free_ports();
    let send = || code(gantry().args(["send", &format!("PACS@{nobody}")]).arg(folder.path()));
    assert_eq!(send(), (Some(1), "nothing to send\n".to_owned()));
    symlink(folder.path(), folder.path().join("round")).unwrap();
    let (exit, printed) = send();
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains("round: is a link to a folder"), "{printed}");
}

#[test]
fn a_refusal_is_logged_with_its_reason() {
    let server = Server::with("", "check_called_ae = true\naccept = \"known\"", "");
    for (called, why) in [("OTHER", "called AE title is not ours"), ("GANTRY", "no [peer] has this AE title")]
    {
        assert_eq!(code(gantry().arg("echo").arg(format!("{called}@{}", server.dimse))).0, Some(1));
        let log = server.log();
        assert!(log.contains(&format!("called={called}")) && log.contains(why), "{log}");
    }
}

#[test]
fn echo_says_why_it_is_rejected() {
    let server = Server::with("", "check_called_ae = true", "");
    let (exit, printed) = code(gantry().arg("echo").arg(format!("OTHER@{}", server.dimse)));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains("called AE title") && printed.contains("is not called so"), "{printed}");
}

/// A folder of three instances below each other, and things that are none.
fn mixed_folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    write("1.dcm", &Object::new(1, 1, 1).file());
    write("a/2", &Object::new(1, 1, 2).file());
    write("a/b/bare", &Object::new(1, 2, 3).data_set());
    let directory = part10("1.2.840.10008.1.3.10", "2.25.9", EXPLICIT, b"");
    write("DICOMDIR", &directory);
    folder
}

#[test]
fn send_takes_files_and_folders_and_skips_directories_of_media() {
    let server = Server::start();
    let folder = mixed_folder();
    let target = format!("GANTRY@{}", server.dimse);
    let (sent, printed) = run(gantry().args(["send", &target]).arg(folder.path()));
    assert!(sent, "{printed}");
    assert!(printed.contains("DICOMDIR"), "{printed}");
    assert!(printed.contains("0000H") && printed.contains("3 of 3"), "{printed}");
    let found = server.get("/dicom-web/instances").json();
    assert_eq!(found.as_array().unwrap().len(), 3, "{found}");
    let bytes =
        server.get_as("/dicom-web/studies/2.25.1/series/2.25.1.2/instances/2.25.1.2.3", "application/dicom");
    assert!(bytes.body.ends_with(&Object::new(1, 2, 3).data_set()));
}

#[test]
fn send_over_several_associations_sends_each_once() {
    let server = Server::start();
    let folder = TempDir::new().unwrap();
    for n in 0..40 {
        fs::write(folder.path().join(n.to_string()), Object::new(1, 1, n).file()).unwrap();
    }
    let target = format!("GANTRY@{}", server.dimse);
    let (sent, printed) = run(gantry().args(["send", &target, "--associations", "4"]).arg(folder.path()));
    assert!(sent, "{printed}");
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    for expected in [
        r#"gantry_instances_received_total{door="dimse",status="stored"} 40"#,
        r#"gantry_instances_received_total{door="dimse",status="duplicate"} 0"#,
    ] {
        assert!(metrics.lines().any(|line| line == expected), "{expected} is not in\n{metrics}");
    }
}

#[test]
fn send_fails_when_a_file_is_no_dicom_and_sends_the_rest() {
    let server = Server::start();
    let folder = mixed_folder();
    fs::write(folder.path().join("notes.txt"), "nothing here").unwrap();
    let broken = Object::new(1, 1, 4).file();
    fs::write(folder.path().join("cut.dcm"), &broken[..broken.len() - 100]).unwrap();
    let target = format!("GANTRY@{}", server.dimse);
    let (exit, printed) = code(gantry().args(["send", &target]).arg(folder.path()));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains("notes.txt: is not DICOM"), "{printed}");
    assert!(printed.contains("cut.dcm: is unreadable"), "{printed}");
    assert_eq!(server.get("/dicom-web/instances").json().as_array().unwrap().len(), 3);
}

#[test]
fn send_counts_refusals_by_status() {
    let server = Server::with_free_bytes(u64::MAX >> 1);
    let folder = mixed_folder();
    let target = format!("GANTRY@{}", server.dimse);
    let (exit, printed) = code(gantry().args(["send", &target]).arg(folder.path()));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains("A700H") && printed.contains("0 of 3"), "{printed}");
}

#[test]
fn send_takes_the_class_and_instance_of_the_data_set() {
    let server = Server::start();
    let folder = TempDir::new().unwrap();
    let object = Object::new(1, 1, 1);
    let misleading = part10("1.2.840.10008.5.1.4.1.1.4", "2.25.77", EXPLICIT, &object.data_set());
    let file = folder.path().join("misleading.dcm");
    fs::write(&file, misleading).unwrap();
    let (sent, printed) = run(gantry().args(["send", &format!("GANTRY@{}", server.dimse)]).arg(&file));
    assert!(sent, "{printed}");
    let found = server.get("/dicom-web/instances").json();
    assert_eq!(found[0]["00080018"]["Value"][0], object.instance.as_str(), "{found}");
}

#[test]
fn send_says_which_contexts_a_peer_refuses() {
    let server = Server::start();
    let folder = TempDir::new().unwrap();
    let verification = part10("1.2.840.10008.1.1", "2.25.1.1.1", IMPLICIT, &{
        let mut bytes = vec![8, 0, 0x16, 0, 18, 0, 0, 0];
        bytes.extend(b"1.2.840.10008.1.1\0");
        bytes.extend([8, 0, 0x18, 0, 10, 0, 0, 0]);
        bytes.extend(b"2.25.1.1.1");
        bytes
    });
    fs::write(folder.path().join("1"), verification).unwrap();
    fs::write(folder.path().join("2"), Object::new(1, 1, 2).file()).unwrap();
    let (exit, printed) =
        code(gantry().args(["send", &format!("GANTRY@{}", server.dimse)]).arg(folder.path()));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains("1 of 2"), "{printed}");
}

#[test]
fn send_to_nobody_fails_with_the_reason() {
    let folder = mixed_folder();
    let [nobody] = free_ports();
    let (exit, printed) = code(gantry().args(["send", &format!("PACS@{nobody}")]).arg(folder.path()));
    assert_eq!(exit, Some(1), "{printed}");
    assert!(printed.contains(&nobody.to_string()) && printed.contains("0 of 3"), "{printed}");
}
