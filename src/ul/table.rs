//! PS3.8 Table 9-10 as data, and Tables 9-6 to 9-9: what an action does. Every action has one next state, or two with a
//! condition, so that Table 9-10 need not repeat it.

use crate::State;

/// The rows of PS3.8 Table 9-10, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occurrence {
    AssociateRequest,
    TransportConnected,
    AssociateAcPdu,
    AssociateRjPdu,
    TransportConnectIndication,
    AssociateRqPdu,
    AssociateAccept,
    AssociateReject,
    DataRequest,
    DataPdu,
    ReleaseRequest,
    ReleaseRqPdu,
    ReleaseRpPdu,
    ReleaseResponse,
    AbortRequest,
    AbortPdu,
    TransportClosed,
    ArtimExpired,
    InvalidPdu,
}

impl Occurrence {
    /// What the standard calls the PDU, primitive or event.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AssociateRequest => "A-ASSOCIATE request",
            Self::TransportConnected => "transport connection confirmation",
            Self::AssociateAcPdu => "A-ASSOCIATE-AC",
            Self::AssociateRjPdu => "A-ASSOCIATE-RJ",
            Self::TransportConnectIndication => "transport connection indication",
            Self::AssociateRqPdu => "A-ASSOCIATE-RQ",
            Self::AssociateAccept => "A-ASSOCIATE response (accept)",
            Self::AssociateReject => "A-ASSOCIATE response (reject)",
            Self::DataRequest => "P-DATA request",
            Self::DataPdu => "P-DATA-TF",
            Self::ReleaseRequest => "A-RELEASE request",
            Self::ReleaseRqPdu => "A-RELEASE-RQ",
            Self::ReleaseRpPdu => "A-RELEASE-RP",
            Self::ReleaseResponse => "A-RELEASE response",
            Self::AbortRequest => "A-ABORT request",
            Self::AbortPdu => "A-ABORT",
            Self::TransportClosed => "transport connection closed indication",
            Self::ArtimExpired => "ARTIM timer expired",
            Self::InvalidPdu => "invalid PDU",
        }
    }
}

/// PS3.8 Tables 9-6 to 9-9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Ae1,
    Ae2,
    Ae3,
    Ae4,
    Ae5,
    Ae6,
    Ae7,
    Ae8,
    Dt1,
    Dt2,
    Ar1,
    Ar2,
    Ar3,
    Ar4,
    Ar5,
    Ar6,
    Ar7,
    Ar8,
    Ar9,
    Ar10,
    Aa1,
    Aa2,
    Aa3,
    Aa4,
    Aa5,
    Aa6,
    Aa7,
    Aa8,
}

/// One thing that an action does, besides the change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Sends the PDU that belongs to the action.
    Send,
    /// Issues the indication or confirmation that belongs to the action.
    Indicate,
    /// Starts ARTIM, or starts it again.
    StartArtim,
    /// Stops ARTIM where it runs.
    StopArtim,
    /// Closes the transport connection.
    Close,
}

/// The action for what happens in a state; `None` where the standard has an empty cell.
pub(crate) fn action(occurrence: Occurrence, state: State) -> Option<Action> {
    TABLE.get(occurrence as usize)?.get(state as usize).copied().flatten() // both enums are dense, from 0
}

impl Action {
    /// The state after the action. `is_first` picks the first of two: AE-6 with an acceptable request, AR-8 as association-requestor.
    pub(crate) fn next(self, is_first: bool) -> State {
        match self {
            Self::Ar3 | Self::Ar5 | Self::Ae4 | Self::Aa2 | Self::Aa3 | Self::Aa4 | Self::Aa5 => State::Sta1,
            Self::Ae5 => State::Sta2,
            Self::Ae6 if is_first => State::Sta3,
            Self::Ae1 => State::Sta4,
            Self::Ae2 => State::Sta5,
            Self::Ae3 | Self::Ae7 | Self::Dt1 | Self::Dt2 => State::Sta6,
            Self::Ar1 | Self::Ar6 => State::Sta7,
            Self::Ar2 | Self::Ar7 => State::Sta8,
            Self::Ar8 if is_first => State::Sta9,
            Self::Ar8 => State::Sta10,
            Self::Ar9 => State::Sta11,
            Self::Ar10 => State::Sta12,
            Self::Ae6 | Self::Ae8 | Self::Ar4 | Self::Aa1 | Self::Aa6 | Self::Aa7 | Self::Aa8 => State::Sta13,
        }
    }
}

