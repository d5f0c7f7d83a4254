//! [`ChannelBalances`]: what is in the channels, asked of the [`Ledger`] when Prometheus asks.

use std::sync::Arc;

use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};

use super::channels::Ledger;
use super::metrics::{CHANNEL_BALANCES, CHANNEL_BALANCES_HELP, MAX_CHANNELS, Party, credits};

pub struct ChannelBalances(pub Arc<Ledger>);

impl Collector for ChannelBalances {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let (mut channels, rest) = self.0.balances(MAX_CHANNELS);
        channels.extend(rest.map(|rest| ("overflow".to_owned(), rest)));
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
