//! [`check_template`]: annotations and labels of alerts, checked by the syntax of Prometheus' templates.
//!
//! Prometheus parses them as templates of Go's package `text/template`, with additional functions and variables. As in
//! Go's parser, this module checks the syntax, the names of functions and variables, and that blocks have an
//! `{{ end }}`.
//!
//! It also checks what Prometheus finds only when the alert fires: labels that the alert does not have, fields other
//! than `.Labels`, `.Value`, `.ExternalLabels` and `.ExternalURL`, and assignments to undefined variables.
//!
//! It does not check the number and types of a function's arguments, labels in `index $labels "name"`, fields inside of
//! `range`, `with`, `define` and `block`, and names of templates.

mod lexer;

use crate::error::{Checked, Error, problem};
use crate::text::{LabelNames, check_kept};

use lexer::Token;

/// Returns an error if Prometheus would refuse the template, or if it uses a label that the alert does not have.
pub(crate) fn check_template(text: &str, labels: &LabelNames) -> Result<(), Error> {
    let mut parser = Parser {
        labels,
        variables: VARIABLES.to_vec(),
        blocks: Vec::new(),
    };
    parser
        .check(text)
        .map_err(|error| error.within(format_args!("template {text:?}")))
}

/// The variables that Prometheus defines. `$` is the same as the dot outside of blocks.
const VARIABLES: [&str; 5] = ["$", "$labels", "$value", "$externalLabels", "$externalURL"];

/// The fields of the dot outside of blocks.
const FIELDS: [&str; 4] = ["Labels", "Value", "ExternalLabels", "ExternalURL"];

/// The functions of Go, then those of Prometheus 2.42. `now` and `toDuration` exist since Prometheus 3.
const FUNCTIONS: [&str; 47] = [
    "and",
    "call",
    "eq",
    "ge",
    "gt",
    "html",
    "index",
    "js",
    "le",
    "len",
    "lt",
    "ne",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "slice",
    "urlquery", //
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "label",
    "match",
    "now",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "value",
];

struct Parser<'a> {
    labels: &'a LabelNames,
    variables: Vec<&'a str>,
    blocks: Vec<Block<'a>>,
}

struct Block<'a> {
    keyword: &'a str,
    has_else: bool,
    /// The variables outside of the block.
    variables: Vec<&'a str>,
}

impl<'a> Parser<'a> {
    fn check(&mut self, mut text: &'a str) -> Checked {
        while let Some((_, after)) = text.split_once("{{") {
            let (tokens, after) = lexer::action(after)?;
            if let Some(tokens) = tokens {
                self.action(&tokens)?;
            }
            text = after;
        }
        match self.blocks.last() {
            None => Ok(()),
            Some(block) => problem(format!("`{}` without `{{{{ end }}}}`", block.keyword)),
        }
    }

