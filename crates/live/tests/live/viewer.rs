//! [`Viewer`]: reads the stream of samples as the page does.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use serde_json::Value;
use test_support::server::{Client, Protocol, Server};

/// A viewer with all series that it was told of.
pub struct Viewer {
    /// Open until the viewer is dropped.
    _client: Client,
    body: Incoming,
    unread: String,
    families: HashMap<u64, Family>,
    series: HashMap<u64, Series>,
    /// The layers, as they were sent.
    pub layers: Vec<Value>,
    /// The values of histograms with native buckets, as they were last sent, by series.
    pub native: BTreeMap<u64, Value>,
    pub instance: Option<String>,
    /// How often the stream started.
    pub starts: usize,
}

struct Family {
    name: String,
    kind: String,
    bounds: Vec<f64>,
}

struct Series {
    family: u64,
    labels: BTreeMap<String, String>,
    value: Vec<f64>,
}

/// One sample, as it was sent.
#[derive(Debug, Default)]
pub struct Tick {
    pub time: u64,
    pub hidden: u64,
    pub announced: usize,
    /// The ids of the series whose values were sent.
    pub values: Vec<u64>,
    pub gone: Vec<u64>,
}

/// Sends a GET request with headers on a new connection.
pub async fn get(
    server: &Server,
    path: &str,
    headers: &[(HeaderName, &str)],
) -> (Client, Response<Incoming>) {
    let mut client = server.connect(Protocol::Http1).await;
    let mut request = Request::get(path);
    if !headers.iter().any(|(name, _)| name == http::header::HOST) {
        request = request.header("host", server.address.to_string());
    }
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = client.send_request(request).await.unwrap();
    (client, response)
}

pub async fn status(server: &Server, path: &str, headers: &[(HeaderName, &str)]) -> u16 {
    get(server, path, headers).await.1.status().as_u16()
}

impl Viewer {
    pub async fn connect(server: &Server, path: &str) -> Self {
        let (client, response) = get(server, path, &[]).await;
        assert_eq!(response.status(), 200);
        Self {
            _client: client,
            body: response.into_body(),
            unread: String::new(),
            families: HashMap::new(),
            series: HashMap::new(),
            layers: Vec::new(),
            native: BTreeMap::new(),
            instance: None,
            starts: 0,
        }
    }

    /// Reads lines to the end of the next sample.
    pub async fn tick(&mut self) -> Tick {
        let mut tick = Tick::default();
        loop {
            let line = self.next_line().await.expect("the stream has ended");
            let line: Value = serde_json::from_str(&line).unwrap();
            if self.read(&line, &mut tick) {
                return tick;
            }
        }
    }

    /// Reads samples until one was taken after the viewer came, and returns it.
    pub async fn tick_after(&mut self, time: u64) -> Tick {
        loop {
            let tick = self.tick().await;
            if tick.time > time {
                return tick;
            }
        }
    }

