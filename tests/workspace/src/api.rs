//! The public API of a package, as lines of text.
//!
//! Each line is an item with its public path, a field, variant or method of an item, or the header of a trait
//! implementation. Types in signatures are written as in the source.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::{
    Item, Type, Visibility,
    punctuated::Punctuated,
    visit::{self, Visit},
};

use crate::{
    cfg,
    source::{self, Binding, ModuleId, Source, Target},
};

/// A public path and its conditions.
type PublicPath = (String, Vec<String>);

/// The public API of a library.
pub struct Api<'s> {
    source: &'s Source,
    /// Each public item: its module and index, its public paths and the conditions of each path.
    items: BTreeMap<(ModuleId, usize), Vec<PublicPath>>,
    /// Lines, sorted by path.
    lines: BTreeSet<(String, String)>,
    /// Paths of other crates in public signatures: the line and the path.
    pub foreign: Vec<(String, Vec<String>)>,
    /// What the crate root exports: the names of items and macros, without modules.
    pub root_exports: Vec<String>,
}

impl<'s> Api<'s> {
    /// Lists the public API.
    pub fn of(source: &'s Source) -> Self {
        let mut api = Self {
            source,
            items: BTreeMap::new(),
            lines: BTreeSet::new(),
            foreign: Vec::new(),
            root_exports: Vec::new(),
        };
        api.walk(0, &source.name, &[], &mut Vec::new());
        let prefix = format!("{}::", source.name);
        let exports: BTreeSet<String> = api
            .lines
            .iter()
            .filter(|(_, line)| line.starts_with("use "))
            .map(|(path, _)| path)
            .chain(api.items.values().flatten().map(|(path, _)| path))
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|name| !name.contains("::"))
            .map(str::to_owned)
            .collect();
        api.root_exports = exports.into_iter().collect();
        api.list_items();
        api.list_impls();
        api
    }

    /// Returns the listing, sorted by path.
    pub fn text(&self) -> String {
        self.lines
            .iter()
            .map(|(_, line)| format!("{line}\n"))
            .collect()
    }

    /// Returns the paths of each item that has more than one public path.
    pub fn items_with_two_paths(&self) -> Vec<Vec<&str>> {
        self.items
            .values()
            .map(|paths| {
                paths
                    .iter()
                    .map(|(path, _)| path.as_str())
                    .collect::<BTreeSet<_>>()
            })
            .filter(|paths| paths.len() > 1)
            .map(|paths| paths.into_iter().collect())
            .collect()
    }

    fn walk(
        &mut self,
        module: ModuleId,
        path: &str,
        conditions: &[String],
        visited: &mut Vec<ModuleId>,
    ) {
        if visited.contains(&module) {
            return;
        }
        visited.push(module);
        let source = self.source;
        let both = |attributes: &[syn::Attribute]| -> Vec<String> {
            conditions
                .iter()
                .cloned()
                .chain(cfg::shown(attributes))
                .collect()
        };
        for (name, bindings) in &source.modules[module].names {
            let path = format!("{path}::{name}");
            for binding in bindings {
                match binding {
                    Binding::Module(child, declaration) => {
                        if is_shown(declaration) {
                            self.module(*child, &path, &both(&declaration.attributes), visited);
                        }
                    }
                    Binding::Item(index, declaration) => {
                        if is_shown(declaration) {
                            self.item((module, *index), &path, both(&declaration.attributes));
                        }
                    }
                    Binding::ExportedMacro(at, index) => {
                        let item = &source.modules[*at].items[*index];
                        let attributes = source::declaration(item).attributes;
                        if !cfg::is_hidden(&attributes) {
                            self.item((*at, *index), &path, cfg::shown(&attributes));
                        }
                    }
                    Binding::Import(import) => {
                        if is_shown(&import.declaration) {
                            let conditions = both(&import.declaration.attributes);
                            self.import(module, &import.path, &path, &conditions, visited);
                        }
                    }
                }
            }
        }
        for glob in &source.modules[module].globs {
            if is_shown(&glob.declaration) {
                for target in source.resolve(module, &glob.path) {
                    match target {
                        Target::Module(from) => {
                            self.walk(from, path, &both(&glob.declaration.attributes), visited);
                        }
                        other => self.line(path, format!("use {path}::* = {other:?}"), &[]),
                    }
                }
            }
        }
        visited.pop();
    }

    fn module(
        &mut self,
        module: ModuleId,
        path: &str,
        conditions: &[String],
        visited: &mut Vec<ModuleId>,
    ) {
        self.line(path, format!("mod {path}"), conditions);
        self.walk(module, path, conditions, visited);
    }

    fn import(
        &mut self,
        module: ModuleId,
        target: &[String],
        path: &str,
        conditions: &[String],
        visited: &mut Vec<ModuleId>,
    ) {
        for target in self.source.resolve(module, target) {
            match target {
                Target::Module(child) => self.module(child, path, conditions, visited),
                Target::Item(at, index) => {
                    let declaration = source::declaration(&self.source.modules[at].items[index]);
                    if is_shown(&declaration) {
                        let own = cfg::shown(&declaration.attributes);
                        self.item((at, index), path, [conditions, &own].concat());
                    }
                }
                Target::Foreign(foreign) => {
                    let line = format!("use {path} = {}", foreign.join("::"));
                    self.foreign.push((line.clone(), foreign));
                    self.line(path, line, conditions);
                }
                Target::Unseen(at, name) => {
                    let from = self.source.full_path(at);
                    self.line(path, format!("unseen {path} = {from}::{name}"), conditions);
                }
            }
        }
    }

    fn item(&mut self, item: (ModuleId, usize), path: &str, mut conditions: Vec<String>) {
        conditions.dedup();
        self.items
            .entry(item)
            .or_default()
            .push((path.to_owned(), conditions));
    }

    /// Returns the shortest path of an item, under which it is listed, and the conditions of that path.
    fn listed(&self, item: (ModuleId, usize)) -> Option<PublicPath> {
        self.items
            .get(&item)?
            .iter()
            .min_by_key(|(path, _)| (path.matches("::").count(), path))
            .cloned()
    }

    fn line(&mut self, path: &str, line: String, conditions: &[String]) {
        let mut line = line;
        for condition in conditions {
            line.push_str(&format!(" [{condition}]"));
        }
        self.lines.insert((path.to_owned(), line));
    }

    /// Adds a line for code of a module, and records the paths of other crates in the code.
    fn code(
        &mut self,
        module: ModuleId,
        path: &str,
        line: String,
        conditions: &[String],
        code: &impl ToTokens,
    ) {
        let mut foreign = ForeignPaths {
            source: self.source,
            module,
            found: Vec::new(),
        };
        // The code is part of an item: a signature, a type or a header. Only its paths matter here.
        for path in paths_in(code) {
            foreign.path(&path);
        }
        self.foreign
            .extend(foreign.found.into_iter().map(|path| (line.clone(), path)));
        self.line(path, line, conditions);
    }

    fn list_items(&mut self) {
        for item in self.items.keys().copied().collect::<Vec<_>>() {
            let Some((path, conditions)) = self.listed(item) else {
                continue;
            };
            for (other, conditions) in self.items[&item].clone() {
                if other != path {
                    self.line(&other, format!("use {other} = {path}"), &conditions);
                }
            }
            self.list_item(
                item.0,
                &self.source.modules[item.0].items[item.1],
                &path,
                &conditions,
            );
        }
    }

    fn list_item(&mut self, module: ModuleId, item: &Item, path: &str, conditions: &[String]) {
        let attributes = source::declaration(item).attributes;
        for derived in derives(&attributes) {
            self.line(path, format!("impl {derived} for {path}"), conditions);
        }
        let non_exhaustive = match attributes
            .iter()
            .any(|a| a.path().is_ident("non_exhaustive"))
        {
            true => " #[non_exhaustive]",
            false => "",
        };
        match item {
            Item::Struct(item) => {
                let mut header = item.clone();
                header.attrs.clear();
                header.vis = Visibility::Inherited;
                header.fields = syn::Fields::Unit;
                let text = renamed(&one_line(Item::Struct(header)), "struct ", path);
                self.code(
                    module,
                    path,
                    text + non_exhaustive,
                    conditions,
                    &item.generics,
                );
                for (index, field) in item.fields.iter().enumerate() {
                    if matches!(field.vis, Visibility::Public(_)) && !cfg::is_hidden(&field.attrs) {
                        let name = match &field.ident {
                            Some(ident) => ident.to_string(),
                            None => index.to_string(),
                        };
                        let line = format!("field {path}.{name}: {}", type_text(&field.ty));
                        self.code(module, path, line, conditions, &field.ty);
                    }
                }
            }
            Item::Enum(item) => {
                let mut header = item.clone();
                header.attrs.clear();
                header.vis = Visibility::Inherited;
                header.variants.clear();
                let text = one_line(Item::Enum(header));
                let text = renamed(&text, "enum ", path);
                self.code(
                    module,
                    path,
                    text + non_exhaustive,
                    conditions,
                    &item.generics,
                );
                for variant in &item.variants {
                    if !cfg::is_hidden(&variant.attrs) {
                        let own = [conditions, &cfg::shown(&variant.attrs)].concat();
                        let line = format!("variant {path}::{}", variant_text(variant));
                        self.code(module, path, line, &own, &variant.fields);
                    }
                }
            }
            Item::Trait(item) => self.list_trait(module, item, path, conditions),
            Item::Fn(item) => {
                let line = renamed(&signature(&item.sig), "fn ", path);
                self.code(module, path, line, conditions, &item.sig);
            }
            Item::Const(item) => {
                let line = format!("const {path}: {}", type_text(&item.ty));
                self.code(module, path, line, conditions, &item.ty);
            }
            Item::Static(item) => {
                let line = format!("static {path}: {}", type_text(&item.ty));
                self.code(module, path, line, conditions, &item.ty);
            }
            Item::Type(item) => {
                let mut header = item.clone();
                header.attrs.clear();
                header.vis = Visibility::Inherited;
                let line = renamed(&one_line(Item::Type(header)), "type ", path);
                self.code(module, path, line, conditions, item);
            }
            Item::Macro(_) => self.line(path, format!("macro {path}!"), conditions),
            _ => self.line(path, format!("unlisted {path}"), conditions),
        }
    }

    fn list_trait(
        &mut self,
        module: ModuleId,
        item: &syn::ItemTrait,
        path: &str,
        conditions: &[String],
    ) {
        let mut header = item.clone();
        header.attrs.clear();
        header.vis = Visibility::Inherited;
        header.items.clear();
        let text = one_line(Item::Trait(header.clone()));
        let text = renamed(&text, "trait ", path);
        self.code(module, path, text, conditions, &header);
        for part in &item.items {
            match part {
                syn::TraitItem::Fn(function) if !cfg::is_hidden(&function.attrs) => {
                    let text = method(&signature(&function.sig), path);
                    let provided = if function.default.is_some() {
                        "provided "
                    } else {
                        ""
                    };
                    let own = [conditions, &cfg::shown(&function.attrs)].concat();
                    self.code(
                        module,
                        path,
                        format!("{provided}{text}"),
                        &own,
                        &function.sig,
                    );
                }
                syn::TraitItem::Type(kind) if !cfg::is_hidden(&kind.attrs) => {
                    let line = format!("type {path}::{}", kind.ident);
                    self.code(module, path, line, conditions, &kind.bounds);
                }
                syn::TraitItem::Const(constant) if !cfg::is_hidden(&constant.attrs) => {
                    let line = format!(
                        "const {path}::{}: {}",
                        constant.ident,
                        type_text(&constant.ty)
                    );
                    self.code(module, path, line, conditions, &constant.ty);
                }
                _ => {}
            }
        }
    }

    fn list_impls(&mut self) {
        let source = self.source;
        for (module, items) in source
            .modules
            .iter()
            .map(|module| &module.items)
            .enumerate()
        {
            for item in items {
                if let Item::Impl(item) = item
                    && !cfg::is_hidden(&item.attrs)
                {
                    match &item.trait_ {
                        None => self.list_methods(module, item),
                        Some((_, of, _)) => self.list_impl(module, item, of),
                    }
                }
            }
        }
    }

    /// Resolves a path to an item of this crate. Returns its listed path, or `Some(None)` if the item is private.
    fn local(&self, module: ModuleId, path: &syn::Path) -> Option<Option<PublicPath>> {
        self.source
            .resolve(module, &segments(path))
            .into_iter()
            .find_map(|target| match target {
                Target::Item(at, index) => Some(self.listed((at, index))),
                _ => None,
            })
    }

    fn list_methods(&mut self, module: ModuleId, item: &syn::ItemImpl) {
        let Some(self_path) = type_path(&item.self_ty) else {
            return;
        };
        let Some(Some((path, conditions))) = self.local(module, self_path) else {
            return;
        };
        let is_plain = item.generics.params.is_empty()
            && self_path
                .segments
                .last()
                .is_none_or(|last| last.arguments.is_empty());
        let within = match is_plain {
            true => String::new(),
            false => format!(" [{}]", header(item, None, None)),
        };
        for part in &item.items {
            let (attributes, line, code) = match part {
                syn::ImplItem::Fn(function) if matches!(function.vis, Visibility::Public(_)) => {
                    let line = method(&signature(&function.sig), &path);
                    (&function.attrs, line, function.sig.to_token_stream())
                }
                syn::ImplItem::Const(constant) if matches!(constant.vis, Visibility::Public(_)) => {
                    let line = format!(
                        "const {path}::{}: {}",
                        constant.ident,
                        type_text(&constant.ty)
                    );
                    (&constant.attrs, line, constant.ty.to_token_stream())
                }
                _ => continue,
            };
            if !cfg::is_hidden(attributes) && !cfg::is_test_only(attributes) {
                let mut own = [
                    conditions.clone(),
                    cfg::shown(&item.attrs),
                    cfg::shown(attributes),
                ]
                .concat();
                own.dedup();
                self.code(module, &path, line + &within, &own, &code);
            }
        }
    }

    fn list_impl(&mut self, module: ModuleId, item: &syn::ItemImpl, of: &syn::Path) {
        let of_trait = self.local(module, of);
        let self_type = type_path(&item.self_ty).and_then(|path| self.local(module, path));
        let (path, mut conditions, self_path) = match (&self_type, &of_trait) {
            (Some(None), _) | (_, Some(None)) => return,
            (Some(Some((path, conditions))), _) => (path.clone(), conditions.clone(), Some(path)),
            (None, Some(Some((path, conditions)))) => (path.clone(), conditions.clone(), None),
            // For example `impl From<Ours> for String`.
            (None, None) => match self.argument(module, of) {
                Some((path, conditions)) => (path, conditions, None),
                None => return,
            },
        };
        conditions.extend(cfg::shown(&item.attrs));
        conditions.dedup();
        let line = header(item, Some(of), self_path.map(String::as_str));
        let mut shown = item.clone();
        shown.attrs.clear();
        shown.items.clear();
        self.code(module, &path, line, &conditions, &shown);
        let name = of
            .segments
            .last()
            .map(|last| last.ident.to_string())
            .unwrap_or_default();
        for part in &item.items {
            if let syn::ImplItem::Type(kind) = part {
                let text = type_text(&kind.ty);
                let line = format!(
                    "type <{} as {name}>::{} = {text}",
                    self_text(item, self_path),
                    kind.ident
                );
                self.code(module, &path, line, &conditions, &kind.ty);
            }
        }
    }

    /// The first public item of this crate among the type arguments of a path.
    fn argument(&self, module: ModuleId, path: &syn::Path) -> Option<PublicPath> {
        let syn::PathArguments::AngleBracketed(arguments) = &path.segments.last()?.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            syn::GenericArgument::Type(kind) => self.local(module, type_path(kind)?)?,
            _ => None,
        })
    }
}

