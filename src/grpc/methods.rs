//! [`Methods`]: the methods of a layer that are known for ever.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::grpc::method::{Method, MethodName};
use crate::grpc::method_ref::MethodRef;
use crate::grpc::settings::{GrpcSettings, PreregisteredMethod};
use crate::maps::table::Table;
use crate::sink::overflow::OVERFLOW;

/// The methods of a layer that are known for ever: the preregistered ones, and if series cannot expire, the learned ones.
pub(crate) struct Methods {
    by_path: Table<Method>,
    /// The value of the labels of unknown methods.
    unknown_value: &'static str,
    unknown: OnceLock<Method>,
    overflow: OnceLock<Method>,
}

impl Methods {
    pub(crate) fn new(settings: &GrpcSettings, can_expire: bool) -> Self {
        let (preregistered, learned) = (settings.preregistered.len(), settings.max_methods);
        Self {
            by_path: Table::new(preregistered + if can_expire { 0 } else { learned }),
            unknown_value: settings.naming.unknown,
            unknown: OnceLock::new(),
            overflow: OnceLock::new(),
        }
    }

    pub(crate) fn preregister(
        &self,
        preregistered: &PreregisteredMethod,
    ) -> Option<&'static Method> {
        let name = MethodName::preregistered(preregistered);
        let new = |path| Method::new(path, name);
        self.by_path.get_or_insert(&preregistered.path(), new)
    }

    /// The method of a path, found without an allocation, a lock, or a write to a shared cache line.
    #[inline]
    pub(crate) fn find(&self, path: &str) -> Option<&'static Method> {
        self.by_path.get(path)
    }

    /// Whether the series of a method without open labels never expire. The path can be that of a row.
    pub(crate) fn is_static(&self, path: &str) -> bool {
        path.is_empty() || path == OVERFLOW || self.find(path).is_some()
    }

    /// Makes the method of a path known; `None` if there are too many methods.
    pub(crate) fn learn(&self, path: &str) -> Option<&'static Method> {
        let name = self.name_of(path);
        let new = |path| Method::learned(path, name);
        self.by_path.get_or_insert(path, new)
    }

    /// The method of calls to methods that are not known.
    pub(crate) fn unknown(&self) -> &Method {
        self.unknown
            .get_or_init(|| Method::new("", self.common_name(self.unknown_value)))
    }

    /// The method of calls to further methods, if there are too many.
    pub(crate) fn overflow(&self) -> &Method {
        self.overflow
            .get_or_init(|| Method::new(OVERFLOW, self.common_name(OVERFLOW)))
    }

    /// The values of the labels of a method.
    pub(crate) fn name<'a>(&'a self, method: &'a MethodRef) -> Cow<'a, MethodName> {
        match (method, method.path()) {
            (MethodRef::Static(method), _) => Cow::Borrowed(&method.name),
            (MethodRef::Row(_), "") => Cow::Borrowed(&self.unknown().name),
            (MethodRef::Row(_), OVERFLOW) => Cow::Borrowed(&self.overflow().name),
            (MethodRef::Row(_), path) => match self.find(path) {
                Some(method) => Cow::Borrowed(&method.name),
                None => Cow::Owned(self.name_of(path)),
            },
        }
    }

    fn name_of(&self, path: &str) -> MethodName {
        let name = MethodName::of_path(path, self.unknown_value);
        name.unwrap_or_else(|| self.common_name(self.unknown_value))
    }

    fn common_name(&self, value: &str) -> MethodName {
        MethodName::common(value, self.unknown_value)
    }
}