    /// Returns the next line; `None` if the stream has ended.
    pub async fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some((line, rest)) = self.unread.split_once('\n') {
                let line = line.to_owned();
                self.unread = rest.to_owned();
                return Some(line);
            }
            let data = self.body.frame().await?.unwrap().into_data().unwrap();
            self.unread.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    fn read(&mut self, line: &Value, tick: &mut Tick) -> bool {
        let (name, content) = line.as_object().unwrap().iter().next().unwrap();
        let list = || line[name.as_str()].as_array().unwrap();
        match name.as_str() {
            "layers" => self.layers.extend(list().iter().cloned()),
            "families" => list().iter().for_each(|family| self.add_family(family)),
            "series" => {
                tick.announced += list().len();
                list().iter().for_each(|series| self.add_series(series));
            }
            "values" => {
                for pair in list().chunks(2) {
                    let id = pair[0].as_u64().unwrap();
                    tick.values.push(id);
                    if pair[1].is_object() {
                        self.native.insert(id, pair[1].clone());
                        continue;
                    }
                    self.series.get_mut(&id).unwrap().value = numbers(&pair[1]);
                }
            }
            _ if line.get("hello").is_some() => {
                self.starts += 1;
                self.instance = Some(line["hello"].as_str().unwrap().to_owned());
            }
            _ if line.get("tick").is_some() => {
                tick.time = line["tick"].as_u64().unwrap();
                tick.hidden = line["hidden"].as_u64().unwrap();
                tick.gone = line["gone"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(Value::as_u64)
                    .collect();
                for id in &tick.gone {
                    self.series.remove(id);
                }
                return true;
            }
            other => panic!("unknown line {other}: {content}"),
        }
        false
    }

    fn add_family(&mut self, family: &Value) {
        let text = |i: usize| family[i].as_str().unwrap().to_owned();
        let bounds = numbers(&family[5]);
        let (name, kind) = (text(1), text(2));
        let id = family[0].as_u64().unwrap();
        self.families.insert(id, Family { name, kind, bounds });
    }

    fn add_series(&mut self, series: &Value) {
        let pairs = series[2].as_array().unwrap().chunks(2);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let labels = pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
        let (id, family) = (series[0].as_u64().unwrap(), series[1].as_u64().unwrap());
        let value = Vec::new();
        self.series.insert(
            id,
            Series {
                family,
                labels,
                value,
            },
        );
    }

    /// The values of all series, as on a metrics page.
    pub fn samples(&self) -> BTreeMap<String, f64> {
        let mut samples = BTreeMap::new();
        for series in self.series.values() {
            let family = &self.families[&series.family];
            let mut add = |suffix: &str, label: Option<(&str, String)>, value: f64| {
                let name = format!("{}{suffix}", family.name);
                samples.insert(sample_name(&name, &series.labels, label), value);
            };
            match family.kind.as_str() {
                "histogram" => {
                    let mut count = 0.0;
                    let bounds = family.bounds.iter().map(f64::to_string);
                    let bounds = bounds.chain(["+Inf".to_owned()]);
                    for (bound, observations) in bounds.zip(&series.value[1..]) {
                        count += observations;
                        add("_bucket", Some(("le", bound)), count);
                    }
                    add("_sum", None, series.value[0]);
                    add("_count", None, count);
                }
                "summary" => {
                    for (quantile, value) in family.bounds.iter().zip(&series.value[2..]) {
                        add("", Some(("quantile", quantile.to_string())), *value);
                    }
                    add("_count", None, series.value[0]);
                    add("_sum", None, series.value[1]);
                }
                _ => add("", None, series.value[0]),
            }
        }
        samples
    }

    /// The value of the only series of a family.
    pub fn value(&self, family: &str) -> f64 {
        let is_family = |series: &&Series| self.families[&series.family].name == family;
        let mut found = self.series.values().filter(is_family);
        let series = found.next().unwrap_or_else(|| panic!("no {family}"));
        assert!(found.next().is_none(), "{family} has several series");
        series.value[0]
    }

    /// The type of the only series of a family.
    pub fn kind(&self, family: &str) -> &str {
        let families = self
            .series
            .values()
            .map(|series| &self.families[&series.family]);
        let mut kinds = families
            .filter(|known| known.name == family)
            .map(|known| &*known.kind);
        let kind = kinds.next().unwrap_or_else(|| panic!("no {family}"));
        assert_eq!(kinds.next(), None, "{family} has several series");
        kind
    }

    pub fn series_count(&self, family: &str) -> usize {
        let is_family = |series: &&Series| self.families[&series.family].name == family;
        self.series.values().filter(is_family).count()
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    let number = |value: &Value| {
        let text = value.as_str().map(|text| text.parse().unwrap());
        text.or(value.as_f64()).unwrap()
    };
    match value.as_array() {
        Some(values) => values.iter().map(number).collect(),
        None => vec![number(value)],
    }
}

/// The text of a sample without its value, with sorted labels.
fn sample_name(
    name: &str,
    labels: &BTreeMap<String, String>,
    extra: Option<(&str, String)>,
) -> String {
    let escape = |value: &str| {
        value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    let mut pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .chain(extra.map(|(name, value)| format!("{name}=\"{value}\"")))
        .collect();
    pairs.sort_unstable();
    match pairs.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", pairs.join(",")),
    }
}
