//! [`check_pattern`]: regular expressions of label matchers, checked by the syntax of Prometheus.
//!
//! Prometheus uses RE2 as Go's package `regexp` implements it. The syntax of the crate `regex` differs in both
//! directions: it refuses `/users/{id}` and `\Q…\E`, and it accepts `a**`, `(?x)`, `a{2000}` and set operations such as
//! `[a--b]`. So this module follows Go's parser instead.
//!
//! Two rules of Go are not checked: the names of Unicode scripts in `\p{…}`, and the limits on nesting and on total
//! size. Patterns with unbalanced parentheses, such as `a)(b`, are errors, although Prometheus 2 accepts some because
//! it puts them into a group.

use crate::error::{Checked, Error, problem};

/// Returns an error if Prometheus would refuse the regular expression.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), Error> {
    Parser::new(pattern).check().map_err(|error| {
        error.within(format_args!(
            "regular expression {pattern:?} is not valid in Prometheus"
        ))
    })
}

/// The largest number of repetitions, also of nested repetitions multiplied.
const MAX_REPETITIONS: u32 = 1000;

struct Parser<'a> {
    rest: &'a str,
    /// The innermost open group. The others are in `outer`.
    group: Group,
    outer: Vec<Group>,
    /// Whether the previous token was a repetition.
    after_repetition: bool,
}

#[derive(Default)]
struct Group {
    /// The number of repetitions of the last operand, multiplied with those inside of it. `None` without an operand to
    /// repeat.
    operand: Option<u32>,
    /// The maximum of `operand` in the group.
    repetitions: u32,
}

impl Group {
    fn set_operand(&mut self, repetitions: u32) {
        self.operand = Some(repetitions);
        self.repetitions = self.repetitions.max(repetitions);
    }
}

impl<'a> Parser<'a> {
    fn new(pattern: &'a str) -> Self {
        Self {
            rest: pattern,
            group: Group::default(),
            outer: Vec::new(),
            after_repetition: false,
        }
    }

    fn check(mut self) -> Checked {
        while !self.rest.is_empty() {
            self.token()?;
        }
        match self.outer.is_empty() {
            true => Ok(()),
            false => problem("missing `)`"),
        }
    }

    fn token(&mut self) -> Checked {
        let after_repetition = std::mem::take(&mut self.after_repetition);
        if let Some(after) = self.rest.strip_prefix("(?") {
            return self.flags_or_group(after);
        }
        if let Some((repetitions, after)) = repetition(self.rest)? {
            self.rest = after;
            return self.repeat(repetitions, after_repetition);
        }
        match self.next_char() {
            Some('(') => self.open_group(),
            Some(')') => self.close_group()?,
            Some('|') => self.group.operand = None,
            Some('[') => self.class()?,
            Some('\\') => self.escape_sequence()?,
            _ => self.group.set_operand(1),
        }
        Ok(())
    }

