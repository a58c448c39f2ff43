//! What went wrong, in plain words, and what to try next: the one table, without any doing.

use std::io::{self, ErrorKind};
use std::net::IpAddr;

use net::End;
use net::tls::{AlternativeName, Certificate, Problem, TlsError};

/// Words for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// What it means, as sentences.
    pub(super) why: String,
    /// What to try, as a sentence without its full stop.
    pub(super) next: String,
}

/// Who calls whom.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) called: String,
    pub(super) calling: String,
    /// Host and port.
    pub(super) address: String,
    /// Our address on this connection.
    pub(super) own: Option<IpAddr>,
    pub(super) by_tls: bool,
}

/// What was found to speak at a port that did not answer as it should.
#[derive(Debug, Clone)]
pub(super) enum Speaks {
    Tls(Option<Box<Certificate>>),
    /// DICOM without TLS.
    Dicom,
    /// HTTP, with its status line.
    Http(String),
    /// Nothing that we know.
    Unknown,
}

pub(super) fn advice(why: impl Into<String>, next: impl Into<String>) -> Advice {
    Advice { why: why.into(), next: next.into() }
}

/// Of a host's name that led to no address.
pub(super) fn resolution(error: &io::Error, address: &str) -> Advice {
    match error.kind() {
        ErrorKind::TimedOut => advice(
            "The name servers of this machine do not answer.",
            "look at the DNS of this machine, or write the peer's IP address in place of its name",
        ),
        _ => advice(
            format!("No name server knows the host of {address}."),
            "look for a typing error in the name, or write the peer's IP address in its place",
        ),
    }
}

/// Of a connection that was not made.
pub(super) fn connection(error: &io::Error, address: &str) -> Advice {
    let port = address.rsplit_once(':').map_or("that port", |(_, port)| port);
    match error.kind() {
        ErrorKind::ConnectionRefused => advice(
            format!("The machine is there, and nothing listens at its port {port}, or a firewall refuses."),
            "see that the peer's DICOM service runs, and ask its administrator for its port",
        ),
        ErrorKind::TimedOut => advice(
            "There is no answer at all: the machine is off, the address is wrong, or a firewall drops what we send.",
            format!(
                "look at the address, then at the firewalls in between: TCP to port {port} must be let through"
            ),
        ),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => advice(
            "No way leads there from this machine.",
            "look at the address, and at this machine's network: interface, VLAN, route, VPN",
        ),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => advice(
            "The connection was made and broken off at once, as a firewall or a full service does.",
            "look at what the peer logs, and at the firewalls in between",
        ),
        ErrorKind::PermissionDenied => advice(
            "This machine does not let us connect there.",
            "look at the firewall of this machine for outgoing connections",
        ),
        _ => advice("", format!("look at the network between here and {address}")),
    }
}

/// Of A-ASSOCIATE-RJ, by result, source and reason (PS3.8 Table 9-21).
pub(super) fn rejection(result: u8, source: u8, reason: u8, call: &Call) -> Advice {
    let Call { called, calling, .. } = call;
    let here = call.own.map(|own| format!(" with our address {own}")).unwrap_or_default();
    let later =
        || "wait a minute and try again, or ask its administrator how many associations it allows".to_owned();
    let advice = match (source, reason) {
        (1, 1) => advice(
            "The peer's software does not want this association, and does not say why. Often it knows us by another AE title or \
             address.",
            format!("have {calling}{here} added at the peer, and look at what it logs"),
        ),
        (1, 2) => advice(
            "The peer does not speak DICOM's application context: it is no ordinary DICOM service.",
            "ask its administrator for the port of its DICOM service",
        ),
        (1, 3) => advice(
            format!("The peer knows no AE title {calling}{here}."),
            format!("have {calling}{here} added at the peer, or call as whom it knows: --calling"),
        ),
        (1, 7) => advice(
            format!("The peer is not configured as {called}. Capitals count."),
            "ask its administrator for its AE title, and call it by that",
        ),
        (2, 1) => advice(
            "The peer's DICOM layer refuses, and does not say why. So does one that wants a user identity, or does not know ours.",
            "look at what the peer logs; if it asks for a user, present one that it knows: --user, or `our_identity` of its table",
        ),
        (2, 2) => advice(
            "The peer does not speak version 1 of the protocol, the only one there is.",
            "ask its administrator for the port of its DICOM service",
        ),
        (3, 1) => advice("The peer is too busy at the moment.", later()),
        (3, 2) => advice("The peer has as many associations as it allows.", later()),
        (_, _) => advice(
            format!("The standard has no such reason (source {source}, reason {reason})."),
            "look at what the peer logs",
        ),
    };
    match result {
        2 if source != 3 => Advice {
            next: format!("try again, as the peer says that this is for now only; else {}", advice.next),
            ..advice
        },
        _ => advice,
    }
}

