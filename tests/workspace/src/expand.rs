//! Expands simple `macro_rules!` macros of the crate itself, to find the items that they define.
//!
//! Supports fragments, repetitions and literal tokens, and uses the first arm that matches. Hygiene and nested
//! calls are not supported, because the crate does not need them here.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Item,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
};

/// Returns the items that a macro call defines. The macro is in `macros`, or it takes items, such as
/// `pin_project!`; otherwise the list is empty.
pub fn items(call: &syn::ItemMacro, macros: &BTreeMap<String, syn::ItemMacro>) -> Vec<Item> {
    let Some(name) = call
        .mac
        .path
        .segments
        .last()
        .map(|segment| segment.ident.to_string())
    else {
        return Vec::new();
    };
    let expanded = match macros.get(&name) {
        Some(definition) => expand(&definition.mac.tokens, &call.mac.tokens),
        None => Some(call.mac.tokens.clone()),
    };
    expanded
        .and_then(|tokens| syn::parse2::<syn::File>(tokens).ok())
        .map_or_else(Vec::new, |file| file.items)
}

fn expand(rules: &TokenStream, input: &TokenStream) -> Option<TokenStream> {
    let rules: Vec<TokenTree> = rules.clone().into_iter().collect();
    rules
        .split(|token| is_punct(Some(token), ';'))
        .find_map(|rule| match rule {
            [TokenTree::Group(pattern), _, _, TokenTree::Group(body)] => {
                let (bound, rest) = matched(&trees(pattern.stream()), input.clone())?;
                rest.is_empty()
                    .then(|| transcribed(&trees(body.stream()), &bound))
            }
            _ => None,
        })
}

/// The fragments of one match.
#[derive(Clone, Default)]
struct Bound {
    fragments: BTreeMap<String, TokenStream>,
    repetitions: Vec<Vec<Bound>>,
}

impl Bound {
    fn extend(&mut self, other: Bound) {
        self.fragments.extend(other.fragments);
        self.repetitions.extend(other.repetitions);
    }

    fn names(&self, name: &str) -> bool {
        self.fragments.contains_key(name)
            || self
                .repetitions
                .iter()
                .flatten()
                .any(|bound| bound.names(name))
    }
}

/// Matches the start of the input. Returns the fragments and the rest.
fn matched(pattern: &[TokenTree], mut input: TokenStream) -> Option<(Bound, TokenStream)> {
    let mut bound = Bound::default();
    let mut at = 0;
    while at < pattern.len() {
        match (&pattern[at], pattern.get(at + 1)) {
            (dollar, Some(TokenTree::Group(group))) if is_punct(Some(dollar), '$') => {
                let (separator, operator) = repetition(pattern, at + 2)?;
                let sub_pattern = trees(group.stream());
                let mut rounds = Vec::new();
                loop {
                    let mut next = input.clone();
                    if let (Some(separator), false) = (&separator, rounds.is_empty()) {
                        match eat(separator, next) {
                            Some(rest) => next = rest,
                            None => break,
                        }
                    }
                    if next.is_empty() {
                        break;
                    }
                    let Some((round, rest)) = matched(&sub_pattern, next) else {
                        break;
                    };
                    rounds.push(round);
                    input = rest;
                }
                bound.repetitions.push(rounds);
                at = operator + 1;
            }
            (dollar, Some(TokenTree::Ident(name))) if is_punct(Some(dollar), '$') => {
                let Some(TokenTree::Ident(kind)) = pattern.get(at + 3) else {
                    return None;
                };
                let (fragment, rest) = fragment(&kind.to_string(), input)?;
                bound.fragments.insert(name.to_string(), fragment);
                input = rest;
                at += 4;
            }
            (TokenTree::Group(group), _) => {
                let mut rest = input.into_iter();
                let Some(TokenTree::Group(found)) = rest.next() else {
                    return None;
                };
                if found.delimiter() != group.delimiter() {
                    return None;
                }
                let (inner, left) = matched(&trees(group.stream()), found.stream())?;
                if !left.is_empty() {
                    return None;
                }
                bound.extend(inner);
                input = rest.collect();
                at += 1;
            }
            (token, _) => {
                input = eat(token, input)?;
                at += 1;
            }
        }
    }
    Some((bound, input))
}

