//! [`Browser`]: Chromium, controlled by chromedriver with a few commands of the WebDriver protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::process::RunningProgram;

/// A browser window of a fixed size. Dropping it ends the browser.
pub struct Browser {
    driver: RunningProgram,
    port: u16,
    session: String,
}

/// The theme that the system prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

impl Browser {
    pub fn start() -> Self {
        Self::with_theme(Theme::Light)
    }

    pub fn with_theme(theme: Theme) -> Self {
        let mut driver = RunningProgram::start(Command::new("chromedriver").arg("--port=0"));
        let port = driver.read_line_after("started successfully on port ");
        let port = port.trim_end_matches('.').parse().unwrap();
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
        };
        let scheme = match theme {
            Theme::Light => "--blink-settings=preferredColorScheme=1",
            Theme::Dark => "--blink-settings=preferredColorScheme=0",
        };
        // Without a sandbox, because tests may run as root in a container.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1280,900",
            scheme,
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = browser.request("POST", "/session", &capabilities);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// Sends one command to chromedriver and returns the `value` of its response.
    fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut response = send(self.port, method, path, body).unwrap();
        let value = response["value"].take();
        let error = value.get("error").and_then(Value::as_str);
        assert_eq!(error, None, "{method} {path}: {value}");
        value
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        self.request("POST", &path, body)
    }

    pub fn open(&self, url: &str) {
        self.command("/url", &json!({"url": url}));
    }

    /// Runs the body of a function in the page and returns its result.
    pub fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs the body of an asynchronous function in the page and returns its result.
    pub fn run_async(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {script} }})().then(done, (e) => done(`error: ${{e}}`));"
        );
        self.command("/execute/async", &json!({"script": script, "args": []}))
    }

    pub fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({selector:?})?.textContent ?? ''");
        self.run(&script).as_str().unwrap().to_owned()
    }

    pub fn count(&self, selector: &str) -> u64 {
        let script = format!("return document.querySelectorAll({selector:?}).length");
        self.run(&script).as_u64().unwrap()
    }

    /// Waits until an expression is true. Panics after 30 s.
    pub fn wait_until(&self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let script = format!("return Boolean({expression})");
        while self.run(&script) != json!(true) {
            assert!(
                Instant::now() < deadline,
                "timed out waiting for {expression}; the page shows: {}; log: {:?}",
                self.text("body"),
                self.log(),
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.command(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types text or [keys](https://www.w3.org/TR/webdriver2/#keyboard-actions) into the focused element.
    pub fn keys(&self, keys: &str) {
        let actions: Vec<_> = keys
            .chars()
            .flat_map(|key| {
                [
                    json!({"type": "keyDown", "value": key}),
                    json!({"type": "keyUp", "value": key}),
                ]
            })
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.command("/actions", &json!({"actions": [keyboard]}));
    }

    /// Moves the mouse to positions in an element, in shares of its size from the left and the top. With `drag`, the
    /// button is pressed at the first and released at the last.
    pub fn mouse(&self, selector: &str, positions: &[(f64, f64)], drag: bool) {
        let script = format!(
            "const element = document.querySelector({selector:?}); element.scrollIntoView({{block: 'center'}}); \
             const {{left, top, width, height}} = element.getBoundingClientRect(); return [left, top, width, height]"
        );
        let rectangle = self.run(&script);
        let side = |i: usize| rectangle[i].as_f64().unwrap();
        let to = |(x, y): &(f64, f64)| {
            json!({"type": "pointerMove", "duration": 20, "origin": "viewport",
                "x": (side(0) + x * side(2)).round() as i64, "y": (side(1) + y * side(3)).round() as i64})
        };
        let mut actions: Vec<_> = positions.iter().map(to).collect();
        if drag {
            actions.insert(1, json!({"type": "pointerDown", "button": 0}));
            actions.push(json!({"type": "pointerUp", "button": 0}));
        }
        let mouse = json!({"type": "pointer", "id": "mouse", "actions": actions});
        self.command("/actions", &json!({"actions": [mouse]}));
    }

    fn element(&self, selector: &str) -> String {
        let found = self.command(
            "/element",
            &json!({"using": "css selector", "value": selector}),
        );
        let id = found.as_object().unwrap().values().next().unwrap();
        id.as_str().unwrap().to_owned()
    }

    /// Runs a command of the Chrome DevTools protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.command("/goog/cdp/execute", &body)
    }

    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Saves a screenshot as PNG.
    pub fn save_screenshot(&self, file: &Path) -> std::io::Result<()> {
        let path = format!("/session/{}/screenshot", self.session);
        let image = self.request("GET", &path, &Value::Null);
        let image = STANDARD.decode(image.as_str().unwrap()).unwrap();
        std::fs::write(file, image)
    }

    /// Returns what was logged since the last call: errors, warnings, and violations of the security policy.
    pub fn log(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].to_string()).collect()
    }

    /// Returns the URLs that were requested since the last call.
    fn requested_urls(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({"type": "performance"}));
        let events = log.as_array().unwrap().iter().map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            event["message"].clone()
        });
        let requests = events.filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = requests.map(|event| {
            event["params"]["request"]["url"]
                .as_str()
                .unwrap()
                .to_owned()
        });
        urls.collect()
    }

    /// Asserts that the page requested nothing outside of `base`, and logged no error and no violation of its policy.
    pub fn assert_clean(&self, base: &str) {
        let log = self.log();
        assert!(log.is_empty(), "{log:#?}");
        let is_foreign = |url: &String| {
            !url.starts_with(base)
                && !["data:", "blob:", "about:", "chrome:"]
                    .iter()
                    .any(|scheme| url.starts_with(scheme))
        };
        let foreign: Vec<_> = self
            .requested_urls()
            .into_iter()
            .filter(is_foreign)
            .collect();
        assert!(foreign.is_empty(), "{foreign:#?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium; killing the driver does not.
        let path = format!("/session/{}", self.session);
        let _ = send(self.port, "DELETE", &path, &Value::Null);
        let _ = self.driver.has_exited();
    }
}

/// Sends one request to chromedriver, which does not close connections, and returns the JSON of its response.
fn send(port: u16, method: &str, path: &str, body: &Value) -> std::io::Result<Value> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    write!(
        &stream,
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut reader = BufReader::new(&stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut content = vec![0; length];
    reader.read_exact(&mut content)?;
    Ok(serde_json::from_slice(&content)?)
}
