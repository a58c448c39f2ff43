//! The association as acceptor: the request, and the fragments of one CT.

use std::hint::black_box;
use std::time::Duration;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput};
use model::syntax::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use model::{AeTitle, sop};
use ul::negotiate::{Service, negotiate};
use ul::pdu::{AssociateAc, AssociateRq, Implementation, ProposedContext, Titles};
use ul::{Association, Event, pdata};

use crate::synthetic::CT_IMAGE_STORAGE;

const CT_BYTES: usize = 526_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let rq = request(64).to_pdu().expect("the request fits a PDU");
    let mut group = criterion.benchmark_group("association");
    group.throughput(Throughput::Elements(1));
    group.bench_function("accept 64 contexts", |bencher| {
        bencher.iter(|| established(black_box(&rq)));
    });
    for pdu_bytes in [16_384, 131_072] {
        group.bench_function(format!("heads of one CT, PDUs of {pdu_bytes}"), |bencher| {
            let heads = heads(pdu_bytes);
            bencher.iter_batched_ref(
                || established(&rq),
                |association| take(association, &heads),
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("fragments of one CT to send", |bencher| {
        bencher.iter(|| pdata::fragments(black_box(131_072), CT_BYTES as u64).count());
    });
    group.finish();
}

fn request(contexts: usize) -> AssociateRq {
    let storage = (CT_IMAGE_STORAGE.to_owned(), vec![EXPLICIT_VR_LITTLE_ENDIAN.to_owned()]);
    let verification = (sop::VERIFICATION.to_owned(), vec![IMPLICIT_VR_LITTLE_ENDIAN.to_owned()]);
    let proposed = [storage, verification].into_iter().cycle().take(contexts);
    let contexts = ProposedContext::numbered(proposed).expect("at most 128 contexts");
    let title = AeTitle::parse("BENCH").expect("an AE title");
    AssociateRq::new(Titles::new(&title, &title), contexts, 131_072, Implementation::default())
}

/// An acceptor that has read the request and written its answer.
fn established(rq: &[u8]) -> Association {
    let mut association = Association::acceptor(Duration::from_secs(10));
    let mut input = BytesMut::from(rq);
    let Some(Event::AssociateRequested(rq)) = association.receive(&mut input, Duration::ZERO) else {
        panic!("the request was not understood");
    };
    let answer = negotiate(&rq, |_| Some(Service::Keeps));
    let ac = AssociateAc::answer(&rq, answer.contexts, answer.roles, 131_072, Implementation::default());
    association.accept(&ac).expect("the request waits for its answer");
    association.output().clear();
    association
}

/// The heads of the PDUs that carry one CT, as a peer with one fragment for each PDU sends them.
fn heads(pdu_bytes: usize) -> Vec<[u8; 12]> {
    let fragment_bytes = pdu_bytes - 6;
    let count = CT_BYTES.div_ceil(fragment_bytes);
    let length = |index| if index + 1 == count { CT_BYTES - index * fragment_bytes } else { fragment_bytes };
    (0..count).map(|index| pdata::header(1, false, index + 1 == count, as_length(length(index)))).collect()
}

fn as_length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a fragment is smaller than 4 GiB")
}

/// The data goes past the association, as in the server.
fn take(association: &mut Association, heads: &[[u8; 12]]) {
    let mut input = BytesMut::new();
    for head in heads {
        input.extend_from_slice(head);
        let event = association.receive(&mut input, Duration::ZERO);
        assert!(matches!(event, Some(Event::Data(_))), "{event:?}");
    }
}
