use std::time::Duration;

use model::{charset, limits, part10, syntax};

use super::table::{Table, table};
use crate::cli::doctor;
use crate::config::Config;

pub(super) fn communication(config: &Config) -> String {
    let net = &config.net;
    let policies = table(
        ["", "default", "key"],
        &[
            ["AE title", net.ae_title.as_str(), "`ae_title`"],
            ["Longest PDU received, bytes", &net.max_pdu_bytes.to_string(), "`max_pdu_bytes`"],
            [
                "Longest PDU sent, bytes",
                &limits::SENT_PDU_BYTES.to_string(),
                "the peer's maximum when that is less",
            ],
            ["Associations accepted at once", &net.max_associations.to_string(), "`max_associations`"],
            [
                "Operations of a requestor under way at once",
                &limits::OPERATIONS_WINDOW.to_string(),
                "where it asks for several, and all its contexts are of Storage and Verification; else 1. `operations` of a peer",
            ],
            [
                "Our operations under way at once",
                "1",
                "`operations` of a C-MOVE destination, `gantry send --ahead`, where the peer grants them",
            ],
            ["Associations of one C-MOVE", &net.move_associations.to_string(), "`move_associations`"],
            ["ARTIM", &seconds(net.artim_timeout), "`artim_timeout`"],
            ["Association without a message", &seconds(net.idle_timeout), "`idle_timeout`"],
            ["Message that stands still", &seconds(net.message_timeout), "`message_timeout`"],
            ["Connecting", &seconds(net.connect_timeout), "`connect_timeout`"],
            ["Implementation Class UID", part10::IMPLEMENTATION_CLASS_UID, ""],
            [
                "Implementation Version Name",
                part10::IMPLEMENTATION_VERSION_NAME,
                "`GANTRY_HOP_n` where an upstream archive is asked for somebody else",
            ],
        ],
    );
    format!(
        "## 5 Network Communication\n\n\
         ### 5.1 Association policies\n\n{policies}\n\
         The application context is {}. TCP/IP over IPv4 and IPv6.\n\n\
         ### 5.2 Association acceptance\n\n\
         With `accept = \"known\"` only configured peers are let in, by calling AE title and address; with `check_called_ae` only \
         for our AE title and `aliases`. A peer may have `sop_classes`, `transfer_syntaxes`, `max_associations`, `max_pdu_bytes`, \
         `operations` and a user `identity` of its own. An association is rejected with:\n\n{}\n\
         ### 5.3 Presentation contexts\n\n{}\n\
         Of the transfer syntaxes that a context proposes, the first one is taken that the service knows, but Explicit VR Little \
         Endian where that would be Implicit VR Little Endian or Explicit VR Big Endian and it is proposed. Instances of a peer with \
         `transfer_syntaxes` come in the first of these that it proposes, or not at all. Where the requestor takes the SCP role only, \
         for C-GET, that one is taken in which most of the stored instances of the SOP Class can be sent, as they are or transcoded; of \
         several, the one in which most need no codec. A private SOP class that SOP Class Common \
         Extended Negotiation says to be none of the Storage Service Class is not accepted.\n",
        net::APPLICATION_CONTEXT,
        rejections(),
        contexts(),
    )
}

/// What is proposed where we request associations.
pub(super) fn initiation(config: &Config) -> String {
    let mut rows = Table::new(&["SOP Class", "asked for by", "transfer syntaxes proposed", "our roles"]);
    let mut storage_told = false;
    for one in net::capabilities() {
        if one.service == "Storage" && std::mem::replace(&mut storage_told, true) {
            continue;
        }
        let name = if one.service == "Storage" { "Storage SOP Classes" } else { one.name };
        let syntaxes = one.proposed_in.map_or_else(
            || {
                "that of the instances, and Explicit and Implicit VR Little Endian; to a peer that refused all these also JPEG-LS, JPEG 2000, \
                 JPEG Lossless (Selection Value 1), RLE and HTJ2K, all lossless, as far as they can be made; in a context each"
                    .to_owned()
            },
            names,
        );
        let roles = match one.service {
            "Storage" => "SCU; SCP by role selection for C-GET",
            "Storage Commitment" => "SCU; SCP by role selection to report",
            _ => "SCU",
        };
        rows.row(&[name, one.requested_by, &syntaxes, roles]);
    }
    format!(
        "### 5.4 Association initiation\n\n\
         Associations are requested of configured peers: by destinations, while there is something to deliver; by C-MOVE, to its \
         destination, up to {} at once; for storage commitment, to ask and to report, one at a time to each AE title; of upstream archives, \
         while somebody asks; and by the commands that call a peer, one each, but `gantry send --associations`, `gantry get`, which first \
         asks for the SOP classes by C-FIND over another, and `gantry doctor`. One that fails is tried \
         again as `retry` of the destination and `report_retry` say, and by nobody else. What a peer took and refused is remembered and \
         shapes what it is proposed next. Where more SOP Classes and transfer syntaxes wait than an association has contexts, another \
         follows.\n\n{}\n{}",
        config.net.move_associations,
        rows.finish(),
        of_doctor(),
    )
}

