use model::part10;

use super::table::{Table, table};
use crate::config::Config;

pub(super) fn cover() -> String {
    format!(
        "# DICOM Conformance Statement\n\n{}",
        table(
            ["", ""],
            &[
                ["Product", "Gantry"],
                ["Version", env!("CARGO_PKG_VERSION")],
                ["Implementation Class UID", part10::IMPLEMENTATION_CLASS_UID],
                ["Implementation Version Name", part10::IMPLEMENTATION_VERSION_NAME],
                ["Made by", "`gantry conformance`, from the tables that the program runs on"],
            ]
        )
    )
}

/// PS3.2 Annex N: what changed from version to version.
pub(super) fn history() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let rows = table(["version", "changes"], &[[version, "the first; what changes is in `CHANGELOG.md`"]]);
    format!("## Revision History\n\n{rows}")
}

pub(super) fn overview() -> String {
    format!(
        "## 1 Conformance Statement Overview\n\n\
         Gantry receives DICOM objects over DIMSE and DICOMweb, keeps them exactly as received, indexes them, routes them by rules to \
         application entities, S3 buckets and folders, and answers queries and retrieves, if so configured also for other archives.\n\n\
         ### 1.1 Network services\n\n{}\n\
         Storage SOP Classes are those of Annex A; newer ones below 1.2.840.10008.5.1.4.1.1 and private ones are taken too, those of objects \
         without a study (Non-Patient Object Storage, PS3.4 Annex GG) are not.\n\n\
         ### 1.2 DICOMweb services\n\n{}\n\
         ### 1.3 Media services\n\n\
         None. A destination of kind `folder` holds DICOM files (PS3.10) without a DICOMDIR, which is no media application profile.\n\n\
         ### 1.4 Transfer syntaxes\n\n\
         Every transfer syntax is received, kept and given back as it is. Annex B lists what is decoded and encoded on the way out.\n\n\
         ### 1.5 Security\n\n{}",
        network_services(),
        web_services(),
        table(
            ["profile", "support"],
            &[
                [
                    "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 §B.12)",
                    "client and server, on a port of its own"
                ],
                ["Modified BCP 195 profile (PS3.15 §B.13)", "not claimed"],
            ]
        )
    )
}

fn network_services() -> String {
    let mut rows = Table::new(&["SOP Class", "UID", "SCU", "SCP"]);
    for one in net::capabilities().filter(|one| one.service != "Storage") {
        rows.row(&[one.name, one.sop_class, one.requested_by, "yes"]);
    }
    if let Some(storage) = net::capabilities().find(|one| one.service == "Storage") {
        rows.row(&["Storage SOP Classes", "Annex A", storage.requested_by, "yes"]);
    }
    rows.finish()
}

fn web_services() -> String {
    table(
        ["service", "origin server", "user agent"],
        &[
            ["Studies Service, Search (QIDO-RS, PS3.18 §10.6)", "yes", "no"],
            ["Studies Service, Retrieve (WADO-RS, PS3.18 §10.4)", "yes", "no"],
            ["Studies Service, Store (STOW-RS, PS3.18 §10.5)", "yes", "no"],
        ],
    )
}

pub(super) fn introduction() -> String {
    format!(
        "## 2 Introduction\n\n\
     ### 2.1 Audience\n\n\
     Who plans, connects and runs imaging networks, and knows DICOM: its services, objects and terms.\n\n\
     ### 2.2 Remarks\n\n\
     DICOM by itself does not guarantee interoperability. This statement allows a first comparison of applications that claim \
     conformance; whether they do together what is wanted must be tested. `deploy/interoperability.md` has the tests that are run \
     with other implementations.\n\n\
     ### 2.3 Terms\n\n\
     Terms are those of the DICOM Standard; section numbers are those of its current edition (NEMA PS3). The layout follows PS3.2 \
         Annex N. *Peer* is an application entity that the configuration names.\n\n\
         ### 2.4 Abbreviations\n\n{}\n\
         ### 2.5 References\n\n\
         NEMA PS3, Digital Imaging and Communications in Medicine (DICOM) Standard, <https://www.dicomstandard.org/current>. RFC 8996 and \
         RFC 9325 (BCP 195), Use of TLS. RFC 7519, JSON Web Token.\n",
        table(
            ["", ""],
            &[
                ["AE", "Application Entity"],
                ["PDU", "Protocol Data Unit"],
                ["QIDO-RS", "Query based on ID for DICOM Objects by RESTful Services"],
                ["SCP, SCU", "Service Class Provider, Service Class User"],
                ["SOP", "Service-Object Pair"],
                ["STOW-RS", "Store over the Web by RESTful Services"],
                ["TLS", "Transport Layer Security"],
                ["UID", "Unique Identifier"],
                ["VR", "Value Representation"],
                ["WADO-RS", "Web Access to DICOM Objects by RESTful Services"],
            ],
        )
    )
}

pub(super) fn implementation_model(config: &Config) -> String {
    let net = &config.net;
    format!(
        "## 3 Implementation Model\n\n\
         ### 3.1 Application entity\n\n\
         There is one application entity, here {ae}, with all services as SCU and SCP, on a port without TLS ({listen}) and if so \
         configured on one with TLS beside it.\n\n\
         ```text\n\
         modality, PACS ── C-STORE ──▶ ┌────────┐ ── C-STORE, N-ACTION ──▶ PACS\n\
         DICOMweb client ── STOW-RS ─▶ │ {ae:<6} │ ── PUT ────────────────▶ S3 bucket\n\
         workstation ── C-FIND, C-GET ─▶│        │ ── file ────────────────▶ folder\n\
         workstation ── C-MOVE ───────▶ │        │ ── C-STORE ─────────────▶ move destination\n\
         viewer ── QIDO-RS, WADO-RS ──▶ └────────┘ ── C-FIND, C-GET ──────▶ upstream archive\n\
         ```\n\n\
         ### 3.2 Sequencing\n\n\
         C-STORE and STOW-RS answer with success once the object is synced to disk and its index row and the deliveries that the rules \
         made are committed. Deliveries follow on their own, with one queue for each destination. A storage commitment report is sent \
         once the request for it is durable, and says what holds when it is sent.\n",
        ae = net.ae_title,
        listen = net.listen,
    )
}
