//! [`Methods`]: the methods that a layer knows.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::thread::LocalKey;

use crate::grpc::method::{Method, MethodName};
use crate::grpc::settings::{GrpcSettings, PreregisteredMethod};
use crate::maps::table::Table;
use crate::open_labels::cache::{Cached, RowCache};
use crate::open_labels::rows::{OpenRows, Overflowed, Row};
use crate::registry::lifetime::Lifetime;
use crate::sink::overflow::OVERFLOW;

/// The methods that a layer knows, by path.
pub(crate) struct Methods {
    /// The preregistered methods, and if series cannot expire, the learned ones.
    by_path: Table<Method>,
    /// The learned methods, if series can expire. A method is forgotten when its series have expired.
    expiring: Option<OpenRows<Method>>,
    /// The value of the labels of unknown methods.
    unknown_value: &'static str,
    unknown: OnceLock<Method>,
    overflow: OnceLock<Method>,
}

/// A method and its series, which exist at least as long as this.
#[derive(Clone)]
pub(crate) enum MethodRef {
    Static(&'static Method),
    Expiring(Arc<Row<Method>>),
}

impl Methods {
    pub(crate) fn new(settings: &GrpcSettings, can_expire: bool) -> Self {
        let (preregistered, learned) = (settings.preregistered.len(), settings.max_methods);
        Self {
            by_path: Table::new(preregistered + if can_expire { 0 } else { learned }),
            expiring: can_expire.then(|| OpenRows::new([learned])),
            unknown_value: settings.naming.unknown,
            unknown: OnceLock::new(),
            overflow: OnceLock::new(),
        }
    }

    pub(crate) fn preregister(&self, preregistered: &PreregisteredMethod) -> Option<MethodRef> {
        let name = MethodName::preregistered(preregistered);
        let path = format!("/{}", name.full);
        let method = self.by_path.get_or_insert(&path, |_| Method::new(name))?;
        Some(MethodRef::Static(method))
    }

    /// The method of a path, found without an allocation or a lock if the calling thread has used it before.
    #[inline]
    pub(crate) fn find(&'static self, path: &str) -> Option<MethodRef> {
        match self.by_path.get(path) {
            Some(method) => Some(MethodRef::Static(method)),
            None => self.find_expiring(path),
        }
    }

    #[inline]
    fn find_expiring(&'static self, path: &str) -> Option<MethodRef> {
        let expiring = self.expiring.as_ref()?;
        let known = expiring.shared(&[path]);
        let known = known.or_else(|| expiring.find_shared(&[path]));
        known.map(MethodRef::Expiring)
    }

    /// Makes the method of a path known; `None` if there are too many methods.
    #[cold]
    pub(crate) fn learn(&'static self, path: &str, name: MethodName) -> Option<MethodRef> {
        let make = || Method::learned(name);
        let Some(expiring) = &self.expiring else {
            let method = self.by_path.get_or_insert(path, |_| make());
            return method.map(MethodRef::Static);
        };
        if let Some(method) = self.by_path.get(path) {
            return Some(MethodRef::Static(method));
        }
        let (method, overflowed) = expiring.admit_shared(&[path], make);
        (overflowed == Overflowed::default()).then_some(MethodRef::Expiring(method))
    }

    /// The method of calls to methods that are not known.
    pub(crate) fn unknown(&'static self) -> MethodRef {
        MethodRef::Static(self.common(&self.unknown, self.unknown_value))
    }

    /// The method of calls to further methods, if there are too many.
    pub(crate) fn overflow(&'static self) -> MethodRef {
        MethodRef::Static(self.common(&self.overflow, OVERFLOW))
    }

    fn common<'a>(&self, method: &'a OnceLock<Method>, value: &str) -> &'a Method {
        let name = || MethodName::common(value, self.unknown_value);
        method.get_or_init(|| Method::new(name()))
    }
}

impl MethodRef {
    /// The lifetime of all series of the method; `None` if it depends on their labels.
    pub(crate) fn lifetime(&self) -> Option<Lifetime> {
        match self {
            Self::Static(method) => method.is_learned.then_some(Lifetime::Expiring),
            Self::Expiring(method) => Some(Row::lifetime(method)),
        }
    }
}

impl Deref for MethodRef {
    type Target = Method;

    #[inline]
    fn deref(&self) -> &Method {
        match self {
            Self::Static(method) => method,
            Self::Expiring(method) => method.content(),
        }
    }
}

impl Cached for Method {
    fn cache() -> &'static LocalKey<RefCell<RowCache<Self>>> {
        thread_local! {
            static CACHE: RefCell<RowCache<Method>> = const { RefCell::new(RowCache::new()) };
        }
        &CACHE
    }
}
