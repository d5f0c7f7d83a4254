//! The imports between modules, and the rules for them.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use crate::{
    cfg,
    source::{self, Binding, ModuleId, Source, Target},
    tokens,
};

/// The rules for a package's imports.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The top-level modules from the lowest layer up. Modules of one layer do not import each other.
    /// Empty if the package declares no layers.
    pub layers: &'static [&'static [&'static str]],
    /// The cycles of files that are allowed.
    pub allowed_cycles: &'static [AllowedCycle],
}

/// Files of a folder that may import each other.
#[derive(Clone, Copy, Debug)]
pub struct AllowedCycle {
    /// The folder's module, for example `http::middleware`.
    pub folder: &'static str,
    /// The modules.
    pub modules: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

/// An import: a module uses an item of another file.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The module that uses it.
    pub from: ModuleId,
    /// The module that defines it.
    pub to: ModuleId,
    /// The path as written.
    pub path: String,
    /// The line of the path.
    pub line: usize,
}

/// The imports of a package.
pub struct Imports<'s> {
    source: &'s Source,
    /// Every use of an item of another file.
    pub edges: Vec<Edge>,
    /// Paths through the crate root's re-exports, and paths that do not resolve.
    pub wrong_paths: Vec<String>,
}

impl<'s> Imports<'s> {
    /// Collects the imports of all modules.
    pub fn of(source: &'s Source) -> Self {
        let mut imports = Self {
            source,
            edges: Vec::new(),
            wrong_paths: Vec::new(),
        };
        for module in 0..source.modules.len() {
            let items = &source.modules[module].items[..source.modules[module].written];
            let mut visitor = Visitor {
                imports: &mut imports,
                module,
            };
            for item in items {
                visitor.visit_item(item);
            }
        }
        imports
    }

    /// Returns a message for each violation of the rules.
    pub fn violations(&self, rules: &Rules) -> Vec<String> {
        let mut found = self.wrong_paths.clone();
        if !rules.layers.is_empty() {
            found.extend(self.layer_violations(rules.layers));
        }
        found.extend(self.cycle_violations(rules.allowed_cycles));
        found
    }