impl Action {
    /// What the action does, in order; `is_first` as for [`next`](Self::next).
    pub(crate) fn effects(self, is_first: bool) -> &'static [Effect] {
        use Effect::{Close, Indicate, Send, StartArtim, StopArtim};
        match self {
            // AE-1 asks for the transport connection, which the making of a requestor does.
            Self::Ae1 | Self::Aa6 => &[],
            Self::Ae2 | Self::Ae7 | Self::Dt1 | Self::Ar1 | Self::Ar7 | Self::Ar9 | Self::Aa7 => &[Send],
            Self::Ae3 | Self::Dt2 | Self::Ar2 | Self::Ar6 | Self::Ar8 | Self::Ar10 | Self::Aa4 => &[Indicate],
            Self::Ae4 | Self::Ar3 | Self::Aa3 => &[Indicate, Close],
            Self::Ae5 => &[StartArtim],
            Self::Ae6 if is_first => &[StopArtim, Indicate],
            Self::Ae6 => &[StopArtim, Send, StartArtim],
            Self::Ae8 | Self::Ar4 | Self::Aa1 => &[Send, StartArtim],
            Self::Ar5 | Self::Aa5 => &[StopArtim],
            Self::Aa2 => &[StopArtim, Close],
            Self::Aa8 => &[Send, Indicate, StartArtim],
        }
    }
}

const ____: Option<Action> = None;
const AE_1: Option<Action> = Some(Action::Ae1);
const AE_2: Option<Action> = Some(Action::Ae2);
const AE_3: Option<Action> = Some(Action::Ae3);
const AE_4: Option<Action> = Some(Action::Ae4);
const AE_5: Option<Action> = Some(Action::Ae5);
const AE_6: Option<Action> = Some(Action::Ae6);
const AE_7: Option<Action> = Some(Action::Ae7);
const AE_8: Option<Action> = Some(Action::Ae8);
const DT_1: Option<Action> = Some(Action::Dt1);
const DT_2: Option<Action> = Some(Action::Dt2);
const AR_1: Option<Action> = Some(Action::Ar1);
const AR_2: Option<Action> = Some(Action::Ar2);
const AR_3: Option<Action> = Some(Action::Ar3);
const AR_4: Option<Action> = Some(Action::Ar4);
const AR_5: Option<Action> = Some(Action::Ar5);
const AR_6: Option<Action> = Some(Action::Ar6);
const AR_7: Option<Action> = Some(Action::Ar7);
const AR_8: Option<Action> = Some(Action::Ar8);
const AR_9: Option<Action> = Some(Action::Ar9);
const AR10: Option<Action> = Some(Action::Ar10);
const AA_1: Option<Action> = Some(Action::Aa1);
const AA_2: Option<Action> = Some(Action::Aa2);
const AA_3: Option<Action> = Some(Action::Aa3);
const AA_4: Option<Action> = Some(Action::Aa4);
const AA_5: Option<Action> = Some(Action::Aa5);
const AA_6: Option<Action> = Some(Action::Aa6);
const AA_7: Option<Action> = Some(Action::Aa7);
const AA_8: Option<Action> = Some(Action::Aa8);

/// Rows Evt1 to Evt19, columns Sta1 to Sta13.
#[rustfmt::skip]
static TABLE: [[Option<Action>; 13]; 19] = [
    [AE_1, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____],
    [____, ____, ____, AE_2, ____, ____, ____, ____, ____, ____, ____, ____, ____],
    [____, AA_1, AA_8, ____, AE_3, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_6],
    [____, AA_1, AA_8, ____, AE_4, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_6],
    [AE_5, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____],
    [____, AE_6, AA_8, ____, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_7],
    [____, ____, AE_7, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____],
    [____, ____, AE_8, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____],
    [____, ____, ____, ____, ____, DT_1, ____, AR_7, ____, ____, ____, ____, ____],
    [____, AA_1, AA_8, ____, AA_8, DT_2, AR_6, AA_8, AA_8, AA_8, AA_8, AA_8, AA_6],
    [____, ____, ____, ____, ____, AR_1, ____, ____, ____, ____, ____, ____, ____],
    [____, AA_1, AA_8, ____, AA_8, AR_2, AR_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_6],
    [____, AA_1, AA_8, ____, AA_8, AA_8, AR_3, AA_8, AA_8, AR10, AR_3, AA_8, AA_6],
    [____, ____, ____, ____, ____, ____, ____, AR_4, AR_9, ____, ____, AR_4, ____],
    [____, ____, AA_1, AA_2, AA_1, AA_1, AA_1, AA_1, AA_1, AA_1, AA_1, AA_1, ____],
    [____, AA_2, AA_3, ____, AA_3, AA_3, AA_3, AA_3, AA_3, AA_3, AA_3, AA_3, AA_2],
    [____, AA_5, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AA_4, AR_5],
    [____, AA_2, ____, ____, ____, ____, ____, ____, ____, ____, ____, ____, AA_2],
    [____, AA_1, AA_8, ____, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_8, AA_7],
];
