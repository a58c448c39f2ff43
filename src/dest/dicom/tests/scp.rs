use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dimse::{Command, Outcome, Status};
use model::AeTitle;
use net::scu::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use ul::negotiate::{Service, negotiate};
use ul::pdu::{AssociateAc, AssociateRj, ContextOutcome, Implementation};
use ul::{Association, Event};

/// A storage SCP that behaves as the test wants, and takes notes.
pub(super) struct Scp {
    pub(super) target: Target,
    notes: Arc<Mutex<Notes>>,
    refused_syntaxes: Arc<Mutex<Vec<&'static str>>>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
pub(super) struct Behaviour {
    /// Associations that it has at once, and what becomes of further ones.
    pub(super) most: usize,
    pub(super) beyond: Beyond,
    /// How long it counts an association after its end.
    pub(super) lingers: Duration,
    /// SOP classes that it does not take.
    pub(super) refused: &'static [&'static str],
    /// Transfer syntaxes that it does not take at present.
    pub(super) refused_syntaxes: Arc<Mutex<Vec<&'static str>>>,
    /// Instances that it answers on one association; it closes the connection when the next one has come, or at once.
    pub(super) lives: usize,
    pub(super) closes_at_once: bool,
    /// Its first associations end before anything has come.
    pub(super) stillborn: usize,
    /// With what it answers.
    pub(super) answer: Outcome,
}

#[derive(Clone, Copy)]
pub(super) enum Beyond {
    Rejected,
    Unanswered,
}

#[derive(Default)]
pub(super) struct Notes {
    /// The SOP classes of the contexts that each association was proposed for.
    pub(super) proposals: Vec<Vec<String>>,
    /// The transfer syntaxes of the same.
    pub(super) syntaxes: Vec<Vec<String>>,
    /// Whether somebody asked for asynchronous operations.
    pub(super) was_asked_for_operations: bool,
    /// SOP Instance UIDs that came, with the number of their association.
    pub(super) received: Vec<(usize, String)>,
    pub(super) open: usize,
    pub(super) most_open: usize,
    pub(super) released: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            most: usize::MAX,
            beyond: Beyond::Rejected,
            lingers: Duration::ZERO,
            refused: &[],
            refused_syntaxes: Arc::default(),
            lives: usize::MAX,
            closes_at_once: false,
            stillborn: 0,
            answer: Status::SUCCESS.into(),
        }
    }
}

