//! Conditions and other attributes of items.

use quote::ToTokens;
use syn::{Attribute, Meta, Token, parse::Parser, punctuated::Punctuated};

/// Whether the item exists only in tests: `#[cfg(test)]`, `#[cfg(all(test, …))]`, `#[cfg(doctest)]`.
pub fn is_test_only(attributes: &[Attribute]) -> bool {
    conditions(attributes).iter().any(needs_test)
}

/// Whether the item is `#[doc(hidden)]`.
pub fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("hidden"))
    })
}

/// Whether the macro is exported.
pub fn is_exported(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("macro_export"))
}

/// Returns the conditions of the item on features and platforms, as they are written.
///
/// Conditions on `loom` or `docsrs` are left out, because they do not concern users.
pub fn shown(attributes: &[Attribute]) -> Vec<String> {
    conditions(attributes)
        .iter()
        .map(|condition| condition.to_token_stream().to_string())
        .filter(|condition| !condition.contains("loom") && !condition.contains("docsrs"))
        .collect()
}

fn conditions(attributes: &[Attribute]) -> Vec<Meta> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .filter_map(|attribute| attribute.parse_args().ok())
        .collect()
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test") || path.is_ident("doctest"),
        Meta::List(list) => {
            let Ok(parts) =
                Punctuated::<Meta, Token![,]>::parse_terminated.parse2(list.tokens.clone())
            else {
                return false;
            };
            (list.path.is_ident("all") && parts.iter().any(needs_test))
                || (list.path.is_ident("any") && parts.iter().all(needs_test))
        }
        Meta::NameValue(_) => false,
    }
}
