//! What all sections share: the options and the servers that start on this machine.

use crate::options::Options;
use crate::peers::{Peer, Place};

/// One run of the program.
pub(crate) struct Bench {
    pub(crate) options: Options,
    available: Vec<Peer>,
}

impl Bench {
    /// Tries every server once; one that does not start is named and left out.
    pub(crate) fn new(options: Options) -> Self {
        let mut available =
            vec![Peer::Gantry, Peer::Orthanc, Peer::StoreScp, Peer::PlainStoreScp, Peer::QrScp];
        available.retain(|peer| match peer.start(Place::Memory) {
            Ok(_server) => true,
            Err(error) => {
                eprintln!("without {}: {error:#}", peer.name());
                false
            }
        });
        Self { options, available }
    }

    /// The servers that start here.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.available.clone()
    }

    /// Those of `wanted` that start here, each round beginning with another one.
    pub(crate) fn turns(&self, wanted: &[Peer], round: usize) -> Vec<Peer> {
        let mut peers: Vec<Peer> =
            wanted.iter().copied().filter(|peer| self.available.contains(peer)).collect();
        if !peers.is_empty() {
            let first = round % peers.len();
            peers.rotate_left(first);
        }
        peers
    }

    /// The rounds of the run.
    pub(crate) fn rounds(&self) -> std::ops::Range<usize> {
        0..self.options.rounds
    }
}
