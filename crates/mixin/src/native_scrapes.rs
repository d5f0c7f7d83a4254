//! [`NativeScrapes`]: the settings of a version of Prometheus for scraping native histograms.

use crate::error::Error;

/// The settings for native histograms, as the user gave them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NativeScrapes {
    /// The version of Prometheus, if it scrapes native histograms.
    pub(crate) version: Option<String>,
    /// Whether it scrapes the classic buckets of histograms that have native ones.
    pub(crate) classic_too: bool,
}

/// The flag and the settings that a version of Prometheus needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct NativeSettings {
    pub(crate) flag: Option<&'static str>,
    pub(crate) scrape_native_histograms: bool,
    pub(crate) scrape_classic_histograms: bool,
    pub(crate) always_scrape_classic_histograms: bool,
}

const FLAG: &str = "--enable-feature=native-histograms";

impl NativeScrapes {
    pub(crate) fn settings(&self) -> Result<NativeSettings, Error> {
        let Some(version) = &self.version else {
            return match self.classic_too {
                false => Ok(NativeSettings::default()),
                true => Err(Error::new(
                    "always_scrape_classic_histograms is set without native_histograms; add it",
                )),
            };
        };
        let parsed = parse(version)?;
        let needs = |least: (u32, u32), what: &str| match parsed >= least {
            true => Ok(()),
            false => Err(Error::new(format!(
                "Prometheus {version} cannot {what}: this needs {}.{} or later",
                least.0, least.1
            ))),
        };
        needs((2, 40), "scrape native histograms")?;
        if self.classic_too {
            needs(
                (2, 45),
                "scrape the classic buckets of histograms that have native ones",
            )?;
        }
        Ok(NativeSettings {
            flag: (parsed < (3, 8)).then_some(FLAG),
            scrape_native_histograms: parsed >= (3, 8),
            scrape_classic_histograms: self.classic_too && parsed < (3, 0),
            always_scrape_classic_histograms: self.classic_too && parsed >= (3, 0),
        })
    }
}

/// Returns the major and the minor version of `2.42`, `v3.8.1` or `2.42.0+ds`.
fn parse(version: &str) -> Result<(u32, u32), Error> {
    let mut parts = version.strip_prefix('v').unwrap_or(version).splitn(3, '.');
    let mut number = || parts.next()?.parse().ok();
    let parsed = number().and_then(|major| Some((major, number()?)));
    parsed.ok_or_else(|| {
        Error::new(format!(
            "the version of Prometheus must have the form \"3.8\" or \"3.8.1\", got {version:?}"
        ))
    })
}