fn is_shown(declaration: &source::Declaration) -> bool {
    declaration.is_public && !cfg::is_hidden(&declaration.attributes)
}

/// The traits in `#[derive(…)]`, without their paths.
fn derives(attributes: &[syn::Attribute]) -> Vec<String> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
        .filter_map(|attribute| {
            attribute
                .parse_args_with(Punctuated::<syn::Path, syn::Token![,]>::parse_terminated)
                .ok()
        })
        .flatten()
        .filter_map(|path| Some(path.segments.last()?.ident.to_string()))
        .collect()
}

/// Formats an item on one line, as rustfmt would without a maximum width, and without an empty body.
fn one_line(item: Item) -> String {
    let file = syn::File {
        shebang: None,
        attrs: Vec::new(),
        items: vec![item],
    };
    let text = prettyplease::unparse(&file);
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = words.join(" ");
    for (from, to) in [
        ("( ", "("),
        (", )", ")"),
        (" )", ")"),
        ("< ", "<"),
        (", >", ">"),
        (" .", "."),
    ] {
        line = line.replace(from, to);
    }
    let line = line.strip_suffix(" {}").unwrap_or(&line);
    line.trim_end_matches([';', ' ', ',']).to_owned()
}

/// Formats the signature of a function, with types and argument names.
fn signature(sig: &syn::Signature) -> String {
    let mut sig = sig.clone();
    for input in &mut sig.inputs {
        match input {
            syn::FnArg::Receiver(receiver) => {
                receiver.attrs.clear();
                // `mut self` is not part of the signature.
                receiver.mutability = receiver.reference.as_ref().and(receiver.mutability);
            }
            syn::FnArg::Typed(argument) => {
                argument.attrs.clear();
                if let syn::Pat::Ident(name) = &mut *argument.pat {
                    name.mutability = None;
                }
            }
        }
    }
    let function = syn::TraitItemFn {
        attrs: Vec::new(),
        sig,
        default: None,
        semi_token: None,
    };
    let text = one_line(syn::parse_quote! { trait T { #function } });
    let text = text
        .trim_start_matches("trait T { ")
        .trim_end_matches([' ', '}']);
    text.trim_end_matches([';', ' ', ',']).to_owned()
}

/// Puts the path of the type before the method's name in a signature.
fn method(signature: &str, path: &str) -> String {
    let (before, after) = signature.split_once("fn ").unwrap_or(("", signature));
    format!("{before}fn {path}::{after}")
}

/// Replaces the name after `keyword` by a path.
fn renamed(line: &str, keyword: &str, path: &str) -> String {
    let Some((before, after)) = line.split_once(keyword) else {
        return line.to_owned();
    };
    let rest = after.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '#');
    format!("{before}{keyword}{path}{rest}")
}

fn type_text(kind: &Type) -> String {
    let text = one_line(syn::parse_quote! { type T = #kind; });
    text.trim_start_matches("type T = ").to_owned()
}

fn variant_text(variant: &syn::Variant) -> String {
    let mut variant = variant.clone();
    variant.attrs.clear();
    for field in &mut variant.fields {
        field.attrs.clear();
    }
    let text = one_line(syn::parse_quote! { enum E { #variant } });
    let text = text.trim_start_matches("enum E { ");
    text.strip_suffix(", }").unwrap_or(text).to_owned()
}

/// Formats the header of an `impl`: the trait without its path, and the type with its public path if it has one.
fn header(item: &syn::ItemImpl, of: Option<&syn::Path>, self_path: Option<&str>) -> String {
    let mut header = item.clone();
    header.attrs.clear();
    header.items.clear();
    if let (Some((_, name, _)), Some(of)) = (&mut header.trait_, of) {
        name.leading_colon = None;
        name.segments = of.segments.last().cloned().into_iter().collect();
    }
    if let Some(path) = self_path {
        rename_type(&mut header.self_ty, path);
    }
    one_line(Item::Impl(header))
}

fn self_text(item: &syn::ItemImpl, self_path: Option<&String>) -> String {
    let mut kind = item.self_ty.clone();
    if let Some(path) = self_path {
        rename_type(&mut kind, path);
    }
    type_text(&kind)
}

fn rename_type(kind: &mut Type, path: &str) {
    match kind {
        Type::Reference(reference) => rename_type(&mut reference.elem, path),
        Type::Path(own) => {
            let arguments = own.path.segments.last().map(|last| last.arguments.clone());
            if let (Ok(mut public), Some(arguments)) =
                (syn::parse_str::<syn::Path>(path), arguments)
            {
                if let Some(last) = public.segments.last_mut() {
                    last.arguments = arguments;
                }
                own.path = public;
            }
        }
        _ => {}
    }
}

/// The path of a type, or of the type behind a reference.
fn type_path(kind: &Type) -> Option<&syn::Path> {
    match kind {
        Type::Path(path) if path.qself.is_none() => Some(&path.path),
        Type::Reference(reference) => type_path(&reference.elem),
        _ => None,
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    let leading = path.leading_colon.map(|_| String::new());
    leading
        .into_iter()
        .chain(
            path.segments
                .iter()
                .map(|segment| segment.ident.to_string()),
        )
        .collect()
}

/// The paths in a part of an item: `a::b::C` and single names.
fn paths_in(code: &impl ToTokens) -> Vec<Vec<String>> {
    struct Paths(Vec<Vec<String>>);
    impl<'ast> Visit<'ast> for Paths {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            self.0.push(segments(path));
            visit::visit_path(self, path);
        }
    }
    let mut paths = Paths(Vec::new());
    let tokens = code.to_token_stream();
    if let Ok(item) = syn::parse2::<Item>(tokens.clone()) {
        paths.visit_item(&item);
    } else if let Ok(kind) = syn::parse2::<Type>(tokens.clone()) {
        paths.visit_type(&kind);
    } else if let Ok(sig) = syn::parse2::<syn::Signature>(tokens.clone()) {
        paths.visit_signature(&sig);
    } else {
        // Generics, bounds, and the fields of a variant: identifiers are enough.
        for path in crate::tokens::paths(tokens.clone()) {
            paths.0.push(path.segments);
        }
        paths.0.extend(
            crate::tokens::names(tokens)
                .into_iter()
                .map(|name| vec![name]),
        );
    }
    paths.0
}

struct ForeignPaths<'s> {
    source: &'s Source,
    module: ModuleId,
    found: Vec<Vec<String>>,
}

impl ForeignPaths<'_> {
    fn path(&mut self, path: &[String]) {
        for target in self.source.resolve(self.module, path) {
            if let Target::Foreign(path) = target {
                self.found.push(path);
            }
        }
    }
}
