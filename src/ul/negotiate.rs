//! What an acceptor answers, as pure functions of the request.

use std::collections::{HashMap, HashSet};

use model::syntax;

use crate::pdu::{
    APPLICATION_CONTEXT, AssociateRj, AssociateRq, ContextOutcome, ContextResult, OperationsWindow,
    ProposedContext, RoleSelection,
};

/// What a service does with data sets, and so which transfer syntaxes it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Keeps data sets as they come: any transfer syntax (storage). What is kept can be given back, so that the requestor may be SCP
    /// as well: it is sent what it retrieves by C-GET (PS3.4 §C.4.3).
    Keeps,
    /// Reads data sets itself: Implicit, Explicit, Deflated and Big Endian only (Verification, FIND, MOVE, GET). The requestor is SCU.
    Reads,
    /// As [`Service::Reads`], and either end may be its SCP: who was asked reports later, over an association of its own if need be
    /// (Storage Commitment, PS3.4 §J.3.3).
    Reports,
}

impl Service {
    /// The transfer syntaxes that are accepted; `None`: all, known or not.
    pub fn transfer_syntaxes(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Keeps => None,
            Self::Reads | Self::Reports => Some(&READABLE),
        }
    }

    /// Whether the requestor of an association may be its SCP.
    pub fn lets_requestor_be_scp(self) -> bool {
        match self {
            Self::Keeps | Self::Reports => true,
            Self::Reads => false,
        }
    }
}

/// What the acceptor of an association would rather have, and what it has to give.
#[derive(Clone, Copy)]
pub struct Wishes<'a> {
    /// Data sets that are kept come in the first of these transfer syntaxes that is offered; where there are any, others are not taken.
    pub preferred: &'a [String],
    /// In which transfer syntaxes there are how many instances of a SOP class.
    pub stored: &'a dyn Fn(&str) -> Vec<(String, u64)>,
    /// Whether what is stored in one transfer syntax can be sent in another.
    pub can_become: fn(&str, &str) -> bool,
}

/// What the acceptor found about the requestor of an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The calling AE title may call (from where it calls).
    pub is_calling_known: bool,
    /// The called AE title is one we answer to.
    pub is_called_ours: bool,
    /// The user identity is the one that is asked for, or none is.
    pub is_user_known: bool,
    /// One more association is within the limit.
    pub has_room: bool,
}

/// The answer to the presentation contexts and roles of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// One result for each proposed context id, in the request's order.
    pub contexts: Vec<ContextResult>,
    /// The roles granted.
    pub roles: Vec<RoleSelection>,
}

/// Whether the association may be, or how it is to be rejected. What is permanent is said before what is transient.
///
/// # Errors
/// The A-ASSOCIATE-RJ to be sent: 1/2/2, 1/1/2, 1/1/7, 1/1/3, 1/2/1 or 2/3/2. PS3.8 §9.3.4.
pub fn acceptable(rq: &AssociateRq, admission: Admission) -> Result<(), AssociateRj> {
    if rq.protocol_version & 1 == 0 {
        return Err(AssociateRj::PROTOCOL_VERSION);
    }
    if rq.application_context != APPLICATION_CONTEXT {
        return Err(AssociateRj::APPLICATION_CONTEXT);
    }
    if !admission.is_called_ours {
        return Err(AssociateRj::CALLED_AE_TITLE);
    }
    if !admission.is_calling_known {
        return Err(AssociateRj::CALLING_AE_TITLE);
    }
    if !admission.is_user_known {
        return Err(AssociateRj::USER_IDENTITY);
    }
    if !admission.has_room {
        return Err(AssociateRj::LOCAL_LIMIT);
    }
    Ok(())
}

