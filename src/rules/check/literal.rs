//! Literals, read as what they are compared with.

use core::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use model::{SopClassUid, Vr};

use super::Checker;
use super::operand::PLAIN;
use crate::ast::{Expr, ExprKind, Literal};
use crate::decode::part_of_name;
use crate::dictionary::closest;
use crate::program::List;
use crate::symbols::ALPHABETIC;
use crate::types::{Style, Type};
use crate::value::{Constant, Moment, age};
use crate::{Flaw, Via};

/// An element of a list.
pub(super) enum Member {
    Constant(Constant),
    Network(IpNet),
}

/// What a literal is by itself; `None` for null and for what is none.
pub(super) fn natural(expr: &Expr) -> Option<Type> {
    match &expr.kind {
        ExprKind::Literal(literal) => natural_of(literal),
        ExprKind::Call { function, .. } if function == "cidr" => Some(Type::Address),
        _ => None,
    }
}

pub(super) fn natural_of(literal: &Literal) -> Option<Type> {
    match literal {
        Literal::Text(_) => Some(PLAIN),
        Literal::Number(_) => Some(Type::Number),
        Literal::Condition(_) | Literal::Null => None,
    }
}

/// What a value of a type is looked for in.
pub(super) fn list(kind: Type, members: Vec<Member>) -> List {
    let (mut texts, mut numbers, mut moments, mut networks) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for member in members {
        match member {
            Member::Constant(Constant::Text(text)) => texts.push(text),
            Member::Constant(Constant::Number(number)) => numbers.push(number),
            Member::Constant(Constant::Moment(moment)) => moments.push(moment),
            Member::Constant(Constant::Address(address)) => networks.push(IpNet::from(address)),
            Member::Constant(Constant::Null) => {}
            Member::Network(network) => networks.push(network),
        }
    }
    match kind {
        Type::Number | Type::Age => List::Numbers(numbers.into()),
        Type::Date | Type::Time | Type::DateTime => List::Moments(moments.into()),
        Type::Address => List::Networks(networks.into()),
        Type::Text(_) | Type::Unknown | Type::Sequence | Type::Bytes => {
            texts.sort_unstable();
            texts.dedup();
            List::Texts(texts.into())
        }
    }
}

