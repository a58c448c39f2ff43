use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use dimse::Outcome;
use model::{SopClassUid, SopInstanceUid, TransferSyntaxUid};

use super::reader::Reader;
use super::store::{Kind, MAX_KINDS, NotSent, StoreScu};
use super::{Settings, Target};
use crate::end::End;
use crate::error::Error;

/// An instance in a file, to be sent as it is.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The file.
    pub path: PathBuf,
    /// Where in the file the data set begins; it ends with the file.
    pub data_offset: u64,
    /// SOP Class UID, which names the presentation context.
    pub sop_class: SopClassUid,
    /// SOP Instance UID.
    pub sop_instance: SopInstanceUid,
    /// The encoding of the data set; the peer has to take it, nothing is transcoded.
    pub transfer_syntax: TransferSyntaxUid,
}

/// Sends instances one after the other, in their order, on one association at a time, and tells `report` of each once: its index
/// and how the peer answered, or why it was not sent.
///
/// An association is made for as many instances as 128 presentation contexts serve; a context is one SOP class in one transfer syntax.
/// An instance that the peer takes no context for is passed over. When an association is lost in the middle of an
/// instance, that instance is tried once more on a new one: the peer may then get it twice, which C-STORE allows. When an
/// association cannot be made, everything that is left fails with that reason.
///
/// A data set of odd length gets one NUL at its end (PS3.5 §7.1.1); else its bytes go out as they are.
/// Memory: four chunks of 256 KiB, whatever the size of the instances. Dropping the future aborts without a word.
///
/// PS3.4 §B.2, PS3.7 §9.1.1.
pub async fn send_all(
    target: &Target,
    settings: &Settings,
    instances: Vec<Instance>,
    mut report: impl FnMut(usize, Result<Outcome, Arc<Error>>) + Send,
) {
    let instances: Arc<[Instance]> = instances.into();
    let mut next = 0;
    let mut tried = None;
    while next < instances.len() {
        let (batch, kinds) = batch(&instances, next);
        let scu = match StoreScu::associate(target, settings, &kinds).await {
            Ok(scu) => scu,
            Err(error) => {
                let error = Arc::new(error);
                return (next..instances.len()).for_each(|index| report(index, Err(Arc::clone(&error))));
            }
        };
        match send_batch(scu, &instances, batch.clone(), &mut report).await {
            Ok(()) => next = batch.end,
            Err(Broken { at, error: Error::Association(end) }) if tried != Some(at) => {
                tracing::debug!(end = crate::chain(&end), "association lost, trying again");
                tried = Some(at);
                next = at;
            }
            Err(Broken { at, error }) => {
                report(at, Err(Arc::new(error)));
                next = at + 1;
            }
        }
    }
}

/// An association that was lost, with the instance that was on its way.
struct Broken {
    at: usize,
    error: Error,
}

async fn send_batch(
    mut scu: StoreScu,
    instances: &Arc<[Instance]>,
    batch: Range<usize>,
    report: &mut (impl FnMut(usize, Result<Outcome, Arc<Error>>) + Send),
) -> Result<(), Broken> {
    let contexts: Vec<(usize, &Instance, Result<u8, Error>)> = batch
        .filter_map(|index| instances.get(index).map(|instance| (index, instance)))
        .map(|(index, instance)| (index, instance, scu.context(instance)))
        .collect();
    let accepted = contexts.iter().filter(|(_, _, context)| context.is_ok()).map(|(index, _, _)| *index);
    let mut reader = Reader::start(Arc::clone(instances), accepted.collect());
    for (index, instance, context) in contexts {
        let sent = match context {
            Ok(context_id) => scu.send(context_id, instance, &mut reader).await,
            Err(error) => {
                report(index, Err(Arc::new(error)));
                continue;
            }
        };
        match sent {
            Ok(outcome) => report(index, Ok(outcome)),
            Err(NotSent::File(error)) => report(index, Err(Arc::new(Error::File(error)))),
            Err(NotSent::Torn(error)) => {
                scu.close(&End::Abandoned).await;
                return Err(Broken { at: index, error: Error::File(error) });
            }
            Err(NotSent::Lost(end)) => {
                scu.close(&end).await;
                return Err(Broken { at: index, error: end.into() });
            }
        }
    }
    if let Err(error) = scu.release().await {
        // Every instance has been answered: nothing is lost.
        tracing::debug!(error = crate::chain(&error), "association not released");
    }
    Ok(())
}

/// The longest run from `start` on that one association can serve, and the kinds in it.
fn batch(instances: &[Instance], start: usize) -> (Range<usize>, Vec<Kind>) {
    let mut kinds = Vec::new();
    let mut known = HashSet::new();
    for (index, instance) in instances.iter().enumerate().skip(start) {
        let kind = (instance.sop_class.clone(), instance.transfer_syntax.clone());
        if known.contains(&kind) {
            continue;
        }
        if kinds.len() == MAX_KINDS {
            return (start..index, kinds);
        }
        known.insert(kind.clone());
        kinds.push(kind);
    }
    (start..instances.len(), kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(class: usize) -> Instance {
        Instance {
            path: PathBuf::new(),
            data_offset: 0,
            sop_class: SopClassUid::lenient(&format!("1.2.{class}")).unwrap(),
            sop_instance: SopInstanceUid::lenient("1.2.3").unwrap(),
            transfer_syntax: TransferSyntaxUid::lenient("1.2.840.10008.1.2").unwrap(),
        }
    }

    #[test]
    fn a_batch_ends_before_the_129th_kind() {
        let classes = (0..128).chain([5, 7, 128, 5]);
        let instances: Vec<Instance> = classes.map(instance).collect();
        let (first, kinds) = batch(&instances, 0);
        assert_eq!((first, kinds.len()), (0..130, 128));
        let (second, kinds) = batch(&instances, 130);
        assert_eq!((second, kinds.len()), (130..132, 2));
        assert_eq!(kinds[0].0.as_str(), "1.2.128");
    }
}