/// Answers each presentation context and role; `service` says what serves an abstract syntax, `None` for nothing.
///
/// A context id that is even or was proposed before is not one: the even one is rejected, the repeated one left unanswered.
/// Of the roles that are proposed those are granted that the service has: a context without any is rejected.
///
/// PS3.8 §9.3.3.2; PS3.7 §D.3.3.4.
pub fn negotiate(rq: &AssociateRq, service: impl Fn(&str) -> Option<Service>) -> Negotiated {
    let wishes = Wishes { preferred: &[], stored: &|_| Vec::new(), can_become: |from, to| from == to };
    negotiate_for(rq, wishes, service)
}

/// As [`negotiate`], to the wishes of the acceptor.
pub fn negotiate_for(
    rq: &AssociateRq,
    wishes: Wishes<'_>,
    service: impl Fn(&str) -> Option<Service>,
) -> Negotiated {
    let mut contexts: Vec<ContextResult> = Vec::with_capacity(rq.contexts.len());
    let mut roles: Vec<RoleSelection> = Vec::new();
    let mut given: HashMap<&str, Vec<(String, u64)>> = HashMap::new();
    for context in &rq.contexts {
        if contexts.iter().any(|answered| answered.id == context.id) {
            continue;
        }
        let service = service(&context.abstract_syntax);
        let proposed = rq.roles.iter().find(|role| role.sop_class == context.abstract_syntax);
        let role = proposed.map(|role| grant(role, service));
        let of_class = given.entry(&context.abstract_syntax).or_insert_with_key(|class| {
            let is_given = role.as_ref().is_some_and(|role| role.scp);
            if is_given { (wishes.stored)(class) } else { Vec::new() }
        });
        let outcome = answer(context, role.as_ref(), service, wishes, of_class);
        let is_accepted = matches!(outcome, ContextOutcome::Accepted { .. });
        if let ContextOutcome::Accepted { transfer_syntax } = &outcome {
            of_class.retain(|(stored, _)| stored != transfer_syntax);
        }
        contexts.push(ContextResult { id: context.id, outcome });
        if let Some(role) = role.filter(|_| is_accepted)
            && !roles.iter().any(|granted| granted.sop_class == role.sop_class)
        {
            roles.push(role);
        }
    }
    Negotiated { contexts, roles }
}

fn grant(proposed: &RoleSelection, service: Option<Service>) -> RoleSelection {
    let scp = proposed.scp && service.is_some_and(Service::lets_requestor_be_scp);
    RoleSelection { scp, ..proposed.clone() }
}

fn answer(
    context: &ProposedContext,
    role: Option<&RoleSelection>,
    service: Option<Service>,
    wishes: Wishes<'_>,
    stored: &[(String, u64)],
) -> ContextOutcome {
    if context.id.is_multiple_of(2) {
        return ContextOutcome::NoReason;
    }
    let Some(service) = service else {
        return ContextOutcome::AbstractSyntaxNotSupported;
    };
    // What the requestor only gets is taken from nobody.
    let is_taken = service == Service::Keeps && role.is_none_or(|role| role.scu);
    let offered = &context.transfer_syntaxes;
    let chosen = match is_taken {
        true if wishes.preferred.is_empty() => choose(service, offered),
        true => first_of(wishes.preferred, offered),
        false => choose_to_give(offered, stored, wishes.can_become).or_else(|| choose(service, offered)),
    };
    let Some(transfer_syntax) = chosen else {
        return ContextOutcome::TransferSyntaxesNotSupported;
    };
    if role.is_some_and(|role| !role.scu && !role.scp) {
        return ContextOutcome::UserRejection;
    }
    ContextOutcome::Accepted { transfer_syntax: transfer_syntax.to_owned() }
}

/// How many operations may be under way, where a requestor says how many it would like: those that it invokes up to `most`, and one of
/// ours. `None` where it does not say.
///
/// PS3.7 §D.3.3.3.
pub fn window(asked: Option<OperationsWindow>, most: u16) -> Option<OperationsWindow> {
    let least = |asked: u16, most: u16| if asked == 0 { most } else { asked.min(most) };
    asked.map(|asked| OperationsWindow {
        invoked: least(asked.invoked, most),
        performed: least(asked.performed, 1),
    })
}

