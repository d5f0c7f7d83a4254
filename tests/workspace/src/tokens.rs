//! Paths in code that `syn` does not parse: the arguments of macros.

use proc_macro2::{TokenStream, TokenTree};

/// A path in a stream of tokens, for example `["$crate", "registry", "Registry"]`.
#[derive(Debug)]
pub struct TokenPath {
    /// Its segments.
    pub segments: Vec<String>,
    /// The line of its first segment.
    pub line: usize,
}

/// Paths of two or more segments, also those in groups.
pub fn paths(tokens: TokenStream) -> Vec<TokenPath> {
    let mut found = Vec::new();
    collect(tokens, &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<TokenPath>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => collect(group.stream(), found),
            TokenTree::Ident(first) => {
                let after_dollar = at > 0 && is_punct(tokens.get(at - 1), '$');
                let after_colons = at > 0
                    && is_punct(tokens.get(at - 1), ':')
                    && at > 1
                    && is_punct(tokens.get(at - 2), ':');
                let mut segments = vec![match after_dollar {
                    true => format!("${first}"),
                    false => first.to_string(),
                }];
                while is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':') {
                    let Some(TokenTree::Ident(next)) = tokens.get(at + 3) else {
                        break;
                    };
                    segments.push(next.to_string());
                    at += 3;
                }
                let is_crate_path = !after_dollar || segments[0] == "$crate";
                if segments.len() > 1 && is_crate_path && !after_colons {
                    found.push(TokenPath {
                        segments,
                        line: first.span().start().line,
                    });
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// All names, also those in groups.
pub fn names(tokens: TokenStream) -> Vec<String> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Group(group) => names(group.stream()),
            TokenTree::Ident(name) => vec![name.to_string()],
            TokenTree::Punct(_) | TokenTree::Literal(_) => Vec::new(),
        })
        .collect()
}
