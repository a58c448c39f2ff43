//! User identity (PS3.7 §D.3.3.7), demanded of callers and presented to peers.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agreed::negotiate;
use crate::doctor::Found;
use crate::harness::{Launch, Server, dcmtk, eventually, gantry, run};
use crate::routed::{State, dicom, everything_to};
use crate::sinks::Scripted;
use crate::synthetic::Object;
use crate::tls_callers::file;

/// Peers at loopback: one known by a passcode, one by a name, one by tokens; and anybody else.
const PEERS: &str = "[peer.ct1]\nae_title = \"CT1\"\naddress = \"127.0.0.1:104\"\nidentity = { user = \"ct1\", password = { file = \"secret\" } }\n\
    [peer.ct2]\nae_title = \"CT2\"\naddress = \"127.0.0.1:104\"\nidentity = { user = \"ct2\" }\n\
    [peer.ct3]\nae_title = \"CT3\"\naddress = \"127.0.0.1:104\"\nidentity = { jwt_key = \"idp.pem\", issuer = \"https://idp\", audience = \"gantry\" }\n";

/// Keys that openssl makes, and what it signs with them.
struct IdentityProvider(TempDir);

impl IdentityProvider {
    fn new() -> Self {
        let provider = Self(TempDir::new().unwrap());
        provider.openssl(&[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            "key.pem",
        ]);
        provider.openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "idp.pem"]);
        provider
    }

    fn public_key(&self) -> String {
        fs::read_to_string(self.0.path().join("idp.pem")).unwrap()
    }

    fn openssl(&self, arguments: &[&str]) {
        let mut openssl = Command::new("openssl");
        let status =
            openssl.args(arguments).current_dir(self.0.path()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    }

    /// A token with these claims, by the algorithm of this name; `RS256` it is in fact.
    fn token(&self, algorithm: &str, claims: &Value) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({"alg": algorithm, "typ": "JWT"})), part(claims.clone()));
        fs::write(self.0.path().join("signed"), &signed).unwrap();
        self.openssl(&["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "signed"]);
        let signature = fs::read(self.0.path().join("signature")).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims(for_seconds: i64) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    json!({"iss": "https://idp", "aud": "gantry", "sub": "reader", "exp": now + for_seconds})
}

fn server(provider: &IdentityProvider) -> Server {
    let files = [("secret", "hunter2\n"), ("idp.pem", &provider.public_key())];
    Server::furnished(&files, ["", "", PEERS], Launch::default())
}

#[test]
fn pynetdicom_presents_what_is_asked_for_and_is_answered() {
    let provider = IdentityProvider::new();
    let server = server(&provider);
    let refused = json!([1, 2, 1]);
    let token = provider.token("RS256", &claims(300));
    for (calling, user, why) in [
        ("CT1", json!([2, "ct1", "hunter2"]), None),
        ("CT1", json!([2, "ct1", "hunter"]), Some("user name or passcode are wrong")),
        (
            "CT1",
            json!([1, "ct1", ""]),
            Some("it presented a user name as its user identity, and a user name with passcode is asked for"),
        ),
        (
            "CT1",
            Value::Null,
            Some("it presented no user identity, and a user name with passcode is asked for"),
        ),
        ("CT2", json!([1, "ct2", ""]), None),
        ("CT2", json!([1, "ct1", ""]), Some("user name or passcode are wrong")),
        ("CT3", json!([5, token, ""]), None),
        ("CT3", json!([2, "ct1", "hunter2"]), Some("and a JSON Web Token is asked for")),
    ] {
        let mut asked = json!({"calling": calling});
        if user != Value::Null {
            asked["user"] = user.clone();
        }
        let before = server.log().len();
        let told = negotiate(&server, &asked);
        match why {
            None => assert_eq!(
                (&told["echo"], &told["response"]),
                (&json!(0), &json!("")),
                "{calling} {user}: {told}"
            ),
            Some(why) => {
                assert_eq!(told["rejected"], refused, "{calling} {user}: {told}");
                eventually(why, || server.log()[before..].contains(why));
            }
        }
    }
    let told = negotiate(&server, &json!({"calling": "OTHER", "user": [2, "ct1", "hunter2"]}));
    assert_eq!(told["established"], true);
    assert!(told.get("response").is_none(), "nobody has looked at it: {told}");
    let log = server.log();
    assert!(log.contains("user=reader") && !log.contains("hunter"), "{log}");
    assert_eq!(server.metric("gantry_associations_rejected_total{reason=\"user_identity\"}"), 5);
}

#[test]
fn dcmtk_presents_passcodes_and_tokens() {
    let provider = IdentityProvider::new();
    let server = server(&provider);
    let folder = TempDir::new().unwrap();
    let write = |token: &str| fs::write(folder.path().join("token"), token).unwrap();
    let object = Object::new(1, 1, 1);
    let path = file(folder.path(), &object);
    let store = |calling: &str, options: &[&str]| {
        let mut storescu = dcmtk("storescu");
        storescu.args(["-v", "-aet", calling, "-aec", "GANTRY", "-rsp"]).args(options);
        let port = server.dimse.port().to_string();
        run(storescu.arg("127.0.0.1").arg(port).arg(&path).current_dir(folder.path()))
    };
    let (ok, printed) = store("CT1", &["-usr", "ct1", "-pwd", "hunter2"]);
    assert!(ok, "{printed}");
    assert!(!store("CT1", &["-usr", "ct1", "-pwd", "hunter3"]).0);
    let mut late = claims(300);
    late["nbf"] = json!(claims(3600)["exp"]);
    let mut endless = claims(300);
    endless.as_object_mut().unwrap().remove("exp");
    let mut elsewhere = claims(300);
    elsewhere["aud"] = json!("other");
    for (token, why) in [
        (provider.token("RS256", &claims(300)), None),
        (provider.token("RS256", &claims(-300)), Some("its JSON Web Token has expired")),
        (provider.token("RS256", &late), Some("its JSON Web Token does not hold yet")),
        (provider.token("RS256", &endless), Some("its JSON Web Token has no `exp`")),
        (provider.token("RS256", &elsewhere), Some("its JSON Web Token has another `aud` than is asked for")),
        (provider.token("none", &claims(300)), Some("is signed in a way that fits none of the keys")),
        (provider.token("HS256", &claims(300)), Some("is signed in a way that fits none of the keys")),
        (provider.token("PS256", &claims(300)), Some("is signed by none of the keys")),
        (IdentityProvider::new().token("RS256", &claims(300)), Some("is signed by none of the keys")),
        ("nonsense".to_owned(), Some("its JSON Web Token is none")),
    ] {
        write(&token);
        let before = server.log().len();
        let (ok, printed) = store("CT3", &["--jwt", "token"]);
        assert_eq!(ok, why.is_none(), "{why:?}: {printed}");
        if let Some(why) = why {
            eventually(why, || server.log()[before..].contains(why));
        }
    }
    assert_eq!(server.metric("gantry_instances_received_total{door=\"dimse\",status=\"stored\"}"), 1);
}

#[test]
fn new_keys_of_tokens_are_read_by_reload() {
    let (old, new) = (IdentityProvider::new(), IdentityProvider::new());
    let server = server(&old);
    let is_taken = |provider: &IdentityProvider| {
        let token = provider.token("RS256", &claims(300));
        negotiate(&server, &json!({"calling": "CT3", "user": [5, token, ""]}))["established"] == true
    };
    assert!(is_taken(&old) && !is_taken(&new));
    fs::write(server.dir().join("idp.pem"), "nonsense").unwrap();
    assert_eq!(server.command(&["reload"]).code, 64);
    assert!(is_taken(&old));
    fs::write(server.dir().join("idp.pem"), old.public_key() + &new.public_key()).unwrap();
    assert_eq!(server.command(&["reload"]).code, 0);
    assert!(is_taken(&old) && is_taken(&new));
}

#[test]
fn commands_say_who_the_user_is() {
    let provider = IdentityProvider::new();
    let server = server(&provider);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    fs::write(folder.path().join("token"), provider.token("RS256", &claims(300))).unwrap();
    let echo = |calling: &str, options: &[&str]| {
        let mut echo = gantry();
        echo.arg("echo").arg(format!("GANTRY@{}", server.dimse)).args(["--calling", calling]).args(options);
        run(echo.current_dir(folder.path()))
    };
    for (calling, options) in [
        ("CT1", &["--user", "ct1", "--password-file", "secret"][..]),
        ("CT2", &["--user", "ct2"]),
        ("CT3", &["--jwt-file", "token"]),
    ] {
        let (ok, printed) = echo(calling, options);
        assert!(ok, "{printed}");
    }
    let (ok, printed) = echo("CT1", &[]);
    assert!(!ok && printed.contains("it may ask for a user identity that it knows: see --user"), "{printed}");
    let (ok, printed) = echo("CT3", &["--jwt-file", "nowhere"]);
    assert!(!ok && printed.contains("no user identity: the file nowhere cannot be read"), "{printed}");
    let doctor = |options: &[&str]| {
        let peer = format!("GANTRY@{}", server.dimse);
        let options = [&["--calling", "CT1"], options].concat();
        Found::by(gantry().arg("doctor").arg(peer).args(options).current_dir(folder.path()))
    };
    doctor(&[]).assert_failed("association", &["wants a user identity", "--user"]);
    assert_eq!(doctor(&["--user", "ct1", "--password-file", "secret"]).code, 0);
    for options in [&["--password-file", "secret"][..], &["--user", "a", "--jwt-file", "token"]] {
        assert_eq!(gantry().args(["echo", "A@h:1"]).args(options).output().unwrap().status.code(), Some(2));
    }
}

/// A destination there, with this identity of ours.
fn delivering(address: SocketAddr, ours: &str, secrets: &[(&str, &str)]) -> Server {
    let rules = everything_to(&["sink"]);
    let peer = dicom("sink", "SINK", address)
        .replace("[destination", &format!("our_identity = {ours}\n[destination"));
    let tables = format!("[rules]\nfiles = [\"rules/*.toml\"]\n{peer}");
    let files = [&[("rules/rules.toml", rules.as_str())], secrets].concat();
    let server = Server::furnished(&files, ["", "", &tables], Launch::default());
    server.store(&[Object::new(1, 1, 1)]);
    server
}

#[test]
fn destinations_present_our_identity() {
    let asked = "[peer.sender]\nae_title = \"GANTRY\"\naddress = \"127.0.0.1:104\"\nidentity = { user = \"gantry\", password = { file = \"secret\" } }\n";
    let receiver = Server::furnished(&[("secret", "hunter2")], ["", "", asked], Launch::default());
    let ours = "{ user = \"gantry\", password = { file = \"secret\" }, response = true }";
    delivering(receiver.dimse, ours, &[("secret", "hunter2")]).wait_until_delivered("sink", 1);
    eventually("it is told who it was", || receiver.log().contains("user=gantry"));

    let sink = Scripted::start(json!({"user": [2, "gantry", "hunter2"]}));
    let unanswered = "{ user = \"gantry\", password = { file = \"secret\" } }";
    delivering(sink.address, unanswered, &[("secret", "hunter2")]).wait_until_delivered("sink", 1);
    assert_eq!(sink.events("user")[0]["primary"], "gantry");

    let wrong = delivering(receiver.dimse, ours, &[("secret", "hunter3")]);
    let reason = wrong.reason("sink");
    assert!(reason.contains("it may ask for a user identity that it knows"), "{reason}");
    assert!(!reason.contains("hunter") && !wrong.log().contains("hunter"));
}

#[test]
fn a_token_is_read_for_each_association() {
    let sink = Scripted::start(json!({"user": [5, "a.b.c", ""]}));
    let server =
        delivering(sink.address, "{ jwt = { file = \"token\" }, response = true }", &[("token", "old\n")]);
    let reason = server.reason("sink");
    assert!(reason.contains("user identity"), "{reason}");
    fs::write(server.dir().join("token"), "a.b.c\n").unwrap();
    server.wait_until_delivered("sink", 1);
}

#[test]
fn a_peer_that_does_not_look_at_our_identity_may_be_refused() {
    let sink = Scripted::start(json!({}));
    let server = delivering(sink.address, "{ user = \"gantry\", response = true }", &[]);
    let reason = server.reason("sink");
    assert!(reason.contains("the peer does not say that it looked at our user identity"), "{reason}");
    assert_ne!(server.ledger_of("sink")[0].state, State::Delivered);
    let content = delivering(sink.address, "{ user = \"gantry\" }", &[]);
    content.wait_until_delivered("sink", 1);
}