fn transcribed(body: &[TokenTree], bound: &Bound) -> TokenStream {
    let mut out = TokenStream::new();
    let mut at = 0;
    while at < body.len() {
        match (&body[at], body.get(at + 1)) {
            (dollar, Some(TokenTree::Group(group))) if is_punct(Some(dollar), '$') => {
                let Some((separator, operator)) = repetition(body, at + 2) else {
                    break;
                };
                let sub_body = trees(group.stream());
                let names = names(&sub_body);
                let rounds = bound.repetitions.iter().find(|rounds| {
                    rounds
                        .iter()
                        .any(|round| names.iter().any(|name| round.names(name)))
                });
                for (index, round) in rounds.into_iter().flatten().enumerate() {
                    if let (Some(separator), true) = (&separator, index > 0) {
                        out.extend([separator.clone()]);
                    }
                    let mut inner = bound.clone();
                    inner.extend(round.clone());
                    out.extend(transcribed(&sub_body, &inner));
                }
                at = operator + 1;
            }
            (dollar, Some(TokenTree::Ident(name))) if is_punct(Some(dollar), '$') => {
                match bound.fragments.get(&name.to_string()) {
                    Some(fragment) => out.extend(fragment.clone()),
                    None => out.extend([TokenTree::Ident(name.clone())]),
                }
                at += 2;
            }
            (TokenTree::Group(group), _) => {
                let inner = transcribed(&trees(group.stream()), bound);
                out.extend([TokenTree::Group(Group::new(group.delimiter(), inner))]);
                at += 1;
            }
            (token, _) => {
                out.extend([token.clone()]);
                at += 1;
            }
        }
    }
    out
}

/// The separator of a repetition and the index of its operator (`*`, `+`, `?`).
fn repetition(tokens: &[TokenTree], at: usize) -> Option<(Option<TokenTree>, usize)> {
    let is_operator = |token| ['*', '+', '?'].iter().any(|c| is_punct(token, *c));
    match is_operator(tokens.get(at)) {
        true => Some((None, at)),
        false => is_operator(tokens.get(at + 1)).then(|| (tokens.get(at).cloned(), at + 1)),
    }
}

/// The names of the fragments in a repetition's body.
fn names(body: &[TokenTree]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, token) in body.iter().enumerate() {
        match token {
            TokenTree::Group(group) => found.extend(names(&trees(group.stream()))),
            TokenTree::Ident(name) if at > 0 && is_punct(body.get(at - 1), '$') => {
                found.push(name.to_string());
            }
            _ => {}
        }
    }
    found
}

fn fragment(kind: &str, input: TokenStream) -> Option<(TokenStream, TokenStream)> {
    match kind {
        "block" => parse::<syn::Block>(input),
        "expr" => parse::<syn::Expr>(input),
        "ident" => split(proc_macro2::Ident::parse_any, input),
        "item" => parse::<Item>(input),
        "lifetime" => parse::<syn::Lifetime>(input),
        "literal" => parse::<syn::Lit>(input),
        "meta" => parse::<syn::Meta>(input),
        "pat" => split(syn::Pat::parse_multi, input),
        "path" => parse::<syn::Path>(input),
        "tt" => parse::<TokenTree>(input),
        "ty" => parse::<syn::Type>(input),
        "vis" => parse::<syn::Visibility>(input),
        _ => None,
    }
}

fn parse<T: Parse + ToTokens>(input: TokenStream) -> Option<(TokenStream, TokenStream)> {
    split(T::parse, input)
}

fn split<T: ToTokens>(
    parse: fn(ParseStream<'_>) -> syn::Result<T>,
    input: TokenStream,
) -> Option<(TokenStream, TokenStream)> {
    let parser = |input: ParseStream<'_>| {
        let fragment = parse(input)?.into_token_stream();
        Ok((fragment, input.parse::<TokenStream>()?))
    };
    parser.parse2(input).ok()
}

fn eat(token: &TokenTree, input: TokenStream) -> Option<TokenStream> {
    let mut rest = input.into_iter();
    let found = rest.next()?;
    (found.to_string() == token.to_string()).then(|| rest.collect())
}

fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                trees(group.stream())
            }
            token => vec![token],
        })
        .collect()
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}
