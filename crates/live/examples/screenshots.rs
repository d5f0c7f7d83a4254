//! Makes the pictures of the live page in `docs`, light and dark. Needs Debian's `chromium` and `chromium-driver`.
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
    let previews = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut shop = RunningProgram::start(&mut live_example()?);
    let page = shop.read_line_after("live page:    ");
    let browsers = [(Theme::Light, "light"), (Theme::Dark, "dark")]
        .map(|(theme, name)| (Browser::with_theme(theme), name));
    for (browser, _) in &browsers {
        browser.resize(1280, 840);
        browser.open(&page);
    }
    std::thread::sleep(WARM_UP);
    for (browser, name) in &browsers {
        browser.wait_until("document.querySelectorAll('[data-row]').length >= 8");
        browser.save_screenshot(&previews.join(format!("live-{name}.png")))?;
        browser.open(&format!("{page}/#/endpoint?layer=http&row=GET+%2Fsearch"));
        browser.wait_until("document.querySelector('[data-card=\"Latency distribution\"] canvas')");
        std::thread::sleep(Duration::from_secs(2));
        browser.save_screenshot(&previews.join(format!("live-endpoint-{name}.png")))?;
    }
    Ok(())
}

/// The example `live` in the directory of this program.
fn live_example() -> std::io::Result<Command> {
    let program = std::env::current_exe()?;
    let mut live = Command::new(program.with_file_name("live"));
    live.env("PORT", "0");
    Ok(live)
}
