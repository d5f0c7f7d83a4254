//! The modules of a package, read from its files, and the resolution of paths to where an item is defined.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Item, UseTree, Visibility, ext::IdentExt};

use crate::{cfg, expand};

/// The index of a module in [`Source::modules`]. 0 is the crate root.
pub type ModuleId = usize;

/// A library's source.
pub struct Source {
    /// The name of the library, as code imports it.
    pub name: String,
    /// All modules except those that exist only in tests.
    pub modules: Vec<Module>,
}

/// A module.
pub struct Module {
    /// The path from the crate root, whose own path is empty.
    pub path: Vec<String>,
    /// The module that declares it. `None` for the crate root.
    pub parent: Option<ModuleId>,
    /// The file it is in, relative to the package.
    pub file: PathBuf,
    /// Whether it is written in its parent's file.
    pub is_inline: bool,
    /// The items, without modules and test-only items. After the first `written` come those that macros define.
    pub items: Vec<Item>,
    /// How many of the items are written in the file.
    pub written: usize,
    /// The names in its scope, without those of glob imports.
    pub names: BTreeMap<String, Vec<Binding>>,
    /// Its glob imports.
    pub globs: Vec<Import>,
}

/// A name in a module.
pub enum Binding {
    /// A child module.
    Module(ModuleId, Declaration),
    /// An item: its index in [`Module::items`].
    Item(usize, Declaration),
    /// A `use`.
    Import(Import),
    /// A macro with `#[macro_export]`, which the crate root names: its module and index.
    ExportedMacro(ModuleId, usize),
}

/// An imported path.
#[derive(Clone)]
pub struct Import {
    /// The path.
    pub path: Vec<String>,
    /// The attributes and visibility of the `use`.
    pub declaration: Declaration,
}

/// The visibility and the attributes of a module, item or import.
#[derive(Clone)]
pub struct Declaration {
    /// Whether it is `pub`.
    pub is_public: bool,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
}

/// The result of resolving a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A module of this crate.
    Module(ModuleId),
    /// An item of this crate: its module and its index in [`Module::items`].
    Item(ModuleId, usize),
    /// A name of a module of this crate that was not found: a macro defines it.
    Unseen(ModuleId, String),
    /// A path of another crate, or a local or built-in name.
    Foreign(Vec<String>),
}

impl Source {
    /// Reads a library. `root` is relative to the package's folder, for example `src/lib.rs`.
    ///
    /// # Panics
    ///
    /// If a file cannot be read or parsed.
    pub fn read(name: &str, package: &Path, root: &Path) -> Self {
        let mut source = Self {
            name: name.to_owned(),
            modules: Vec::new(),
        };
        let mut reader = Reader {
            package: package.to_owned(),
            source: &mut source,
        };
        reader.file(&[], None, root, true);
        source.expand_macros();
        source.bind();
        source
    }

    /// Returns the full path of a module, for example `tower_prometheus::registry`.
    pub fn full_path(&self, module: ModuleId) -> String {
        std::iter::once(&self.name)
            .chain(&self.modules[module].path)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("::")
    }

    /// The module whose file this module is in: itself unless it is inline.
    pub fn file_module(&self, module: ModuleId) -> ModuleId {
        match self.modules[module] {
            Module {
                is_inline: true,
                parent: Some(parent),
                ..
            } => self.file_module(parent),
            _ => module,
        }
    }