    fn next_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn strip_prefix(&mut self, prefix: &str) -> bool {
        let after = self.rest.strip_prefix(prefix);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn open_group(&mut self) {
        self.outer.push(std::mem::take(&mut self.group));
    }

    fn close_group(&mut self) -> Checked {
        let Some(outer) = self.outer.pop() else {
            return problem("unexpected `)`");
        };
        let inner = std::mem::replace(&mut self.group, outer);
        self.group.set_operand(inner.repetitions.max(1));
        Ok(())
    }

    fn repeat(&mut self, repetitions: u32, after_repetition: bool) -> Checked {
        // The suffix of a non-greedy repetition.
        self.strip_prefix("?");
        if after_repetition {
            return problem("a repetition is repeated, as in `a**`");
        }
        let Some(inner) = self.group.operand else {
            return problem("nothing to repeat before `*`, `+`, `?` or `{…}`");
        };
        let repetitions = inner.saturating_mul(repetitions);
        if repetitions > MAX_REPETITIONS {
            return problem(format!("more than {MAX_REPETITIONS} repetitions"));
        }
        self.group.set_operand(repetitions);
        self.after_repetition = true;
        Ok(())
    }

    /// Reads the rest of `(?P<name>`, `(?flags:` or `(?flags)`.
    fn flags_or_group(&mut self, after: &'a str) -> Checked {
        if let Some(after) = after.strip_prefix("P<") {
            let Some((name, after)) = after.split_once('>') else {
                return problem("missing `>` after `(?P<`");
            };
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return problem(format!(
                    "group name {name:?} must be letters, digits and `_`"
                ));
            }
            self.rest = after;
            self.open_group();
            return Ok(());
        }
        let flags_end = after.find(|c| !matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
        let (flags, after) = after.split_at(flags_end.unwrap_or(after.len()));
        let are_valid = match flags.split_once('-') {
            Some((_, cleared)) => !cleared.is_empty() && !cleared.contains('-'),
            None => true,
        };
        self.rest = after;
        match self.next_char() {
            Some(':') if are_valid => self.open_group(),
            Some(')') if are_valid => {}
            _ => {
                return problem(
                    "after `(?`, only `:`, `P<name>` and the flags i, m, s and U exist",
                );
            }
        }
        Ok(())
    }

    /// Reads an escape sequence outside of a class, after its `\`.
    fn escape_sequence(&mut self) -> Checked {
        if self.strip_prefix("Q") {
            // Prometheus 2 appends `)$` to the pattern, which would be quoted.
            let Some((quoted, after)) = self.rest.split_once("\\E") else {
                return problem("`\\Q` without `\\E`");
            };
            if !quoted.is_empty() {
                self.group.set_operand(1);
            }
            self.rest = after;
            return Ok(());
        }
        let is_assertion = self.rest.starts_with(['A', 'b', 'B', 'z']);
        if is_assertion {
            self.rest = &self.rest[1..];
        } else if !self.class_escape()? {
            self.char_escape()?;
        }
        self.group.set_operand(1);
        Ok(())
    }

    /// Reads `d`, `pL` or `p{Greek}` after a `\`. Returns `false` if the escape sequence is not a class.
    fn class_escape(&mut self) -> Checked<bool> {
        if self.rest.starts_with(['d', 'D', 's', 'S', 'w', 'W']) {
            self.rest = &self.rest[1..];
            return Ok(true);
        }
        if !self.strip_prefix("p") && !self.strip_prefix("P") {
            return Ok(false);
        }
        let name = if self.strip_prefix("{") {
            let Some((name, after)) = self.rest.split_once('}') else {
                return problem("missing `}` after `\\p{`");
            };
            self.rest = after;
            name.strip_prefix('^').unwrap_or(name)
        } else {
            let length = self.rest.chars().next().map_or(0, char::len_utf8);
            let (name, after) = self.rest.split_at(length);
            self.rest = after;
            name
        };
        match is_unicode_class(name) {
            true => Ok(true),
            false => problem(format!(
                "\\p{{{name}}} is not a category or script of Unicode, such as `\\p{{Lu}}` or `\\p{{Greek}}`"
            )),
        }
    }

    /// Reads a character after a `\`: `.`, `n`, `x7f`, `x{1F600}` or `012`.
    fn char_escape(&mut self) -> Checked<char> {
        let before = self.rest;
        let Some(c) = self.next_char() else {
            return problem("`\\` at the end");
        };
        let escaped = match c {
            '0'..='7' => {
                let is_octal = |c: char| matches!(c, '0'..='7');
                let length = before.chars().take(3).take_while(|c| is_octal(*c)).count();
                // `\1` to `\7` alone are back references, which RE2 does not have.
                let is_back_reference = c != '0' && length < 2;
                self.rest = &before[length..];
                let number = u32::from_str_radix(&before[..length], 8);
                number.ok().filter(|_| !is_back_reference)
            }
            'x' => self.hexadecimal(),
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c.into()),
            _ => None,
        };
        match escaped.and_then(char::from_u32) {
            Some(escaped) => Ok(escaped),
            None => problem(format!("invalid escape sequence `\\{c}`")),
        }
    }

