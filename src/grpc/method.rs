//! [`Method`]: the series of a gRPC method, by the values of custom labels.

use std::sync::OnceLock;

use crate::grpc::code::Code;
use crate::grpc::settings::PreregisteredMethod;
use crate::http::series::label_values::LabelIds;
use crate::maps::slots::Slots;
use crate::sink::handles::{CounterHandle, HistogramHandle, InProgressHandle};

/// A method that is known for ever, and its series.
pub(crate) struct Method {
    pub(crate) name: MethodName,
    /// The path; empty for unknown methods, and `overflow` for those beyond the limit. Rows of the method have it.
    pub(crate) path: &'static str,
    /// Whether the layer has learned it from calls.
    pub(crate) is_learned: bool,
    pub(crate) series: MethodSeries,
}

/// The series of a method. A metric that is not measured has no handle.
#[derive(Default)]
pub(crate) struct MethodSeries {
    /// By the labels of the request that all metrics have.
    pub(crate) calls: Slots<LabelIds, CallSeries>,
    /// By all custom labels.
    pub(crate) ends: Slots<LabelIds, EndSeries>,
}

/// The values of the labels of a method.
#[derive(Clone)]
pub(crate) struct MethodName {
    pub(crate) kind: &'static str,
    pub(crate) service: Box<str>,
    pub(crate) method: Box<str>,
    /// `service/method`, or the common value of both.
    pub(crate) full: Box<str>,
}

/// The series that are recorded while a call is in progress.
pub(crate) struct CallSeries {
    pub(crate) started: Option<CounterHandle>,
    pub(crate) in_progress: Option<InProgressHandle>,
    pub(crate) request: MessageSeries,
    pub(crate) response: MessageSeries,
}

/// The series of the messages of requests or of responses.
pub(crate) struct MessageSeries {
    pub(crate) count: Option<CounterHandle>,
    pub(crate) size: Option<HistogramHandle>,
}

/// The series that are recorded when a call ends.
pub(crate) struct EndSeries {
    /// Durations, if they have no code.
    pub(crate) handling: Option<HistogramHandle>,
    pub(crate) by_code: [OnceLock<CodeSeries>; Code::ALL.len()],
}

pub(crate) struct CodeSeries {
    pub(crate) handled: Option<CounterHandle>,
    /// Durations, if they have a code. Boxed, because there is one for each code and few layers have it.
    pub(crate) handling: Option<Box<HistogramHandle>>,
}

impl Method {
    pub(crate) fn new(path: &'static str, name: MethodName) -> Self {
        Self {
            name,
            path,
            is_learned: false,
            series: MethodSeries::default(),
        }
    }

    pub(crate) fn learned(path: &'static str, name: MethodName) -> Self {
        Self {
            is_learned: true,
            ..Self::new(path, name)
        }
    }
}

impl CallSeries {
    #[inline]
    pub(crate) fn start(&self) {
        if let Some(started) = &self.started {
            started.increment();
        }
        if let Some(in_progress) = &self.in_progress {
            in_progress.start();
        }
    }

    #[inline]
    pub(crate) fn end(&self) {
        if let Some(in_progress) = &self.in_progress {
            in_progress.end();
        }
    }
}

impl MessageSeries {
    /// Records a message of this many bytes.
    #[inline]
    pub(crate) fn record(&self, bytes: u32) {
        self.count(1);
        self.observe(bytes);
    }

    #[inline]
    pub(crate) fn count(&self, messages: u64) {
        if let Some(count) = &self.count {
            count.add(messages);
        }
    }

    #[inline]
    pub(crate) fn observe(&self, bytes: u32) {
        if let Some(size) = &self.size {
            size.observe(f64::from(bytes));
        }
    }
}

impl EndSeries {
    /// Records the end of a call. `new` registers the series of a code on first use.
    #[inline]
    pub(crate) fn record(&self, code: Code, seconds: f64, new: impl FnOnce() -> CodeSeries) {
        if let Some(handling) = &self.handling {
            handling.observe(seconds);
        }
        let of_code = self.by_code[code as usize].get_or_init(new);
        if let Some(handling) = &of_code.handling {
            handling.observe(seconds);
        }
        if let Some(handled) = &of_code.handled {
            handled.increment();
        }
    }
}

impl MethodName {
    fn new(kind: &'static str, service: &str, method: &str) -> Self {
        Self {
            kind,
            service: service.into(),
            method: method.into(),
            full: format!("{service}/{method}").into(),
        }
    }

    /// The name of calls whose methods share this value, such as `overflow`.
    pub(crate) fn common(value: &str, unknown: &'static str) -> Self {
        Self {
            kind: unknown,
            service: value.into(),
            method: value.into(),
            full: value.into(),
        }
    }

    pub(crate) fn preregistered(preregistered: &PreregisteredMethod) -> Self {
        let PreregisteredMethod {
            service,
            method,
            kind,
        } = preregistered;
        Self::new(kind.label(), service, method)
    }

    /// The name of the method of a path. `unknown` is the value for the type.
    pub(crate) fn of_path(path: &str, unknown: &'static str) -> Option<Self> {
        let (service, method) = Self::parts(path)?;
        Some(Self::new(unknown, service, method))
    }

    /// Splits `/package.Service/Method`: at most 256 printable ASCII characters.
    pub(crate) fn parts(path: &str) -> Option<(&str, &str)> {
        const MAX_LEN: usize = 256;
        if path.len() > MAX_LEN || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (service, method) = path.strip_prefix('/')?.rsplit_once('/')?;
        let is_whole = !service.is_empty() && !method.is_empty();
        is_whole.then_some((service, method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_split_into_service_and_method() {
        let names = |path: &str| {
            let name = MethodName::of_path(path, "unknown")?;
            Some((name.service.into_string(), name.method.into_string()))
        };
        let some = |service: &str, method: &str| Some((service.to_owned(), method.to_owned()));
        assert_eq!(names("/pkg.Greeter/Say"), some("pkg.Greeter", "Say"));
        assert_eq!(
            names("/api/pkg.Greeter/Say"),
            some("api/pkg.Greeter", "Say")
        );
        let long = format!("/pkg.Greeter/{}", "x".repeat(300));
        for wrong in ["", "/", "//", "/x", "/x/", "//x", "x/y", "/x/ä", &long] {
            assert_eq!(names(wrong), None, "{wrong:?}");
        }
    }
}