    /// Resolves `crate`, `self` and `super` at the start of a path. Returns the module and the rest of the path.
    ///
    /// `None` if the path starts with something else.
    pub fn anchor<'p>(
        &self,
        from: ModuleId,
        path: &'p [String],
    ) -> Option<(ModuleId, &'p [String])> {
        let mut module = match path.first()?.as_str() {
            "crate" | "$crate" => 0,
            "self" => from,
            "super" => self.modules[from].parent?,
            _ => return None,
        };
        let mut rest = &path[1..];
        while rest.first().is_some_and(|segment| segment == "super") {
            module = self.modules[module].parent?;
            rest = &rest[1..];
        }
        Some((module, rest))
    }

    /// Resolves a path as code in `from` would. A name can be a module, a type and a function at the same time.
    pub fn resolve(&self, from: ModuleId, path: &[String]) -> Vec<Target> {
        self.resolve_within(from, path, &mut Vec::new())
    }

    fn resolve_within(
        &self,
        from: ModuleId,
        path: &[String],
        visited: &mut Vec<(ModuleId, String)>,
    ) -> Vec<Target> {
        if let Some((module, rest)) = self.anchor(from, path) {
            return self.walk(module, rest, visited);
        }
        if let Some(("", after)) = path
            .split_first()
            .map(|(first, after)| (first.as_str(), after))
        {
            return vec![Target::Foreign(after.to_vec())];
        }
        let is_local = path.first().is_some_and(|first| {
            let is_itself = visited
                .iter()
                .any(|(at, seen)| *at == from && seen == first);
            self.modules[from].names.contains_key(first) && !is_itself
                || self.modules[from].globs.iter().any(|glob| {
                    !self
                        .lookup_glob(from, glob, first, &mut visited.clone())
                        .is_empty()
                })
        });
        match is_local {
            true => self.walk(from, path, visited),
            false => vec![Target::Foreign(path.to_vec())],
        }
    }

    fn walk(
        &self,
        module: ModuleId,
        rest: &[String],
        visited: &mut Vec<(ModuleId, String)>,
    ) -> Vec<Target> {
        let Some((name, after)) = rest.split_first() else {
            return vec![Target::Module(module)];
        };
        let found = self.lookup(module, name, visited);
        if found.is_empty() {
            return vec![Target::Unseen(module, name.clone())];
        }
        if after.is_empty() {
            return found;
        }
        // After a module, the path continues. After an item come its variants and associated functions.
        let mut targets = Vec::new();
        for target in found {
            match target {
                Target::Module(child) => targets.extend(self.walk(child, after, visited)),
                Target::Foreign(mut path) => {
                    path.extend_from_slice(after);
                    targets.push(Target::Foreign(path));
                }
                item => targets.push(item),
            }
        }
        prefer_items(&mut targets);
        targets
    }

    /// Resolves a name in a module, through the module's imports.
    fn lookup(
        &self,
        module: ModuleId,
        name: &str,
        visited: &mut Vec<(ModuleId, String)>,
    ) -> Vec<Target> {
        if visited
            .iter()
            .any(|(at, seen)| *at == module && seen == name)
        {
            return Vec::new();
        }
        visited.push((module, name.to_owned()));
        let mut targets = Vec::new();
        for binding in self.modules[module].names.get(name).into_iter().flatten() {
            match binding {
                Binding::Module(child, _) => targets.push(Target::Module(*child)),
                Binding::Item(index, _) => targets.push(Target::Item(module, *index)),
                Binding::ExportedMacro(at, index) => targets.push(Target::Item(*at, *index)),
                Binding::Import(import) => {
                    targets.extend(self.resolve_within(module, &import.path, visited));
                }
            }
        }
        if targets.is_empty() {
            for glob in &self.modules[module].globs {
                targets.extend(self.lookup_glob(module, glob, name, visited));
            }
        }
        visited.pop();
        prefer_items(&mut targets);
        targets.sort();
        targets.dedup();
        targets
    }

    fn lookup_glob(
        &self,
        module: ModuleId,
        glob: &Import,
        name: &str,
        visited: &mut Vec<(ModuleId, String)>,
    ) -> Vec<Target> {
        self.resolve_within(module, &glob.path, visited)
            .into_iter()
            .filter_map(|target| match target {
                Target::Module(from) => Some(self.lookup(from, name, visited)),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// Adds the items that the crate's own simple macros define, for example `metric! { Counter … }`.
    fn expand_macros(&mut self) {
        let macros: BTreeMap<String, syn::ItemMacro> = self
            .modules
            .iter()
            .flat_map(|module| &module.items)
            .filter_map(|item| match item {
                Item::Macro(item) => Some((item.ident.as_ref()?.to_string(), item.clone())),
                _ => None,
            })
            .collect();
        for module in &mut self.modules {
            let defined: Vec<Item> = module
                .items
                .iter()
                .flat_map(|item| match item {
                    Item::Macro(call) if call.ident.is_none() => expand::items(call, &macros),
                    _ => Vec::new(),
                })
                .collect();
            module.written = module.items.len();
            module.items.extend(defined);
        }
    }

    /// Fills [`Module::names`] and [`Module::globs`] from the items.
    fn bind(&mut self) {
        let mut exported = Vec::new();
        for id in 0..self.modules.len() {
            let module = &mut self.modules[id];
            let mut names = std::mem::take(&mut module.names);
            for (index, item) in module.items.iter().enumerate() {
                let declaration = declaration(item);
                match item {
                    Item::Use(item) => {
                        for leaf in use_leaves(item) {
                            let import = Import {
                                path: leaf.path,
                                declaration: declaration.clone(),
                            };
                            match leaf.name {
                                Some(name) => {
                                    names.entry(name).or_default().push(Binding::Import(import));
                                }
                                None => module.globs.push(import),
                            }
                        }
                    }
                    item => {
                        if let Some(name) = item_name(item) {
                            if cfg::is_exported(&declaration.attributes) {
                                exported.push((name.clone(), id, index));
                            }
                            names
                                .entry(name)
                                .or_default()
                                .push(Binding::Item(index, declaration));
                        }
                    }
                }
            }
            module.names = names;
        }
        for (name, module, index) in exported {
            let binding = Binding::ExportedMacro(module, index);
            self.modules[0].names.entry(name).or_default().push(binding);
        }
    }
}

/// If some targets are in this crate, removes the others.
fn prefer_items(targets: &mut Vec<Target>) {
    let is_item = |target: &Target| matches!(target, Target::Module(_) | Target::Item(..));
    if targets.iter().any(is_item) {
        targets.retain(is_item);
    }
}

/// Reads files into a [`Source`].
struct Reader<'s> {
    package: PathBuf,
    source: &'s mut Source,
}

impl Reader<'_> {
    /// `owns_folder`: whether child modules are in the folder of the file (`lib.rs`, `mod.rs`, `#[path]`), or in a
    /// folder with the name of the file.
    fn file(
        &mut self,
        path: &[String],
        parent: Option<ModuleId>,
        file: &Path,
        owns_folder: bool,
    ) -> ModuleId {
        let full = self.package.join(file);
        let text = fs::read_to_string(&full)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", full.display()));
        let parsed = syn::parse_file(&text)
            .unwrap_or_else(|error| panic!("cannot parse {}: {error}", full.display()));
        let folder = match owns_folder {
            true => file.parent().unwrap_or(Path::new("")).to_owned(),
            false => file.with_extension(""),
        };
        self.module(path, parent, file, false, &folder, parsed.items)
    }

    fn module(
        &mut self,
        path: &[String],
        parent: Option<ModuleId>,
        file: &Path,
        is_inline: bool,
        folder: &Path,
        items: Vec<Item>,
    ) -> ModuleId {
        let id = self.source.modules.len();
        self.source.modules.push(Module {
            path: path.to_owned(),
            parent,
            file: file.to_owned(),
            is_inline,
            items: Vec::new(),
            written: 0,
            names: BTreeMap::new(),
            globs: Vec::new(),
        });
        for item in items {
            let declaration = declaration(&item);
            if cfg::is_test_only(&declaration.attributes) {
                continue;
            }
            let Item::Mod(child) = item else {
                self.source.modules[id].items.push(item);
                continue;
            };
            let name = child.ident.unraw().to_string();
            let child_path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
            let child_id = match child.content {
                Some((_, items)) => {
                    let folder = folder.join(&name);
                    self.module(&child_path, Some(id), file, true, &folder, items)
                }
                None => {
                    let (file, owns_folder) =
                        self.child_file(file, folder, &name, &declaration.attributes);
                    self.file(&child_path, Some(id), &file, owns_folder)
                }
            };
            let binding = Binding::Module(child_id, declaration);
            self.source.modules[id]
                .names
                .entry(name)
                .or_default()
                .push(binding);
        }
        id
    }

    fn child_file(
        &self,
        file: &Path,
        folder: &Path,
        name: &str,
        attributes: &[Attribute],
    ) -> (PathBuf, bool) {
        if let Some(path) = path_attribute(attributes) {
            return (file.parent().unwrap_or(Path::new("")).join(path), true);
        }
        let beside = folder.join(format!("{name}.rs"));
        match self.package.join(&beside).exists() {
            true => (beside, false),
            false => (folder.join(name).join("mod.rs"), true),
        }
    }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let value = &attribute.meta.require_name_value().ok()?.value;
        match value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(path),
                ..
            }) if attribute.path().is_ident("path") => Some(path.value()),
            _ => None,
        }
    })
}