    fn action(&mut self, tokens: &[Token<'a>]) -> Checked {
        let Some((Token::Word(keyword), rest)) = tokens.split_first() else {
            return self.whole_pipeline(tokens, false);
        };
        let rest = match rest.split_first() {
            Some((Token::Space, rest)) => rest,
            _ => rest,
        };
        match *keyword {
            "if" | "with" | "range" => {
                self.open_block(keyword);
                self.whole_pipeline(rest, *keyword == "range")
            }
            "else" => self.else_branch(rest),
            "end" if rest.is_empty() => match self.blocks.pop() {
                Some(block) => {
                    self.variables = block.variables;
                    Ok(())
                }
                None => problem("`end` without a block"),
            },
            "break" | "continue" if rest.is_empty() => {
                match self.blocks.iter().any(|block| block.keyword == "range") {
                    true => Ok(()),
                    false => problem(format!("`{keyword}` outside of `range`")),
                }
            }
            "define" | "block" | "template" => self.named_template(keyword, rest),
            _ => self.whole_pipeline(tokens, false),
        }
    }

    fn open_block(&mut self, keyword: &'a str) {
        let variables = self.variables.clone();
        self.blocks.push(Block {
            keyword,
            has_else: false,
            variables,
        });
    }

    /// Checks `else` or `else if`, after the `else`.
    fn else_branch(&mut self, rest: &[Token<'a>]) -> Checked {
        let block = self.blocks.last_mut();
        let is_allowed = |block: &&mut Block<'_>| {
            !block.has_else && matches!(block.keyword, "if" | "with" | "range")
        };
        let Some(block) = block.filter(is_allowed) else {
            return problem("unexpected `else`");
        };
        match rest {
            [] => {
                block.has_else = true;
                Ok(())
            }
            [Token::Word("if"), Token::Space, condition @ ..] if block.keyword == "if" => {
                self.whole_pipeline(condition, false)
            }
            _ => problem("`else` allows only `if` after it, in an `if`"),
        }
    }

    /// Checks `define "name"`, `block "name" pipeline` or `template "name" pipeline`, after the keyword.
    fn named_template(&mut self, keyword: &'a str, rest: &[Token<'a>]) -> Checked {
        let (name, rest) = match rest {
            [Token::Constant(name), Token::Space, rest @ ..] => (*name, rest),
            [Token::Constant(name), rest @ ..] => (*name, rest),
            _ => return problem(format!("`{keyword}` needs a name in quotes")),
        };
        if !name.starts_with(['"', '`']) {
            return problem(format!("`{keyword}` needs a name in quotes"));
        }
        let has_pipeline = !rest.is_empty();
        match keyword {
            "define" if has_pipeline || !self.blocks.is_empty() => {
                return problem("`define` has only a name, and is not inside of a block");
            }
            "block" if !has_pipeline => return problem("`block` needs a value"),
            _ => {}
        }
        if has_pipeline {
            self.whole_pipeline(rest, false)?;
        }
        if keyword != "template" {
            self.open_block(keyword);
            self.variables = vec!["$"];
        }
        Ok(())
    }