fn first_of<'p>(preferred: &'p [String], offered: &[String]) -> Option<&'p str> {
    preferred.iter().find(|one| offered.contains(one)).map(String::as_str)
}

/// In which of the transfer syntaxes that a requestor offers for what it only gets, most of the instances that other contexts do not take as
/// they are can be sent; of several, the one in which most of them keep their pixels as they are (they are stored in it, or both are
/// native), and then in which most are stored. What is left is as good: Explicit VR Little Endian, or else the first, but Implicit VR and
/// Big Endian last. `None` where nothing can be sent.
fn choose_to_give<'o>(
    offered: &'o [String],
    stored: &[(String, u64)],
    can_become: fn(&str, &str) -> bool,
) -> Option<&'o str> {
    let count = |is_so: &dyn Fn(&str) -> bool| -> u64 {
        let instances = stored.iter().filter(|(stored, _)| is_so(stored)).map(|(_, instances)| *instances);
        instances.fold(0, u64::saturating_add)
    };
    let mut best = None;
    let mut seen = HashSet::new();
    let is_possible =
        |uid: &&str| syntax::name(uid).is_some() || stored.iter().any(|(stored, _)| stored == uid);
    // Peers may offer thousands of them, and the same ones over and over.
    for uid in offered.iter().map(String::as_str).filter(is_possible).filter(|uid| seen.insert(*uid)) {
        let sent = count(&|stored| stored == uid || can_become(stored, uid));
        let kept = count(&|stored| stored == uid || (is_native(stored) && is_native(uid)));
        let as_stored = count(&|stored| stored == uid);
        let says_more = match uid {
            syntax::IMPLICIT_VR_LITTLE_ENDIAN | syntax::EXPLICIT_VR_BIG_ENDIAN => false,
            syntax::EXPLICIT_VR_LITTLE_ENDIAN => true,
            _ => as_stored > 0,
        };
        let rank = (sent, kept, as_stored, says_more);
        if sent > 0 && best.is_none_or(|(of_best, _)| rank > of_best) {
            best = Some((rank, uid));
        }
    }
    best.map(|(_, uid)| uid)
}

/// Whether pixels are native: data sets in these become each other without a codec.
fn is_native(uid: &str) -> bool {
    READABLE.contains(&uid)
}

/// The requestor's first transfer syntax that the service knows, but Explicit VR Little Endian where that would be Implicit or
/// Big Endian and it is offered: it keeps the VRs, and nobody has to swap bytes. What is only kept may be of an unknown one.
fn choose(service: Service, offered: &[String]) -> Option<&str> {
    let is_known = |uid: &str| match service {
        Service::Keeps => syntax::name(uid).is_some(),
        Service::Reads | Service::Reports => READABLE.contains(&uid),
    };
    let mut offered = offered.iter().map(String::as_str).filter(|uid| !uid.is_empty());
    let unknown = match service {
        Service::Keeps => offered.clone().next(),
        Service::Reads | Service::Reports => None,
    };
    match offered.clone().find(|uid| is_known(uid)) {
        Some(syntax::IMPLICIT_VR_LITTLE_ENDIAN | syntax::EXPLICIT_VR_BIG_ENDIAN)
            if offered.any(|uid| uid == syntax::EXPLICIT_VR_LITTLE_ENDIAN) =>
        {
            Some(syntax::EXPLICIT_VR_LITTLE_ENDIAN)
        }
        Some(known) => Some(known),
        None => unknown,
    }
}

const READABLE: [&str; 4] = [
    syntax::IMPLICIT_VR_LITTLE_ENDIAN,
    syntax::EXPLICIT_VR_LITTLE_ENDIAN,
    syntax::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    syntax::EXPLICIT_VR_BIG_ENDIAN,
];
