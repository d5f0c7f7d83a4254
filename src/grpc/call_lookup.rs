//! How the series of a call are found.

use crate::grpc::call_labels::{CallLabels, EndRow};
use crate::grpc::method::{Method, MethodName};
use crate::grpc::method_ref::{CallRef, MethodRef};
use crate::grpc::method_rows::MethodRows;
use crate::grpc::series::GrpcSeries;
use crate::http::labels::head::{RequestHead, ResponseHead};
use crate::http::series::custom_values::CustomValues;
use crate::http::series::label_values::LabelIds;
use crate::sink::side::Side;

/// Which method a call is recorded for.
#[derive(Clone, Copy)]
enum CallMethod<'a> {
    Static(&'static Method),
    /// A learned method whose series can expire.
    Learned(&'a str),
}

impl GrpcSeries {
    /// Returns the series of a new call and its labels, found without an allocation or a lock if the thread has used them
    /// before. `None` if a server has to see proof first that the method exists. On a client, a new method is registered
    /// immediately, because it comes from the program.
    #[inline]
    pub(crate) fn start(
        &'static self,
        path: &str,
        head: RequestHead<'_>,
    ) -> (Option<CallRef>, CallLabels) {
        if let Some(rows) = &self.rows {
            return self.start_in_rows(rows, path, &self.custom.values_of_request(head));
        }
        let ids = self.custom.of_request(head);
        let known = self.methods.find(path).map(CallMethod::Static);
        let method = known.or_else(|| self.new_method(path));
        let call = method.map(|method| self.static_call(method, ids));
        (call, CallLabels { ids, end_row: None })
    }

    #[inline]
    fn start_in_rows(
        &'static self,
        rows: &'static MethodRows,
        path: &str,
        values: &CustomValues<'_>,
    ) -> (Option<CallRef>, CallLabels) {
        let call = match self.methods.find(path) {
            Some(method) => Some(self.call_in_rows(rows, CallMethod::Static(method), values)),
            None => match rows.cached_call(values, path) {
                Some(row) => Some(self.call(MethodRef::Row(row), values.ids)),
                None => self
                    .new_method(path)
                    .map(|method| self.call_in_rows(rows, method, values)),
            },
        };
        let labels = labels_in_rows(rows, values, call.as_ref());
        (call, labels)
    }

    /// Returns the series of a call that was deferred, and replaces its labels. `is_found` is whether the method is proven
    /// to exist.
    #[cold]
    pub(crate) fn start_deferred(
        &'static self,
        path: &str,
        is_found: bool,
        labels: &mut CallLabels,
    ) -> CallRef {
        let method = match is_found {
            true => self.learn(path),
            false => self.known_or_unknown(path),
        };
        let Some(rows) = &self.rows else {
            return self.static_call(method, labels.ids);
        };
        let (call, known) = {
            let values = self.values_in_rows(rows, labels);
            let call = self.call_in_rows(rows, method, &values);
            let known = labels_in_rows(rows, &values, Some(&call));
            (call, known)
        };
        *labels = known;
        call
    }

    /// Replaces the labels that are read from the response. `call` is `None` if the call is deferred.
    #[inline]
    pub(crate) fn read_response(
        &'static self,
        head: ResponseHead<'_>,
        call: Option<&CallRef>,
        labels: &mut CallLabels,
    ) {
        if !self.custom.reads_response() {
            return;
        }
        let Some(rows) = &self.rows else {
            self.custom.read_response(head, &mut labels.ids);
            return;
        };
        let read = {
            let mut values = self.values_in_rows(rows, labels);
            self.custom.read_response_values(head, &mut values);
            labels_in_rows(rows, &values, call)
        };
        *labels = read;
    }

    /// The values of the labels of a call.
    fn values_in_rows<'a>(
        &'static self,
        rows: &'static MethodRows,
        labels: &'a CallLabels,
    ) -> CustomValues<'a> {
        let row = match &labels.end_row {
            Some(EndRow::New(values)) => return CustomValues::clone(values),
            Some(EndRow::Known(row)) => Some(row),
            None => None,
        };
        let open = rows.open_values(row);
        self.custom.values_of_series(labels.ids, open)
    }

    /// The series of the end of a call to `method`, if it has open labels.
    #[inline]
    pub(crate) fn end_in_row(
        &'static self,
        method: &MethodRef,
        labels: CallLabels,
    ) -> Option<MethodRef> {
        match (labels.end_row?, &self.rows) {
            (EndRow::Known(row), _) => Some(row),
            (EndRow::New(values), Some(rows)) => {
                Some(MethodRef::Row(rows.end(&values, method.path())))
            }
            (EndRow::New(_), None) => None,
        }
    }

    /// The method of a path that the thread has not used before. `None` if a server has to see proof first.
    #[cold]
    fn new_method<'a>(&'static self, path: &'a str) -> Option<CallMethod<'a>> {
        match self.side() {
            Side::Client => Some(self.learn(path)),
            Side::Server if MethodName::parts(path).is_none() => {
                Some(CallMethod::Static(self.methods.unknown()))
            }
            Side::Server => self.known(path),
        }
    }

    fn known<'a>(&'static self, path: &'a str) -> Option<CallMethod<'a>> {
        if let Some(method) = self.methods.find(path) {
            return Some(CallMethod::Static(method));
        }
        let is_learned = self.rows.as_ref().is_some_and(|rows| rows.knows(path));
        is_learned.then_some(CallMethod::Learned(path))
    }

    /// The method of a path if it is known, otherwise that of calls to unknown methods.
    fn known_or_unknown<'a>(&'static self, path: &'a str) -> CallMethod<'a> {
        let known = self.known(path);
        known.unwrap_or_else(|| CallMethod::Static(self.methods.unknown()))
    }

    /// The method of a path that exists.
    fn learn<'a>(&'static self, path: &'a str) -> CallMethod<'a> {
        if MethodName::parts(path).is_none() {
            return CallMethod::Static(self.methods.unknown());
        }
        match self.methods.find(path) {
            Some(method) => CallMethod::Static(method),
            None if self.rows.is_some() => CallMethod::Learned(path),
            None => CallMethod::Static(self.methods.learn(path).unwrap_or_else(|| {
                self.count_method_overflow();
                self.methods.overflow()
            })),
        }
    }

    /// Returns the series of a call, if series never expire.
    #[inline]
    fn static_call(&'static self, method: CallMethod<'_>, ids: LabelIds) -> CallRef {
        let method = match method {
            CallMethod::Static(method) => method,
            // Not reached: only rows have such methods.
            CallMethod::Learned(_) => self.methods.unknown(),
        };
        self.call(MethodRef::Static(method), ids)
    }

    /// Returns the series of a call, if series can expire.
    fn call_in_rows(
        &'static self,
        rows: &'static MethodRows,
        method: CallMethod<'_>,
        values: &CustomValues<'_>,
    ) -> CallRef {
        let method = match method {
            CallMethod::Static(method) if rows.is_call_open(values) => {
                MethodRef::Row(rows.call(values, method.path))
            }
            CallMethod::Static(method) => MethodRef::Static(method),
            CallMethod::Learned(path) => {
                let row = MethodRef::Row(rows.call(values, path));
                if row.path() != path {
                    self.count_method_overflow();
                    let overflow = CallMethod::Static(self.methods.overflow());
                    return self.call_in_rows(rows, overflow, values);
                }
                row
            }
        };
        self.call(method, values.ids)
    }
}

/// Returns the labels of a call, if series can expire. `call` is `None` if the call is deferred.
#[inline]
fn labels_in_rows(
    rows: &'static MethodRows,
    values: &CustomValues<'_>,
    call: Option<&CallRef>,
) -> CallLabels {
    let ids = values.ids;
    let end_row = values.has_open().then(|| {
        let path = call.map_or("", |call| call.method.path());
        match rows.known_end(values, path) {
            Some(row) => EndRow::Known(MethodRef::Row(row)),
            None => EndRow::New(Box::new(values.to_static())),
        }
    });
    CallLabels { ids, end_row }
}
