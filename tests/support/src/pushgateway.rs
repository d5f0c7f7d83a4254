//! A real Pushgateway.

use std::fs;
use std::process::Command;

use super::listening::ListeningProgram;
use super::page::samples;
use super::process::curl;
use super::tools::Tool;

/// Prometheus' Pushgateway, empty when it starts. Dropping it kills it.
pub struct Pushgateway {
    program: ListeningProgram,
    scheme: &'static str,
    /// Arguments with which `curl` may read the page.
    curl: Vec<String>,
}

impl Pushgateway {
    /// The user and the password of [`start_secured`](Self::start_secured).
    pub const USER: &str = "ada";
    pub const PASSWORD: &str = "hunter2-s3cret";
    /// bcrypt of the password with the lowest cost: `htpasswd -nBC 4 ada`.
    const BCRYPT: &str = "$2b$04$hqh7R0OAlHQNibcQI3cH/O/M9YwIU42IedrQ7mkzN.cfx8pNV2DQm";

    #[track_caller]
    pub fn start() -> Self {
        let mut gateway = Self::stopped("http");
        gateway.run(&[]);
        gateway
    }

    /// Starts it with TLS and HTTP basic authentication. Certificate (for 127.0.0.1) and key are PEM.
    #[track_caller]
    pub fn start_secured(certificate: &str, key: &str) -> Self {
        let (user, password, bcrypt) = (Self::USER, Self::PASSWORD, Self::BCRYPT);
        let mut gateway = Self::stopped("https");
        let directory = &gateway.program.directory.0;
        let [certificate_file, config] =
            ["certificate", "web.yml"].map(|name| directory.join(name));
        fs::write(&certificate_file, certificate).unwrap();
        fs::write(directory.join("key"), key).unwrap();
        // Paths are relative to the file.
        let text = format!(
            "tls_server_config: {{ cert_file: certificate, key_file: key }}\nbasic_auth_users: {{ {user}: {bcrypt} }}\n"
        );
        fs::write(&config, text).unwrap();
        gateway.curl = vec![
            "--cacert".to_owned(),
            certificate_file.display().to_string(),
            "--user".to_owned(),
            format!("{user}:{password}"),
        ];
        gateway.run(&[format!("--web.config.file={}", config.display())]);
        gateway
    }

    fn stopped(scheme: &'static str) -> Self {
        Self {
            program: ListeningProgram::new(),
            scheme,
            curl: Vec::new(),
        }
    }

    #[track_caller]
    fn run(&mut self, arguments: &[String]) {
        self.program.start(
            Command::new(Tool::Pushgateway.program())
                .arg(format!("--web.listen-address={}", self.address()))
                // Debian's default is a system-wide file, which may contain pushed metrics.
                .arg("--persistence.file=")
                .args(arguments),
        );
    }

    /// The address and port, such as `127.0.0.1:9091`.
    pub fn address(&self) -> String {
        self.program.address.get().to_string()
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// The samples of all groups as sorted lines `name{labels} value`, without those that the gateway adds to each group
    /// (`push_time_seconds`, `push_failure_time_seconds`).
    pub fn group_contents(&self) -> Vec<String> {
        let url = format!("{}/metrics", self.url());
        let arguments = self.curl.iter().map(String::as_str);
        let page = curl(&arguments.chain([&*url]).collect::<Vec<_>>());
        let samples = samples(&page).into_iter();
        let pushed =
            samples.filter(|(name, _)| name.contains("job=") && !name.starts_with("push_"));
        pushed
            .map(|(name, value)| format!("{name} {value}"))
            .collect()
    }
}