/// Of our user identity, which cannot be presented, or which the peer does not look at.
pub(super) fn identity(error: &net::Error) -> Advice {
    match error {
        net::Error::IdentityIgnored => advice(
            "`our_identity` is presented, and the peer did not say that it looked at it.",
            "have user identity set up at the peer, or take `our_identity` out of its table",
        ),
        _ => advice(
            "Our user identity cannot be presented.",
            "see that the file or variable of `our_identity` is there and can be read",
        ),
    }
}

/// Of A-ABORT while the association was to be made, by source and reason (PS3.8 Table 9-26).
pub(super) fn abort(source: u8, reason: u8) -> Advice {
    let (why, next) = match (source, reason) {
        (0, _) => (
            "The peer's software gave up on our request.",
            "look at what the peer logs; some abort in place of a rejection when they do not know who calls",
        ),
        (2, 1 | 2 | 4 | 5 | 6) => (
            "The peer's DICOM layer finds fault with our request.",
            "look at what the peer logs, and whether this is the port of its DICOM service, with or without TLS",
        ),
        (2, _) => (
            "The peer's DICOM layer gave up, and does not say why: it may be stopping, or want TLS at this port.",
            "look at what the peer logs, and ask whether this is its port for TLS",
        ),
        (_, _) => ("The standard has no such source.", "look at what the peer logs"),
    };
    advice(why, next)
}

/// Of an association that was not made.
pub(super) fn association(end: &End, speaks: &Speaks, call: &Call) -> Advice {
    if let Some(advice) = mistaken(speaks, call) {
        return advice;
    }
    match end {
        End::Rejected(it) => rejection(it.result, it.source, it.reason, call),
        End::Aborted(aborted) => abort(aborted.source, aborted.reason),
        End::Closed | End::Lost(_) => advice(
            "It took the connection, and closed it without a word of DICOM. Some peers treat callers so whom they do not know.",
            format!(
                "have {}{} added at the peer, and look at what it logs",
                call.calling,
                call.own.map(|own| format!(" with our address {own}")).unwrap_or_default()
            ),
        ),
        End::TimedOut(_) => advice(
            "It took the connection, and says nothing: it hangs, or is no DICOM service.",
            "ask its administrator for the port of its DICOM service, and have that restarted if this is it",
        ),
        End::Violation(_) | End::OutOfTurn(_) | End::Assemble(_) => {
            advice("What it answers is not DICOM.", "ask its administrator for the port of its DICOM service")
        }
        End::Released | End::Displaced | End::Abandoned | End::Shutdown | End::Panicked | End::Refused(_) => {
            advice("", "look at what the peer logs")
        }
    }
}

/// Of a port where something else speaks.
fn mistaken(speaks: &Speaks, call: &Call) -> Option<Advice> {
    match speaks {
        Speaks::Tls(certificate) if !call.by_tls => {
            let shown = certificate.as_ref().map(|it| format!(" Its certificate: {it}.")).unwrap_or_default();
            Some(advice(
                format!("The peer speaks TLS at this port, and we called without.{shown}"),
                "call it by TLS (--tls and --ca, or `tls` of the peer in the configuration), or at its plain port",
            ))
        }
        Speaks::Dicom if call.by_tls => Some(advice(
            "The peer speaks DICOM without TLS at this port, and we called by TLS.",
            "call it at its port for TLS (often 2762), or without TLS",
        )),
        Speaks::Http(status) => Some(advice(
            format!("That is a web server: it answers {status:?}."),
            "ask its administrator for the port of its DICOM service (often 104 or 11112); the one called is for HTTP",
        )),
        Speaks::Tls(_) | Speaks::Dicom | Speaks::Unknown => None,
    }
}