    /// Checks a pipeline that ends the action. A `range` can declare two variables.
    fn whole_pipeline(&mut self, tokens: &[Token<'a>], is_range: bool) -> Checked {
        let (declared, tokens) = self.declarations(tokens, is_range)?;
        let rest = self.pipeline(tokens)?;
        self.variables.extend(declared);
        match rest {
            [] => Ok(()),
            [token, ..] => problem(format!("unexpected `{}`", token.text())),
        }
    }

    /// Reads `$x :=`, `$x =` or, of a `range`, `$i, $x :=`. Returns the declared variables and the other tokens.
    fn declarations<'t>(
        &self,
        tokens: &'t [Token<'a>],
        is_range: bool,
    ) -> Checked<(Vec<&'a str>, &'t [Token<'a>])> {
        let mut variables = Vec::new();
        let mut rest = tokens;
        loop {
            let [Token::Variable(name), after @ ..] = rest else {
                return Ok((Vec::new(), tokens));
            };
            variables.push(*name);
            match skip_space(after) {
                [Token::Declare, after @ ..] => return Ok((variables, skip_space(after))),
                [Token::Assign, after @ ..] => {
                    let mut variables = variables.into_iter();
                    variables.try_for_each(|name| self.check_variable(name))?;
                    return Ok((Vec::new(), skip_space(after)));
                }
                [Token::Comma, after @ ..] if is_range && variables.len() < 2 => {
                    rest = skip_space(after);
                }
                _ => return Ok((Vec::new(), tokens)),
            }
        }
    }

    /// Checks commands that are separated by `|`. Returns the tokens from a `)` on.
    fn pipeline<'t>(&self, mut tokens: &'t [Token<'a>]) -> Checked<&'t [Token<'a>]> {
        let mut is_first = true;
        loop {
            tokens = skip_space(tokens);
            let is_value = matches!(
                tokens.first(),
                Some(Token::Constant(_) | Token::Dot | Token::Word("nil"))
            );
            if is_value && !is_first {
                return problem("only a function can follow `|`");
            }
            tokens = self.command(tokens)?;
            match tokens.split_first() {
                Some((Token::Pipe, rest)) => tokens = skip_space(rest),
                _ => return Ok(tokens),
            }
            // Go accepts a `|` without a command after it.
            if matches!(tokens, [] | [Token::Close, ..]) {
                return Ok(tokens);
            }
            is_first = false;
        }
    }

    /// Checks operands that are separated by spaces.
    fn command<'t>(&self, mut tokens: &'t [Token<'a>]) -> Checked<&'t [Token<'a>]> {
        if matches!(tokens.first(), None | Some(Token::Pipe | Token::Close)) {
            return problem("a value or a function is missing");
        }
        loop {
            tokens = self.operand(tokens)?;
            match tokens {
                [] | [Token::Pipe | Token::Close, ..] => return Ok(tokens),
                [Token::Space, after @ ..] => match after {
                    [] | [Token::Pipe | Token::Close, ..] => return Ok(after),
                    _ => tokens = after,
                },
                [token, ..] => return problem(format!("unexpected `{}`", token.text())),
            }
        }
    }

    /// Checks a term with the fields after it.
    fn operand<'t>(&self, tokens: &'t [Token<'a>]) -> Checked<&'t [Token<'a>]> {
        let Some((first, mut rest)) = tokens.split_first() else {
            return problem("a value is missing");
        };
        match *first {
            Token::Word("nil") | Token::Constant(_) | Token::Dot => {
                return match rest.first() {
                    Some(Token::Field(_) | Token::Dot) => {
                        problem(format!("`{}` has no fields", first.text()))
                    }
                    _ => Ok(rest),
                };
            }
            Token::Word(name) => match FUNCTIONS.contains(&name) {
                true => {}
                false => return problem(format!("no function has the name {name:?}")),
            },
            Token::Variable(name) => {
                self.check_variable(name)?;
                // Inside of `define` and `block`, `$` is their argument.
                let is_named_template =
                    |block: &Block<'_>| matches!(block.keyword, "define" | "block");
                if name != "$" || !self.blocks.iter().any(is_named_template) {
                    self.check_fields(name, fields(rest))?;
                }
            }
            Token::Field(_) => {
                let is_root = self.blocks.iter().all(|block| block.keyword == "if");
                if is_root {
                    self.check_fields("$", fields(tokens))?;
                }
            }
            Token::Open => match self.pipeline(rest)? {
                [Token::Close, after @ ..] => rest = after,
                _ => return problem("missing `)`"),
            },
            token => return problem(format!("unexpected `{}`", token.text())),
        }
        while let [Token::Field(_), after @ ..] = rest {
            rest = after;
        }
        Ok(rest)
    }

    fn check_variable(&self, name: &str) -> Checked {
        match self.variables.contains(&name) {
            true => Ok(()),
            false => problem(format!(
                "no variable has the name `{name}`; Prometheus defines {}",
                VARIABLES[1..].join(", ")
            )),
        }
    }

    /// Checks the fields of a variable, or of the dot outside of blocks as `$`.
    fn check_fields<'f>(
        &self,
        variable: &str,
        mut fields: impl Iterator<Item = &'f str>,
    ) -> Checked {
        let first = fields.next();
        let label = match (variable, first) {
            ("$labels", label) => label,
            ("$", Some("Labels")) => fields.next(),
            ("$", Some(field)) if !FIELDS.contains(&field) => {
                return problem(format!(
                    "no field has the name `.{field}`; Prometheus defines .{}",
                    FIELDS.join(", .")
                ));
            }
            _ => None,
        };
        label.map_or(Ok(()), |label| check_kept(label, self.labels))
    }
}

fn skip_space<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    match tokens {
        [Token::Space, after @ ..] => after,
        _ => tokens,
    }
}

/// Returns the names of the fields at the start of the tokens.
fn fields<'t>(tokens: &'t [Token<'_>]) -> impl Iterator<Item = &'t str> {
    tokens.iter().map_while(|token| match token {
        Token::Field(name) => Some(*name),
        _ => None,
    })
}