/// A name that a `use` brings into scope, or a glob.
#[derive(Debug)]
pub struct UseLeaf {
    /// The path, without a last `self`. It starts with an empty segment for a leading `::`.
    pub path: Vec<String>,
    /// The name in scope. `None` for a glob.
    pub name: Option<String>,
    /// The line of the last segment.
    pub line: usize,
}

/// The names that a `use` brings into scope.
pub fn use_leaves(item: &syn::ItemUse) -> Vec<UseLeaf> {
    let mut leaves = Vec::new();
    let mut prefix = Vec::new();
    if item.leading_colon.is_some() {
        prefix.push(String::new());
    }
    collect_leaves(&item.tree, &mut prefix, &mut leaves);
    leaves
}

fn collect_leaves(tree: &UseTree, prefix: &mut Vec<String>, leaves: &mut Vec<UseLeaf>) {
    let mut leaf = |ident: &proc_macro2::Ident, name: &proc_macro2::Ident, prefix: &[String]| {
        let mut path = prefix.to_vec();
        if ident != "self" || path.is_empty() {
            path.push(ident.unraw().to_string());
        }
        let name = match name == "self" {
            true => path.last().cloned(),
            false => Some(name.unraw().to_string()),
        };
        leaves.push(UseLeaf {
            path,
            name,
            line: ident.span().start().line,
        });
    };
    match tree {
        UseTree::Path(tree) => {
            prefix.push(tree.ident.unraw().to_string());
            collect_leaves(&tree.tree, prefix, leaves);
            prefix.pop();
        }
        UseTree::Name(tree) => leaf(&tree.ident, &tree.ident, prefix),
        UseTree::Rename(tree) => leaf(&tree.ident, &tree.rename, prefix),
        UseTree::Glob(tree) => leaves.push(UseLeaf {
            path: prefix.clone(),
            name: None,
            line: tree.star_token.spans[0].start().line,
        }),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect_leaves(tree, prefix, leaves);
            }
        }
    }
}

