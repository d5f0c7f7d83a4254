//! [`ChannelBalances`]: a collector for the balances of the channels, read from the [`Ledger`] at
//! scrape time.

use std::sync::Arc;

use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};

use super::channels::Ledger;
use super::metrics::{CHANNEL_BALANCES, CHANNEL_BALANCES_HELP, MAX_CHANNELS, Party, credits};

pub struct ChannelBalances(pub Arc<Ledger>);

impl Collector for ChannelBalances {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let (mut channels, rest) = self.0.balances(MAX_CHANNELS);
        channels.extend(rest.map(|sum| ("overflow".to_owned(), sum)));
        let mut family = samples.gauge(CHANNEL_BALANCES, CHANNEL_BALANCES_HELP);
        for (channel_id, balances) in &channels {
            for (party, balance) in [
                (Party::Client, balances.client),
                (Party::Provider, balances.provider),
            ] {
                let labels = [
                    ("channel_id", channel_id.as_str()),
                    ("party", party.as_str()),
                ];
                family.sample(&labels, credits(balance));
            }
        }
        Ok(())
    }
}