/// What `gantry doctor` does besides.
fn of_doctor() -> String {
    let compressed: Vec<&str> = doctor::compressed_syntaxes().collect();
    format!(
        "`gantry doctor` opens two associations or more with the peer that it looks at, one after the other: with Verification, where it \
         asks by C-ECHO, and where TLS fails as if the peer spoke none also without it; with {kinds} Storage SOP Classes and all other services, each in a context with \
         Explicit and Implicit VR Little Endian; with those of these classes that were taken and have pixels, in a context for each of {compressed}, \
         up to {contexts} contexts in each; and where Study Root GET was taken, with it and the {kinds} classes, in SCU and SCP role by role selection. Nothing is \
         asked for there: on request, over associations of their own, `--store` stores one Secondary Capture, `--query` asks for a study, and \
         `--commitment` asks for storage commitment of what was stored. For 30 s that one is also acceptor, at `listen` of `[dimse]` and of `[dimse.tls]` where no \
         server holds them: from anybody, of Verification and Storage Commitment only, in either role, with the report of its one transaction.\n",
        kinds = doctor::kinds(),
        compressed = names(&compressed),
        contexts = net::scu::examine::MAX_PROPOSALS,
    )
}

fn names(uids: &[&str]) -> String {
    uids.iter().filter_map(|uid| syntax::name(uid)).collect::<Vec<_>>().join(", ")
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

fn rejections() -> String {
    let mut rows = Table::new(&["result", "source", "reason", "when"]);
    for (rejection, when) in net::rejections() {
        let (result, source) = (rejection.result.to_string(), rejection.source.to_string());
        rows.row(&[&result, &source, &rejection.reason.to_string(), when]);
    }
    rows.finish()
}

fn contexts() -> String {
    let mut rows = Table::new(&["SOP Class", "transfer syntaxes accepted", "role selection"]);
    let mut storage_told = false;
    for one in net::capabilities() {
        if one.service == "Storage" && std::mem::replace(&mut storage_told, true) {
            continue;
        }
        let name = if one.service == "Storage" { "Storage SOP Classes" } else { one.name };
        let syntaxes = one.transfer_syntaxes.map_or_else(|| "all, known or not".to_owned(), names);
        let roles =
            if one.lets_requestor_be_scp { "the requestor may be SCP" } else { "the requestor is SCU" };
        rows.row(&[name, &syntaxes, roles]);
    }
    rows.finish()
}

pub(super) fn character_sets() -> String {
    let terms: Vec<String> = charset::terms().iter().map(|term| format!("`{term}`")).collect();
    format!(
        "## 6 Character Sets\n\n\
         Read, in objects and identifiers: ISO-IR 6 and {}; with code extensions (ISO/IEC 2022) whether or not a further value of \
         Specific Character Set announces them. Answers are in the set of the request where that can say them, else in `ISO_IR 192`. \
         Objects are never changed from one set to another.\n",
        terms.join(", ")
    )
}

pub(super) fn security() -> String {
    let (suites, groups) = net::tls::offered();
    format!(
        "## 7 Security\n\n\
         ### 7.1 Secure transport\n\n\
         TLS 1.3 and 1.2, for incoming and outgoing associations; certificates of callers are demanded unless `client_auth` says \
         less, and one may be bound to an AE title. The port is that of `listen` in `[dimse.tls]`, for which 2762 is registered. Keys and \
         certificates are files in PEM, which are read anew without a restart. After a record that fails its integrity check the \
         connection is closed, and the association ends as A-P-ABORT. HTTP is served without TLS, for a proxy to add.\n\n\
         Cipher suites, preferred ones first: {}.\n\n\
         Groups for key exchange: {}.\n\n\
         Not offered: TLS 1.1 and older, CBC and CCM suites, Camellia, static RSA, finite-field DHE, renegotiation, compression; \
         revocation is not checked.\n\n\
         ### 7.2 User identity\n\n\
         Types 1 (user name), 2 (user name and passcode) and 5 (JSON Web Token, signed by RS, PS, ES or EdDSA) are asked of a peer with \
         `identity`, and presented to one with `our_identity`. Types 3 (Kerberos) and 4 (SAML) prove nothing here. The server response \
         is given where it is asked for and an identity was looked at.\n\n\
         ### 7.3 Application level\n\n\
         Digital signatures, encryption of objects and audit messages are not made. Log lines, errors, metrics and the status page \
         have no patient data.\n",
        suites.join(", "),
        groups.join(", "),
    )
}

pub(super) fn configuration() -> String {
    "## 8 Configuration\n\n\
     One TOML file; `deploy/reference.toml` has every key with its default and meaning. AE title, ports, peers (AE title, address, \
     networks, TLS), destinations, upstream archives, rules, limits and timeouts are configured there.\n"
        .to_owned()
}