/// Of a TLS handshake that failed.
pub(super) fn tls(error: &TlsError, speaks: &Speaks, call: &Call) -> Advice {
    if let Some(advice) = mistaken(speaks, call) {
        return advice;
    }
    let presented = error.presented.as_deref();
    let fingerprint = presented.map(|it| format!("--fingerprint {}", shown_fingerprint(it)));
    let pin = || fingerprint.clone().unwrap_or_else(|| "--fingerprint".to_owned());
    match error.problem {
        Problem::UnknownCa if presented.is_some_and(Certificate::is_self_signed) => advice(
            "Its certificate is self-signed: no CA stands behind it.",
            format!(
                "compare the fingerprint with what its administrator reads there, and if it is the same trust this one certificate: {}",
                pin()
            ),
        ),
        Problem::UnknownCa => advice(
            format!(
                "None of the CAs that we trust has made it; it says that it comes from {}.",
                presented.map_or("others", |it| it.issuer.as_str())
            ),
            format!(
                "get the file with that CA's certificate (--ca), with those in between; or, once its administrator has read the \
                 same fingerprint to you, trust this one certificate: {}",
                pin()
            ),
        ),
        Problem::WrongName => advice(names(presented), name_advice(presented, call)),
        Problem::Expired => advice(
            "Nobody should trust it any longer.",
            "have the peer's administrator put a new certificate in place; is this machine's clock right?",
        ),
        Problem::NotYetValid => advice(
            "Its time has not begun, by this machine's clock.",
            "look at this machine's clock, and at the peer's",
        ),
        Problem::BadCertificate => advice(
            "",
            format!(
                "have a proper certificate made for the peer; until then, once its administrator has read the same fingerprint \
                 to you, trust it as it is: {}",
                pin()
            ),
        ),
        Problem::Refused => advice(
            "The peer looks at our certificate, and does not like it, or the lack of it.",
            "present one that the peer trusts (--certificate and --key), or have our CA added at the peer",
        ),
        Problem::Nothing => advice(
            "Both ends speak TLS, and share no version, cipher suite or key exchange. We take TLS 1.2 and 1.3 as BCP 195 has them.",
            "have TLS 1.2 with ECDHE and AES-GCM, or TLS 1.3, switched on at the peer",
        ),
        Problem::TimedOut | Problem::Closed => advice(
            "It took the connection, and makes no TLS with us.",
            "ask its administrator whether this is its port for TLS, and look at what it logs",
        ),
        Problem::Protocol | Problem::Plain => {
            advice("", "ask its administrator whether this is its port for TLS")
        }
        Problem::NoCertificate => advice("", "have a certificate put in place at the peer"),
        Problem::Internal => advice("", "look at the files with our certificate and key"),
    }
}

fn names(presented: Option<&Certificate>) -> String {
    let Some(certificate) = presented else { return String::new() };
    let names: Vec<String> = certificate.names.iter().take(SHOWN_NAMES).map(ToString::to_string).collect();
    match names.as_slice() {
        [] => "It has no name of a host at all (subject alternative name).".to_owned(),
        names => format!("The names it has: {}.", names.join(", ")),
    }
}

fn name_advice(presented: Option<&Certificate>, call: &Call) -> String {
    let host = |name: &AlternativeName| match name {
        AlternativeName::Dns(name) if !name.starts_with('*') => Some(name.clone()),
        AlternativeName::Ip(address) => Some(address.to_string()),
        AlternativeName::Dns(_) | AlternativeName::Uri(_) => None,
    };
    let called = call.address.rsplit_once(':').map_or(call.address.as_str(), |(host, _)| host);
    match presented.and_then(|it| it.names.iter().find_map(host)) {
        Some(name) => format!(
            "call it by that name, or say which it has if this is the right peer: --server-name {name}"
        ),
        None => match presented {
            Some(it) => format!(
                "have a certificate made for {called}; until then, once its administrator has read the same fingerprint to you, \
                 trust this one as it is: --fingerprint {}",
                shown_fingerprint(it)
            ),
            None => format!("have a certificate made for {called}"),
        },
    }
}

