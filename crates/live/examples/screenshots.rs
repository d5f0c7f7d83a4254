//! Makes the pictures of README, the overview in light and an endpoint in dark colours. Needs Debian's `chromium` and `chromium-driver`.
//!
//! ```text
//! cargo build --release -p tower-prometheus-live --example live --example screenshots
//! target/release/examples/screenshots
//! ```

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use test_support::browser::{Browser, Theme};
use test_support::process::RunningProgram;

/// The shop runs for this long, so that the charts show its waves and the failure of the bank.
const WARM_UP: Duration = Duration::from_secs(150);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut shop = RunningProgram::start(&mut live_example()?);
    let page = shop.read_line_after("live page:    ");
    let browsers = [Theme::Light, Theme::Dark].map(Browser::with_theme);
    for browser in &browsers {
        browser.resize(1280, 904);
        browser.open(&page);
    }
    std::thread::sleep(WARM_UP);
    let [light, dark] = browsers;
    light.wait_until("document.querySelectorAll('[data-row]').length >= 8");
    light.save_screenshot(&pictures.join("live-light.png"))?;
    dark.open(&format!("{page}/#/endpoint?layer=http&row=GET+%2Fsearch"));
    dark.wait_until("document.querySelector('[data-card=\"Latency distribution\"] canvas')");
    std::thread::sleep(Duration::from_secs(2));
    dark.save_screenshot(&pictures.join("live-endpoint-dark.png"))?;
    Ok(())
}

/// The example `live` in the directory of this program.
fn live_example() -> std::io::Result<Command> {
    let program = std::env::current_exe()?;
    let mut live = Command::new(program.with_file_name("live"));
    live.env("PORT", "0");
    Ok(live)
}
