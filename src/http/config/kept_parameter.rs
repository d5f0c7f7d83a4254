//! [`KeptParameter`]: a path parameter whose listed values stay in the endpoint.

use std::cell::Cell;

use crate::http::labels::head::RequestHead;

/// A path parameter with a closed set of values, which replace the parameter in the endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptParameter {
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
}

thread_local! {
    /// Reused for each name, so that a request does not allocate.
    static NAME: Cell<String> = const { Cell::new(String::new()) };
}

/// Calls `then` with the endpoint `template` of a request, in which listed values replace the `kept` parameters.
pub(crate) fn with_values<R>(
    kept: &[KeptParameter],
    template: Option<&str>,
    request: RequestHead<'_>,
    then: impl FnOnce(Option<&str>) -> R,
) -> R {
    let Some(template) = template.filter(|template| !kept.is_empty() && template.contains('{'))
    else {
        return then(template);
    };
    // Taken out while it is used: `then` may start another request on this thread.
    let mut name = NAME.take();
    name.clear();
    write(kept, template, request.uri().path(), &mut name);
    let result = then(Some(&name));
    NAME.set(name);
    result
}

fn write(kept: &[KeptParameter], template: &str, path: &str, name: &mut String) {
    // A nested router of axum strips its prefix from the path, but not from the template.
    let stripped = match template.contains("{*") {
        true => 0,
        false => segments(template).saturating_sub(segments(path)),
    };
    let mut values = path.split('/').skip(usize::from(stripped > 0));
    for (i, part) in template.split('/').enumerate() {
        if i > 0 {
            name.push('/');
        }
        let is_stripped = stripped > 0 && i <= stripped;
        let value = if is_stripped { None } else { values.next() };
        if value.is_some_and(|value| !part.contains('{') && part != value) {
            // The path is not one of this template, such as with a prefix that is stripped before a catch-all.
            name.clear();
            name.push_str(template);
            return;
        }
        let kept = value.and_then(|value| kept_value(kept, part, value));
        name.push_str(kept.unwrap_or(part));
    }
}

fn segments(path: &str) -> usize {
    path.split('/').count()
}

/// The listed value that `segment` has for the parameter `part` of a template.
fn kept_value<'a>(kept: &'a [KeptParameter], part: &str, segment: &str) -> Option<&'a str> {
    let parameter = part.strip_prefix('{')?.strip_suffix('}')?;
    let kept = kept.iter().find(|kept| kept.name == parameter)?;
    let value = kept.values.iter().find(|value| *value == segment)?;
    Some(value)
}