fn shown_fingerprint(certificate: &Certificate) -> String {
    let digits: String = certificate.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// Of what a bucket answers, in the words in which deliveries have it.
pub(super) fn bucket(reason: &str) -> String {
    let has = |word: &str| reason.contains(word);
    match reason.rsplit_once(": look at ") {
        Some((_, what)) => format!("look at {what}"),
        None if has("certificate") => {
            "have the CA of its certificate added to those that this machine trusts".to_owned()
        }
        None if has("dns") || has("lookup") => {
            "look at the name in `endpoint`, and at this machine's DNS".to_owned()
        }
        None if has("cannot be reached") => {
            "see that the service runs, and look at `endpoint` and the firewalls in between".to_owned()
        }
        None => "look at what the service logs".to_owned(),
    }
}

const SHOWN_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn call(by_tls: bool) -> Call {
        Call {
            called: "PACS".to_owned(),
            calling: "GANTRY".to_owned(),
            address: "pacs.example:104".to_owned(),
            own: Some([10, 0, 0, 4].into()),
            by_tls,
        }
    }

    #[test]
    fn each_rejection_has_a_meaning_and_a_next_step() {
        for (result, source, reason, why, next) in [
            (1, 1, 1, "does not say why", "have GANTRY with our address 10.0.0.4 added at the peer"),
            (1, 1, 2, "no ordinary DICOM service", "the port of its DICOM service"),
            (
                1,
                1,
                3,
                "knows no AE title GANTRY with our address 10.0.0.4",
                "added at the peer, or call as whom it knows",
            ),
            (1, 1, 7, "is not configured as PACS", "ask its administrator for its AE title"),
            (1, 2, 1, "DICOM layer refuses", "look at what the peer logs"),
            (1, 2, 2, "does not speak version 1", "the port of its DICOM service"),
            (2, 3, 1, "too busy", "wait a minute"),
            (2, 3, 2, "as many associations as it allows", "wait a minute"),
            (2, 1, 1, "does not say why", "try again, as the peer says that this is for now only"),
            (1, 1, 4, "no such reason (source 1, reason 4)", "look at what the peer logs"),
            (1, 9, 1, "no such reason (source 9, reason 1)", "look at what the peer logs"),
        ] {
            let told = rejection(result, source, reason, &call(false));
            assert!(told.why.contains(why), "{result}/{source}/{reason}: {}", told.why);
            assert!(told.next.contains(next), "{result}/{source}/{reason}: {}", told.next);
        }
    }

    #[test]
    fn each_way_of_not_connecting_is_said_differently() {
        use ErrorKind as K;
        let mut all = Vec::new();
        for (kind, why) in [
            (K::ConnectionRefused, "nothing listens at its port 104"),
            (K::TimedOut, "no answer at all"),
            (K::HostUnreachable, "No way leads there"),
            (K::ConnectionReset, "broken off at once"),
            (K::PermissionDenied, "does not let us"),
        ] {
            let told = connection(&kind.into(), "pacs.example:104");
            assert!(told.why.contains(why), "{kind}: {}", told.why);
            assert!(!all.contains(&told.next), "{}", told.next);
            all.push(told.next);
        }
        assert!(resolution(&K::TimedOut.into(), "pacs.example:104").why.contains("do not answer"));
        assert!(resolution(&K::NotFound.into(), "pacs.example:104").why.contains("knows the host of pacs"));
    }

    #[test]
    fn aborts_are_told_by_their_source_and_reason() {
        for (source, reason, why) in [
            (0, 0, "gave up on our request"),
            (2, 0, "want TLS at this port"),
            (2, 1, "finds fault with our request"),
            (2, 6, "finds fault with our request"),
            (2, 3, "does not say why"),
            (7, 0, "no such source"),
        ] {
            let told = abort(source, reason);
            assert!(told.why.contains(why) && !told.next.is_empty(), "{source}/{reason}: {}", told.why);
        }
    }

    #[test]
    fn what_else_speaks_at_the_port_comes_first() {
        let end = End::Closed;
        let tls = association(&end, &Speaks::Tls(None), &call(false));
        assert!(
            tls.why.contains("speaks TLS at this port, and we called without") && tls.next.contains("--tls")
        );
        let http = association(&end, &Speaks::Http("HTTP/1.1 400 Bad Request".to_owned()), &call(true));
        assert!(http.why.contains("a web server") && http.next.contains("11112"));
        // Under TLS, TLS is no mistake.
        let closed = association(&end, &Speaks::Tls(None), &call(true));
        assert_eq!(closed, association(&end, &Speaks::Unknown, &call(true)));
        assert!(closed.why.contains("closed it without a word"));
        let silent = association(&End::TimedOut(net::Wait::Message), &Speaks::Unknown, &call(false));
        assert!(silent.why.contains("says nothing"));
    }

    #[test]
    fn buckets_are_advised_by_what_they_answer() {
        for (reason, next) in [
            (
                "https://s3/b answers 403 SignatureDoesNotMatch: look at secret_access_key",
                "look at secret_access_key",
            ),
            (
                "https://s3/b cannot be reached: dns error",
                "look at the name in `endpoint`, and at this machine's DNS",
            ),
            (
                "https://s3/b cannot be reached: invalid peer certificate: UnknownIssuer",
                "have the CA of its certificate added to those that this machine trusts",
            ),
            (
                "https://s3/b cannot be reached: Connection refused",
                "see that the service runs, and look at `endpoint` and the firewalls in between",
            ),
            ("https://s3/b answers 500 InternalError", "look at what the service logs"),
        ] {
            assert_eq!(bucket(reason), next);
        }
    }
}
