use std::time::Duration;

use bytes::{Buf, BytesMut};

use crate::extended;
use crate::negotiate::{Service, negotiate};
use crate::pdu::{AssociateAc, AssociateRq, Implementation, ProposedContext, Titles};
use crate::{Association, Event};

/// Feeds any bytes to an acceptor as its peer, in chunks whose lengths are taken from the bytes, and does what the events ask for.
///
/// # Panics
/// When the association breaks its contract: it buffers what it need not, or does not end.
pub fn fuzz_pdu(data: &[u8]) {
    talk(Association::acceptor(Duration::from_secs(10)), data);
}

/// The same with a requestor, which called the peer.
///
/// # Panics
/// As [`fuzz_pdu`].
pub fn fuzz_answer(data: &[u8]) {
    let syntaxes = vec![model::syntax::IMPLICIT_VR_LITTLE_ENDIAN.into()];
    let contexts = ProposedContext::numbered([(model::sop::VERIFICATION.into(), syntaxes)]);
    let Ok(title) = model::AeTitle::parse("FUZZ") else { return };
    let titles = Titles::new(&title, &title);
    let rq = AssociateRq::new(titles, contexts.unwrap_or_default(), 16_384, Implementation::default());
    let Ok(mut association) = Association::requestor(rq, Duration::from_secs(10)) else { return };
    assert_eq!(association.connected(), Ok(()), "the request goes out");
    association.output().clear();
    talk(association, data);
}

fn talk(mut association: Association, data: &[u8]) {
    let mut input = BytesMut::new();
    let mut fragment = 0_usize;
    let mut rest = data;
    while let Some((&length, after)) = rest.split_first() {
        let (chunk, after) = after.split_at(after.len().min(usize::from(length)));
        rest = after;
        input.extend_from_slice(chunk);
        loop {
            let taken = fragment.min(input.len());
            input.advance(taken);
            fragment -= taken;
            if fragment > 0 {
                break;
            }
            let Some(event) = association.receive(&mut input, Duration::ZERO) else {
                break;
            };
            fragment = respond(&mut association, event);
        }
        assert!(association.output().len() <= 4096 + 8 * data.len(), "answers grow with what was sent only");
    }
    association.transport_closed();
    assert!(!association.wants_close());
}

/// Bytes of the fragment that the caller has to take.
fn respond(association: &mut Association, event: Event) -> usize {
    match event {
        Event::AssociateRequested(rq) => {
            let answer = negotiate(&rq, |uid| (!uid.is_empty()).then_some(Service::Keeps));
            let extended = extended::answer(&rq, &answer.contexts, |_, asked| Some(asked.to_vec()));
            let mut ac =
                AssociateAc::answer(&rq, answer.contexts, answer.roles, 16_384, Implementation::default());
            ac.extended = extended;
            // A request may name what no answer has room for.
            if association.accept(&ac).is_err() {
                association.abort(crate::pdu::Abort::user(), Duration::ZERO);
            }
            0
        }
        Event::Data(pdv) => {
            assert!(pdv.bytes <= 16_384 && association.context(pdv.context_id).is_some());
            pdv.bytes as usize // at most 16,384
        }
        Event::ReleaseRequested => {
            let answered = association.release_response(Duration::ZERO);
            assert_eq!(answered, Ok(()));
            0
        }
        Event::Refused(_)
        | Event::Associated(_)
        | Event::Rejected(_)
        | Event::Released
        | Event::Aborted(_)
        | Event::ProtocolError(_)
        | Event::TimedOut
        | Event::Closed => 0,
    }
}