impl Scp {
    pub(super) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let notes = Arc::new(Mutex::new(Notes::default()));
        let refused_syntaxes = Arc::clone(&behaviour.refused_syntaxes);
        let (tracker, shared) = (TaskTracker::new(), Arc::clone(&notes));
        let serving = tracker.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (behaviour, notes) = (behaviour.clone(), Arc::clone(&shared));
                tracker.spawn(async move { serve(stream, behaviour, &notes).await });
            }
        });
        Self {
            target: Target::plain(AeTitle::parse("SCP").unwrap(), address),
            notes,
            refused_syntaxes,
            serving,
        }
    }

    /// From the next association on it takes everything but these transfer syntaxes.
    pub(super) fn refuse(&self, syntaxes: &[&'static str]) {
        *self.refused_syntaxes.lock().unwrap() = syntaxes.to_vec();
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    /// Until `is_so` of what it has noted.
    pub(super) async fn eventually(&self, is_so: impl Fn(&Notes) -> bool) {
        let started = Instant::now();
        while !is_so(&self.notes()) {
            assert!(started.elapsed().as_secs() < 20, "it never comes");
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Scp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(stream: TcpStream, behaviour: Behaviour, notes: &Mutex<Notes>) {
    let association = Association::acceptor(Duration::from_secs(10));
    let mut end = End { stream, association, input: BytesMut::new() };
    let Some(Event::AssociateRequested(rq)) = end.event().await else { return };
    let number = {
        let mut notes = notes.lock().unwrap();
        if notes.open < behaviour.most {
            notes.proposals.push(rq.contexts.iter().map(|context| context.abstract_syntax.clone()).collect());
            notes
                .syntaxes
                .push(rq.contexts.iter().map(|context| context.transfer_syntaxes.concat()).collect());
            notes.was_asked_for_operations |= rq.window.is_some();
            notes.open += 1;
            notes.most_open = notes.most_open.max(notes.open);
            Some(notes.proposals.len())
        } else {
            None
        }
    };
    let Some(number) = number else {
        match behaviour.beyond {
            Beyond::Rejected => {
                end.association.reject(AssociateRj::LOCAL_LIMIT, Duration::ZERO).unwrap();
                end.flush().await;
            }
            Beyond::Unanswered => drop(end.event().await),
        }
        return;
    };
    let taken = |class: &str| (!behaviour.refused.contains(&class)).then_some(Service::Keeps);
    let mut contexts = negotiate(&rq, taken).contexts;
    for result in &mut contexts {
        if let ContextOutcome::Accepted { transfer_syntax } = &result.outcome
            && behaviour.refused_syntaxes.lock().unwrap().contains(&transfer_syntax.as_str())
        {
            result.outcome = ContextOutcome::TransferSyntaxesNotSupported;
        }
    }
    let ac = AssociateAc::answer(&rq, contexts, Vec::new(), 16_384, Implementation::default());
    end.association.accept(&ac).unwrap();
    end.flush().await;
    let is_released = number > behaviour.stillborn && end.store(number, &behaviour, notes).await;
    if !behaviour.lingers.is_zero() {
        tokio::time::sleep(behaviour.lingers).await;
    }
    let mut notes = notes.lock().unwrap();
    notes.open -= 1;
    notes.released += usize::from(is_released);
}

/// Its end of one association.
struct End {
    stream: TcpStream,
    association: Association,
    input: BytesMut,
}

impl End {
    /// Takes instances; whether the association was released.
    async fn store(&mut self, number: usize, behaviour: &Behaviour, notes: &Mutex<Notes>) -> bool {
        for lived in 1.. {
            let Some((context_id, command)) = self.fragments().await else { return self.release().await };
            let (Command::CStoreRq(request), true) = Command::decode(&command).unwrap() else { panic!() };
            if self.fragments().await.is_none() {
                return false;
            }
            let instance = request.affected_sop_instance_uid.clone().unwrap().to_string();
            notes.lock().unwrap().received.push((number, instance));
            if lived > behaviour.lives {
                break;
            }
            let response = Command::from(request.answer(behaviour.answer.clone()));
            self.association.send(context_id, true, &response.to_bytes()).unwrap();
            self.flush().await;
            if lived == behaviour.lives && behaviour.closes_at_once {
                break;
            }
        }
        false
    }

    async fn release(&mut self) -> bool {
        if self.association.release_response(Duration::ZERO).is_err() {
            return false;
        }
        self.flush().await;
        true
    }

    /// A command set or data set, with its presentation context.
    async fn fragments(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut bytes = Vec::new();
        loop {
            let Event::Data(pdv) = self.event().await? else { return None };
            while self.input.len() < pdv.bytes as usize {
                if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                    return None;
                }
            }
            bytes.extend_from_slice(&self.input[..pdv.bytes as usize]);
            self.input.advance(pdv.bytes as usize);
            if pdv.is_last {
                return Some((pdv.context_id, bytes));
            }
        }
    }

    /// The next event; `None` at the end of the connection.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.association.receive(&mut self.input, Duration::ZERO) {
                return Some(event);
            }
            if self.stream.read_buf(&mut self.input).await.ok()? == 0 {
                self.association.transport_closed();
                return None;
            }
        }
    }

    async fn flush(&mut self) {
        let bytes = self.association.output().split();
        // The other end may have gone.
        drop(self.stream.write_all(&bytes).await);
    }
}
