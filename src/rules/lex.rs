//! The text of an expression, cut into tokens.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt;
use std::ops::Range;

use crate::Flaw;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'t> {
    pub(crate) at: Range<usize>,
    pub(crate) kind: TokenKind<'t>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind<'t> {
    /// A letter or underscore, and letters, digits and underscores behind it.
    Word(&'t str),
    /// A digit, and letters, digits and underscores behind it; a fraction where a point and a digit follow.
    Number(&'t str),
    /// A quoted text, its escapes resolved.
    Text(String),
    Mark(Mark),
    /// Behind all others.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    And,
    Or,
    Not,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    Dot,
    Plus,
    Minus,
}

/// The longer of two that begin alike stands first.
const MARKS: [(&str, Mark); 17] = [
    ("&&", Mark::And),
    ("||", Mark::Or),
    ("==", Mark::Equal),
    ("!=", Mark::NotEqual),
    ("<=", Mark::LessEqual),
    (">=", Mark::GreaterEqual),
    ("!", Mark::Not),
    ("<", Mark::Less),
    (">", Mark::Greater),
    ("(", Mark::Open),
    (")", Mark::Close),
    ("[", Mark::OpenList),
    ("]", Mark::CloseList),
    (",", Mark::Comma),
    (".", Mark::Dot),
    ("+", Mark::Plus),
    ("-", Mark::Minus),
];

/// What people write, and what they mean.
const SLIPS: [(&str, Mark, &str); 4] =
    [("<>", Mark::NotEqual, "!="), ("&", Mark::And, "&&"), ("|", Mark::Or, "||"), ("=", Mark::Equal, "==")];

const CURLY_QUOTES: [char; 8] =
    ['\u{201C}', '\u{201D}', '\u{201E}', '\u{2018}', '\u{2019}', '\u{201A}', '«', '»'];

/// Cuts a text into tokens, with [`TokenKind::End`] behind them. What is no token is reported, and left out or taken for what was
/// probably meant.
pub(crate) fn lex<'t>(text: &'t str, flaws: &mut Vec<Flaw>) -> Vec<Token<'t>> {
    let mut lexer = Lexer { text, position: 0, flaws };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token() {
        tokens.push(token);
    }
    tokens.push(Token { at: text.len()..text.len(), kind: TokenKind::End });
    tokens
}

struct Lexer<'t, 'f> {
    text: &'t str,
    position: usize,
    flaws: &'f mut Vec<Flaw>,
}