    /// Returns a table of the imports between top-level modules, and the number of cycles.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for edge in self.siblings(0) {
            *counts
                .entry((self.name(edge.0), self.name(edge.1)))
                .or_default() += 1;
        }
        let mut lines = vec![format!(
            "{}: imports between top-level modules",
            self.source.name
        )];
        for ((from, to), count) in &counts {
            lines.push(format!("  {from} -> {to}: {count}"));
        }
        for (what, cycles) in [
            ("cycles of top-level modules", self.cycles(0)),
            ("cycles of files, folders apart", self.file_cycles()),
        ] {
            lines.push(format!("{what}: {}", cycles.len()));
            for cycle in cycles {
                let names: Vec<String> = cycle.iter().map(|module| self.path(*module)).collect();
                lines.push(format!("  {} modules: {}", names.len(), names.join(", ")));
            }
        }
        lines.join("\n")
    }

    fn layer_violations(&self, layers: &[&[&str]]) -> Vec<String> {
        let layer = |module: ModuleId| {
            let name = self.name(module);
            layers
                .iter()
                .position(|layer| layer.contains(&name.as_str()))
        };
        let mut found = Vec::new();
        let top: Vec<ModuleId> = self.children(0);
        for module in &top {
            if layer(*module).is_none() {
                found.push(format!(
                    "{} has no layer: add `{}` to the list of layers",
                    self.file(*module),
                    self.name(*module),
                ));
            }
        }
        for name in layers.iter().flat_map(|layer| layer.iter()) {
            if !top.iter().any(|module| self.name(*module) == *name) {
                found.push(format!(
                    "the list of layers names `{name}`, which does not exist"
                ));
            }
        }
        for (from, to, edge) in self.siblings(0) {
            let (Some(lower), Some(upper)) = (layer(from), layer(to)) else {
                continue;
            };
            if upper >= lower {
                let relation = match upper == lower {
                    true => "is on the same layer as",
                    false => "is below",
                };
                found.push(format!(
                    "{}: {} {relation} {}",
                    self.describe(edge),
                    self.name(from),
                    self.name(to),
                ));
            }
        }
        found
    }

    fn cycle_violations(&self, allowed: &[AllowedCycle]) -> Vec<String> {
        let mut found = Vec::new();
        let mut used = vec![false; allowed.len()];
        for folder in 0..self.source.modules.len() {
            for cycle in self.cycles(folder) {
                let names: Vec<String> = cycle.iter().map(|module| self.name(*module)).collect();
                let folders: Vec<ModuleId> = cycle
                    .iter()
                    .copied()
                    .filter(|module| !self.children(*module).is_empty())
                    .collect();
                let is_of_folders = folder == 0 || !self.cycles_among(folder, &folders).is_empty();
                let permission = allowed.iter().position(|allowed| {
                    allowed.folder == self.source.modules[folder].path.join("::")
                        && names
                            .iter()
                            .all(|name| allowed.modules.contains(&name.as_str()))
                });
                if let (Some(index), false) = (permission, is_of_folders) {
                    used[index] = true;
                    continue;
                }
                let what = match (folder, is_of_folders) {
                    (0, _) => "cycle of top-level modules".to_owned(),
                    (_, true) => format!("cycle of folders in {}", self.path(folder)),
                    (_, false) => format!("cycle of files in {}", self.path(folder)),
                };
                found.push(format!("{what}: {}", names.join(", ")));
                let mut shown = BTreeSet::new();
                for (from, to, edge) in self.siblings(folder) {
                    if cycle.contains(&from) && cycle.contains(&to) && shown.insert((from, to)) {
                        found.push(format!("    {}", self.describe(edge)));
                    }
                }
            }
        }
        for (allowed, used) in allowed.iter().zip(used) {
            if !used {
                found.push(format!(
                    "the allowed cycle of {} in {} does not exist: remove it from the list",
                    allowed.modules.join(", "),
                    allowed.folder,
                ));
            }
        }
        found
    }

    /// Returns the cycles among the children of a module.
    fn cycles(&self, folder: ModuleId) -> Vec<Vec<ModuleId>> {
        self.cycles_among(folder, &self.children(folder))
    }

    fn cycles_among(&self, folder: ModuleId, children: &[ModuleId]) -> Vec<Vec<ModuleId>> {
        let mut graph: BTreeMap<ModuleId, BTreeSet<ModuleId>> = BTreeMap::new();
        for (from, to, _) in self.siblings(folder) {
            if children.contains(&from) && children.contains(&to) {
                graph.entry(from).or_default().insert(to);
            }
        }
        components(&graph)
    }

    /// Returns the cycles of files in all folders. Imports between a module and its children do not count.
    pub fn file_cycles(&self) -> Vec<Vec<ModuleId>> {
        let mut graph: BTreeMap<ModuleId, BTreeSet<ModuleId>> = BTreeMap::new();
        for edge in &self.edges {
            if self.branches(edge).is_some() {
                graph.entry(edge.from).or_default().insert(edge.to);
            }
        }
        components(&graph)
    }

    /// Returns the imports between two children of a module, including those of the modules in them.
    fn siblings(&self, folder: ModuleId) -> impl Iterator<Item = (ModuleId, ModuleId, &Edge)> {
        self.edges.iter().filter_map(move |edge| {
            let (parent, from, to) = self.branches(edge)?;
            (parent == folder).then_some((from, to, edge))
        })
    }

    /// Returns the nearest common ancestor of both modules, and its children that contain them.
    ///
    /// `None` if one module contains the other: a module and its children may use each other.
    fn branches(&self, edge: &Edge) -> Option<(ModuleId, ModuleId, ModuleId)> {
        let (from, to) = (self.ancestry(edge.from), self.ancestry(edge.to));
        let common = from
            .iter()
            .zip(&to)
            .take_while(|(from, to)| from == to)
            .count();
        Some((from[common - 1], *from.get(common)?, *to.get(common)?))
    }

    /// Returns the module and its ancestors, from the root down.
    fn ancestry(&self, module: ModuleId) -> Vec<ModuleId> {
        let mut chain: Vec<ModuleId> =
            std::iter::successors(Some(module), |module| self.source.modules[*module].parent)
                .collect();
        chain.reverse();
        chain
    }

    /// Returns the children of a module that have their own files.
    fn children(&self, parent: ModuleId) -> Vec<ModuleId> {
        let modules = self.source.modules.iter().enumerate();
        modules
            .filter(|(_, module)| module.parent == Some(parent) && !module.is_inline)
            .map(|(id, _)| id)
            .collect()
    }

    fn name(&self, module: ModuleId) -> String {
        self.source.modules[module]
            .path
            .last()
            .cloned()
            .unwrap_or_default()
    }

    fn path(&self, module: ModuleId) -> String {
        self.source.modules[module].path.join("::")
    }

    fn file(&self, module: ModuleId) -> String {
        self.source.modules[module].file.display().to_string()
    }

    fn describe(&self, edge: &Edge) -> String {
        format!(
            "{}:{} uses {} (defined in {})",
            self.file(edge.from),
            edge.line,
            edge.path,
            self.file(edge.to),
        )
    }

    fn add(&mut self, module: ModuleId, path: &[String], line: usize) {
        let source = self.source;
        let from = source.file_module(module);
        let written = path.join("::");
        let place = format!("{}:{line}", self.file(from));
        if let Some((0, [name, ..])) = source.anchor(module, path)
            && from != 0
            && let Some(bindings) = source.modules[0].names.get(name)
            && bindings
                .iter()
                .all(|binding| matches!(binding, Binding::Import(_)))
        {
            let defined = source
                .resolve(module, path)
                .iter()
                .map(|target| match target {
                    Target::Module(at) | Target::Item(at, _) | Target::Unseen(at, _) => {
                        format!("defined in {}", self.file(*at))
                    }
                    Target::Foreign(path) => format!("from {}", path.join("::")),
                })
                .next()
                .unwrap_or_default();
            self.wrong_paths.push(format!(
                "{place} uses {written} ({defined}) through the crate root: import it from its module",
            ));
        }
        for target in source.resolve(module, path) {
            let to = match target {
                Target::Module(to) | Target::Item(to, _) | Target::Unseen(to, _) => to,
                Target::Foreign(_) => continue,
            };
            let to = source.file_module(to);
            if to != from {
                self.edges.push(Edge {
                    from,
                    to,
                    path: written.clone(),
                    line,
                });
            }
        }
    }

    /// Checks that the paths in an exported macro are public, because they are resolved in the crate of the caller.
    fn check_exported(&mut self, module: ModuleId, path: &[String], line: usize) {
        if !self.source.is_public(&path[1..]) {
            self.wrong_paths.push(format!(
                "{}:{line} uses {} in an exported macro: no public path",
                self.file(self.source.file_module(module)),
                path.join("::"),
            ));
        }
    }
}