impl Checker<'_, '_, '_> {
    /// An element of a list whose elements are of a type.
    pub(super) fn member(&mut self, expr: &Expr, kind: Type) -> Option<Member> {
        match &expr.kind {
            ExprKind::Literal(Literal::Null | Literal::Condition(_)) => {
                let flaw = Flaw::error(expr.at.clone(), "a list has texts or numbers");
                self.flaws.push(flaw.help("ask for what is absent by … == null"));
                None
            }
            ExprKind::Literal(literal) => self.constant(literal, &expr.at, kind).map(Member::Constant),
            ExprKind::Call { function, arguments, .. } if function == "cidr" => {
                self.network(expr, arguments, kind).map(Member::Network)
            }
            ExprKind::Broken => None,
            _ => {
                let flaw = Flaw::error(expr.at.clone(), "a list has texts or numbers, and nothing else");
                self.flaws.push(flaw.help("compare with an attribute by ==, joined by ||"));
                None
            }
        }
    }

    fn network(&mut self, expr: &Expr, arguments: &[Expr], kind: Type) -> Option<IpNet> {
        if kind != Type::Address {
            let message = format!("cidr(…) has IP addresses, and {} is looked for in it", kind.noun());
            self.flaws
                .push(Flaw::error(expr.at.clone(), message).help("write from.ip in cidr(\"10.0.0.0/8\")"));
            return None;
        }
        let text = match arguments {
            [Expr { kind: ExprKind::Literal(Literal::Text(text)), .. }] => Some(text.trim()),
            _ => None,
        };
        let network = text.and_then(|text| text.parse::<IpNet>().ok());
        let Some(network) = network else {
            let flaw = Flaw::error(expr.at.clone(), "this is no network");
            self.flaws.push(match text.and_then(|text| text.parse::<IpAddr>().ok()) {
                Some(address) => {
                    let whole = if address.is_ipv4() { 32 } else { 128 };
                    flaw.help(format!("write cidr(\"{address}/{whole}\") for this address alone"))
                }
                None => {
                    flaw.help("a network is an address and the number of its bits: cidr(\"10.1.0.0/16\")")
                }
            });
            return None;
        };
        if network != network.trunc() {
            let message = format!("this is the network {}", network.trunc());
            self.flaws.push(
                Flaw::warning(expr.at.clone(), message).help("write it without the bits behind its prefix"),
            );
        }
        Some(network.trunc())
    }

    /// A literal as a value of a type.
    pub(super) fn constant(&mut self, literal: &Literal, at: &Range<usize>, kind: Type) -> Option<Constant> {
        match (literal, kind) {
            (Literal::Number(number), Type::Number) => Some(Constant::Number(*number)),
            (Literal::Text(text), Type::Text(style)) => self.text(text.trim_matches([' ', '\0']), at, style),
            (Literal::Text(text), Type::Unknown) => Some(Constant::Text(text.trim().into())),
            (Literal::Text(text), Type::Age | Type::Date | Type::Time | Type::DateTime | Type::Address) => {
                let read = typed(text.trim(), kind);
                if read.is_none() {
                    let flaw = Flaw::error(at.clone(), format!("this is not {}", kind.noun()));
                    self.flaws.push(match kind {
                        Type::Address if text.contains('/') => {
                            flaw.help(format!("write in cidr(\"{}\") for a network", text.trim()))
                        }
                        _ => flaw.help(format!("it is written {}", kind.example())),
                    });
                }
                read
            }
            (Literal::Null, _) => Some(Constant::Null),
            (literal, _) => {
                self.wrong_literal(literal, at, kind);
                None
            }
        }
    }

    fn wrong_literal(&mut self, literal: &Literal, at: &Range<usize>, kind: Type) {
        let given = match literal {
            Literal::Text(_) => "text",
            Literal::Number(_) => "a number",
            Literal::Condition(_) => "true or false",
            Literal::Null => "null",
        };
        let help = match (literal, kind) {
            (Literal::Text(text), Type::Number) if text.trim().parse::<f64>().is_ok() => {
                format!("write {} without quotes", text.trim())
            }
            (Literal::Number(_), Type::Text(_)) => format!("write \"{}\"", self.written(at)),
            (_, Type::Sequence) => "write any(…, it.Keyword == …), or has(…)".to_owned(),
            (_, Type::Bytes) => "one may ask whether it is there: has(…)".to_owned(),
            _ => format!("it is written {}", kind.example()),
        };
        let message = match kind {
            Type::Sequence | Type::Bytes => format!("{} is compared with {given}", kind.noun()),
            _ => format!("{given} stands where {} is wanted", kind.noun()),
        };
        self.flaws.push(Flaw::error(at.clone(), message).help(help));
    }

    fn text(&mut self, text: &str, at: &Range<usize>, style: Style) -> Option<Constant> {
        let flaw = match style {
            Style::Code if text.chars().any(char::is_lowercase) => {
                let flaw = Flaw::warning(at.clone(), "values of this attribute have no lower-case letters");
                Some(flaw.help(format!("write {:?}, or use ieq(…)", text.to_uppercase())))
            }
            Style::Uid if !SopClassUid::lenient(text).is_some_and(|uid| uid.is_valid()) => Some(
                Flaw::error(at.clone(), "this is no UID")
                    .help("a UID has digits and dots: \"1.2.840.10008.5.1.4.1.1.2\""),
            ),
            Style::Title if text.chars().count() > 16 => {
                Some(Flaw::warning(at.clone(), "an AE title has at most 16 characters"))
            }
            Style::Door if ![Via::Dimse, Via::Dicomweb].iter().any(|via| via.as_str() == text) => {
                let flaw = Flaw::error(at.clone(), "from.via is \"dimse\" or \"dicomweb\"");
                let meant = closest(text, ["dimse", "dicomweb"]);
                Some(match meant {
                    Some(meant) => flaw.help(format!("did you mean {meant:?}?")),
                    None => flaw,
                })
            }
            Style::Tag if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Some(
                Flaw::error(at.clone(), "this is no tag")
                    .help("a tag has eight hexadecimal digits: \"00181063\""),
            ),
            Style::Lower if text.chars().any(char::is_uppercase) => {
                let flaw =
                    Flaw::warning(at.clone(), "lower(…) has no upper-case letters: this is never equal");
                Some(flaw.help(format!("write {:?}", text.to_lowercase())))
            }
            Style::Plain | Style::Code | Style::Person | Style::Uid => None,
            Style::Title | Style::Door | Style::Tag | Style::Lower => None,
        };
        let is_refused = flaw.as_ref().is_some_and(|flaw| flaw.severity == crate::Severity::Error);
        self.flaws.extend(flaw);
        let text = match style {
            Style::Person => part_of_name(text, ALPHABETIC).to_owned(),
            Style::Tag => text.to_uppercase(),
            _ => text.to_owned(),
        };
        (!is_refused).then(|| Constant::Text(text.into()))
    }
}

fn typed(text: &str, kind: Type) -> Option<Constant> {
    match kind {
        Type::Age => age(text).map(Constant::Number),
        Type::Date => Moment::date(&plain(text, Vr::DA)).map(Constant::Moment),
        Type::Time => Moment::time(&plain(text, Vr::TM)).map(Constant::Moment),
        Type::DateTime => Moment::datetime(&plain(text, Vr::DT)).map(Constant::Moment),
        Type::Address => text.parse::<IpAddr>().ok().map(|address| Constant::Address(address.to_canonical())),
        Type::Text(_) | Type::Number | Type::Sequence | Type::Bytes | Type::Unknown => None,
    }
}

/// A date or time without the marks that people put between its parts: `2026-01-31 10:30` is `202601311030`.
fn plain(text: &str, vr: Vr) -> String {
    let is_date = matches!(text.as_bytes(), [_, _, _, _, b'-', _, _, b'-', _, _, ..]);
    let mut plain = text.to_owned();
    if is_date && vr != Vr::TM {
        let (date, rest) = text.split_at_checked(10).unwrap_or((text, ""));
        plain = date.replace('-', "") + rest.trim_start_matches([' ', 'T']);
    } else if vr == Vr::DT {
        plain = text.replacen(' ', "", 1);
    }
    if vr == Vr::DA { plain } else { plain.replace(':', "") }
}