impl<'t> Lexer<'t, '_> {
    fn token(&mut self) -> Option<Token<'t>> {
        loop {
            self.skip_blank();
            let (begin, first) = (self.position, self.rest().chars().next()?);
            if let Some(kind) = self.kind(first) {
                return Some(Token { at: begin..self.position, kind });
            }
        }
    }

    /// The token that begins with `first`; `None` when it was reported and left out.
    fn kind(&mut self, first: char) -> Option<TokenKind<'t>> {
        if first.is_ascii_digit() {
            return Some(TokenKind::Number(self.number()));
        }
        if is_word(first) {
            return Some(TokenKind::Word(self.take_while(is_word)));
        }
        if first == '"' || first == '\'' {
            return Some(TokenKind::Text(self.quoted(first)));
        }
        if CURLY_QUOTES.contains(&first) {
            return Some(TokenKind::Text(self.curly()));
        }
        let mark = MARKS.iter().find(|(written, _)| self.rest().starts_with(written));
        let slip = SLIPS.iter().find(|(written, ..)| self.rest().starts_with(written));
        match (slip, mark) {
            // `<>` begins as `<` does, `==` as `=`.
            (Some((written, mark, meant)), known)
                if known.is_none_or(|(known, _)| known.len() < written.len()) =>
            {
                let at = self.advance(written.len());
                self.flaws.push(
                    Flaw::error(at, format!("`{written}` is no operator")).help(format!("write {meant}")),
                );
                Some(TokenKind::Mark(*mark))
            }
            (_, Some((written, mark))) => {
                self.advance(written.len());
                Some(TokenKind::Mark(*mark))
            }
            (_, None) if first == ':' && self.is_behind_cs() => {
                let at = self.advance(1);
                let function = self.rest().split(|c| !is_word(c)).next().unwrap_or_default();
                self.flaws
                    .push(Flaw::error(at, "`:` means nothing here").help(format!("write cs.{function}(…)")));
                Some(TokenKind::Mark(Mark::Dot))
            }
            (_, None) => {
                self.unknown(first);
                None
            }
        }
    }

    /// Whether the word before this place is `cs`.
    fn is_behind_cs(&self) -> bool {
        let before = self.text.get(..self.position).and_then(|text| text.strip_suffix("cs"));
        before.is_some_and(|before| !before.ends_with(is_word))
    }

    fn unknown(&mut self, first: char) {
        let at = self.advance(first.len_utf8());
        let flaw = Flaw::error(at, format!("{first:?} means nothing here"));
        self.flaws.push(match first {
            '#' | '/' | ';' => flaw.help("a comment begins with // and ends with the line"),
            '~' => flaw.help("write matches(…, \"…\") for a regular expression"),
            '*' | '?' => flaw.help("write glob(…, \"…\") for a text with wildcards, in quotes"),
            '{' | '}' => flaw.help("a list stands in brackets: [\"A\", \"B\"]"),
            _ => flaw,
        });
    }

    fn skip_blank(&mut self) {
        loop {
            self.take_while(|character| character.is_whitespace() || character == '\u{FEFF}');
            if !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|character| character != '\n');
        }
    }

    fn number(&mut self) -> &'t str {
        let begin = self.position;
        self.take_while(is_word);
        let mut behind = self.rest().chars();
        if behind.next() == Some('.') && behind.next().is_some_and(|c| c.is_ascii_digit()) {
            self.advance(1);
            self.take_while(is_word);
        }
        self.text.get(begin..self.position).unwrap_or_default()
    }

    /// A text up to the quote that it began with.
    fn quoted(&mut self, quote: char) -> String {
        let begin = self.position;
        self.advance(1);
        let mut text = String::new();
        loop {
            match self.rest().chars().next() {
                None => {
                    self.flaws.push(
                        Flaw::error(begin..begin + 1, "this text has no end")
                            .help(format!("it ends with another {quote}")),
                    );
                    return text;
                }
                Some('\\') => self.escape(&mut text),
                Some(character) => {
                    self.advance(character.len_utf8());
                    if character == quote {
                        return text;
                    }
                    text.push(character);
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) {
        let begin = self.position;
        self.advance(1);
        let Some(escaped) = self.rest().chars().next() else { return };
        self.advance(escaped.len_utf8());
        let character = match escaped {
            '\\' | '"' | '\'' => escaped,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => match self.code_point() {
                Some(character) => character,
                None => {
                    let at = begin..self.position;
                    self.flaws.push(
                        Flaw::error(at, "no character has this number")
                            .help("a character is written by its hexadecimal number: \\u{e4}"),
                    );
                    return;
                }
            },
            _ => {
                let at = begin..self.position;
                let flaw = Flaw::error(at, format!("\\{escaped} is no escape"));
                self.flaws.push(flaw.help(format!("a backslash is written twice: \\\\{escaped}")));
                text.push('\\');
                escaped
            }
        };
        text.push(character);
    }

    /// What stands in braces behind `\u`.
    fn code_point(&mut self) -> Option<char> {
        let (digits, _) = self.rest().strip_prefix('{')?.split_once('}')?;
        let digits = digits.to_owned();
        if digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.advance(digits.len() + 2);
        char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
    }

    /// A text between quotes that a word processor made.
    fn curly(&mut self) -> String {
        let begin = self.position;
        self.take_one();
        let text = self.take_while(|c| !CURLY_QUOTES.contains(&c) && !matches!(c, '"' | '\n')).to_owned();
        self.take_one();
        let flaw = Flaw::error(begin..self.position, "these are typographic quotes");
        self.flaws.push(flaw.help(format!("write {text:?}")));
        text
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) -> Range<usize> {
        let begin = self.position;
        self.position += bytes;
        begin..self.position
    }

    fn take_one(&mut self) {
        let bytes = self.rest().chars().next().map_or(0, char::len_utf8);
        self.advance(bytes);
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let bytes = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
        self.advance(bytes);
        rest.get(..bytes).unwrap_or_default()
    }
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// As messages name it.
impl fmt::Display for TokenKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) | Self::Number(word) => write!(f, "`{word}`"),
            Self::Text(text) if text.chars().count() > 24 => f.write_str("this text"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Mark(mark) => write!(f, "`{}`", mark.as_str()),
            Self::End => f.write_str("the end"),
        }
    }
}

impl Mark {
    pub(crate) fn as_str(self) -> &'static str {
        MARKS.iter().find(|(_, mark)| *mark == self).map_or("", |(written, _)| written)
    }
}