/// The name of an item that has one.
pub fn item_name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.unraw().to_string())
}

/// The attributes and visibility of an item.
pub fn declaration(item: &Item) -> Declaration {
    let private = Visibility::Inherited;
    let (attributes, visibility) = match item {
        Item::Const(item) => (&item.attrs, &item.vis),
        Item::Enum(item) => (&item.attrs, &item.vis),
        Item::ExternCrate(item) => (&item.attrs, &item.vis),
        Item::Fn(item) => (&item.attrs, &item.vis),
        Item::ForeignMod(item) => (&item.attrs, &private),
        Item::Impl(item) => (&item.attrs, &private),
        Item::Macro(item) => (&item.attrs, &private),
        Item::Mod(item) => (&item.attrs, &item.vis),
        Item::Static(item) => (&item.attrs, &item.vis),
        Item::Struct(item) => (&item.attrs, &item.vis),
        Item::Trait(item) => (&item.attrs, &item.vis),
        Item::TraitAlias(item) => (&item.attrs, &item.vis),
        Item::Type(item) => (&item.attrs, &item.vis),
        Item::Union(item) => (&item.attrs, &item.vis),
        Item::Use(item) => (&item.attrs, &item.vis),
        _ => {
            return Declaration {
                is_public: false,
                attributes: Vec::new(),
            };
        }
    };
    Declaration {
        is_public: matches!(visibility, Visibility::Public(_)),
        attributes: attributes.clone(),
    }
}
