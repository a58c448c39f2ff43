use model::{sop, syntax};

use super::table::Table;
use crate::cli::doctor;

pub(super) fn annex() -> String {
    format!(
        "## Annex A Storage SOP Classes\n\n{}\n\
         ## Annex B Transfer Syntaxes\n\n{}\n\
         Others are kept and given back as they are. Lossy objects are decompressed only.\n\n\
         ## Annex C Objects created, private attributes\n\n\
         No objects are created but by transcoding, which changes what the new transfer syntax demands: Photometric Interpretation, \
         Planar Configuration, Lossy Image Compression and what goes with it; and by `gantry doctor --store`, which makes one Secondary \
         Capture Image of the patient `{}` and stores it at the peer that it is to look at. No private attributes are added.\n",
        storage_classes(),
        transfer_syntaxes(),
        doctor::PATIENT_ID,
    )
}

fn storage_classes() -> String {
    let mut rows = Table::new(&["SOP Class", "UID"]);
    for (uid, name) in sop::registered().filter(|(uid, _)| sop::is_storage(uid)) {
        rows.row(&[name, uid]);
    }
    rows.finish()
}

fn transfer_syntaxes() -> String {
    let mut rows = Table::new(&["Transfer Syntax", "UID", "decoded by", "encoded by"]);
    for ability in pipeline::abilities() {
        let by = |library: Option<&'static str>| match library {
            Some("own") => "Gantry",
            Some(library) => library,
            None => "–",
        };
        let name = syntax::name(ability.uid).unwrap_or_default();
        rows.row(&[name, ability.uid, by(ability.decoder), by(ability.encoder)]);
    }
    rows.finish()
}