    /// Reads `7f` or `{1F600}` after `\x`.
    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = match self.rest.strip_prefix('{') {
            Some(after) => {
                let (digits, after) = after.split_once('}')?;
                self.rest = after;
                digits
            }
            None => {
                let digits = self.rest.get(..2)?;
                self.rest = &self.rest[2..];
                digits
            }
        };
        let is_number = digits.chars().all(|c| c.is_ascii_hexdigit());
        let number = is_number.then(|| u32::from_str_radix(digits, 16).ok());
        number.flatten().filter(|number| *number <= 0x10_FFFF)
    }

    /// Reads a class after its `[`.
    fn class(&mut self) -> Checked {
        self.strip_prefix("^");
        let mut is_first = true;
        while is_first || !self.rest.starts_with(']') {
            is_first = false;
            self.class_item()?;
        }
        self.rest = &self.rest[1..];
        self.group.set_operand(1);
        Ok(())
    }

    fn class_item(&mut self) -> Checked {
        let named = self.rest.strip_prefix("[:");
        if let Some((name, after)) = named.and_then(|rest| rest.split_once(":]")) {
            self.rest = after;
            let name = name.strip_prefix('^').unwrap_or(name);
            return match POSIX_CLASSES.contains(&name) {
                true => Ok(()),
                false => problem(format!("no class has the name `[:{name}:]`")),
            };
        }
        if self.rest.starts_with('\\') {
            let mut after = Self::new(&self.rest[1..]);
            if after.class_escape()? {
                self.rest = after.rest;
                return Ok(());
            }
        }
        let low = self.class_char()?;
        let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]");
        if is_range && self.rest.len() > 1 {
            self.rest = &self.rest[1..];
            let high = self.class_char()?;
            if high < low {
                return problem(format!("range `{low}-{high}` is not in ascending order"));
            }
        }
        Ok(())
    }

    fn class_char(&mut self) -> Checked<char> {
        match self.next_char() {
            None => problem("missing `]`"),
            Some('\\') => self.char_escape(),
            Some(c) => Ok(c),
        }
    }
}

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The general categories that Go knows. Scripts have longer names.
const CATEGORIES: [&str; 37] = [
    "C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N",
    "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So",
    "Z", "Zl", "Zp", "Zs", "Any",
];

/// Names of categories in full, which Go does not know, have the form of a script's name.
const LONG_CATEGORIES: [&str; 8] = [
    "Letter",
    "Mark",
    "Number",
    "Other",
    "Punctuation",
    "Separator",
    "Symbol",
    "Alphabetic",
];

fn is_unicode_class(name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_script = name.len() >= 3
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(is_name)
        && !LONG_CATEGORIES.contains(&name);
    is_script || CATEGORIES.contains(&name)
}

/// Returns the number of repetitions of `*`, `+`, `?` or `{2,3}` at the start of a text, and the rest. Braces with
/// other content are literal characters.
fn repetition(text: &str) -> Checked<Option<(u32, &str)>> {
    if let Some(after) = text.strip_prefix(['*', '+', '?']) {
        return Ok(Some((1, after)));
    }
    let braces = text.strip_prefix('{').and_then(|text| text.split_once('}'));
    let Some((range, after)) = braces else {
        return Ok(None);
    };
    let (min, max) = range.split_once(',').unwrap_or((range, range));
    let is_number = |text: &str| {
        let has_leading_zero = text.len() > 1 && text.starts_with('0');
        !text.is_empty() && !has_leading_zero && text.bytes().all(|c| c.is_ascii_digit())
    };
    if !is_number(min) || !(max.is_empty() || is_number(max)) {
        return Ok(None);
    }
    let number = |text: &str| text.parse().unwrap_or(u32::MAX);
    let (low, high) = (
        number(min),
        if max.is_empty() {
            number(min)
        } else {
            number(max)
        },
    );
    if low > MAX_REPETITIONS || high > MAX_REPETITIONS || low > high {
        return problem(format!(
            "`{{{range}}}` must be 0 to {MAX_REPETITIONS} repetitions in ascending order"
        ));
    }
    Ok(Some((high.max(1), after)))
}