impl Source {
    /// Whether users of the crate can name a path from the crate root.
    pub fn is_public(&self, path: &[String]) -> bool {
        let mut module = 0;
        for name in path {
            let binding = self.modules[module].names.get(name).and_then(|bindings| {
                bindings.iter().find(|binding| match binding {
                    Binding::Module(_, declaration) | Binding::Item(_, declaration) => {
                        declaration.is_public
                    }
                    Binding::Import(import) => import.declaration.is_public,
                    Binding::ExportedMacro(..) => true,
                })
            });
            let target = match binding {
                Some(Binding::Module(child, _)) => Target::Module(*child),
                Some(Binding::Import(import)) => match self.resolve(module, &import.path).pop() {
                    Some(target) => target,
                    None => return false,
                },
                Some(Binding::Item(..) | Binding::ExportedMacro(..)) => return true,
                None => return false,
            };
            match target {
                Target::Module(next) => module = next,
                _ => return true,
            }
        }
        true
    }
}

/// Returns the strongly connected components with more than one node.
fn components(graph: &BTreeMap<ModuleId, BTreeSet<ModuleId>>) -> Vec<Vec<ModuleId>> {
    let reached: BTreeMap<ModuleId, BTreeSet<ModuleId>> = graph
        .keys()
        .map(|start| {
            let mut seen = BTreeSet::new();
            let mut waiting = vec![*start];
            while let Some(node) = waiting.pop() {
                waiting.extend(
                    graph
                        .get(&node)
                        .into_iter()
                        .flatten()
                        .filter(|next| seen.insert(**next)),
                );
            }
            (*start, seen)
        })
        .collect();
    let reaches = |from, to| reached.get(&from).is_some_and(|seen| seen.contains(&to));
    let mut groups: Vec<Vec<ModuleId>> = Vec::new();
    for node in graph.keys().copied().filter(|node| reaches(*node, *node)) {
        match groups
            .iter_mut()
            .find(|group| reaches(group[0], node) && reaches(node, group[0]))
        {
            Some(group) => group.push(node),
            None => groups.push(vec![node]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// Finds the paths in a module's items.
struct Visitor<'v, 's> {
    imports: &'v mut Imports<'s>,
    module: ModuleId,
}

impl<'ast> Visit<'ast> for Visitor<'_, '_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !cfg::is_test_only(&source::declaration(item).attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !cfg::is_test_only(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for leaf in source::use_leaves(item) {
            self.imports.add(self.module, &leaf.path, leaf.line);
        }
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let is_exported = cfg::is_exported(&item.attrs);
        for path in tokens::paths(item.mac.tokens.clone()) {
            match is_exported && path.segments[0] == "$crate" {
                true => self
                    .imports
                    .check_exported(self.module, &path.segments, path.line),
                false => self.imports.add(self.module, &path.segments, path.line),
            }
        }
        self.visit_path(&item.mac.path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        for path in tokens::paths(call.tokens.clone()) {
            self.imports.add(self.module, &path.segments, path.line);
        }
        self.visit_path(&call.path);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            let segments: Vec<String> = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            let line = path.segments[0].ident.span().start().line;
            self.imports.add(self.module, &segments, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}
