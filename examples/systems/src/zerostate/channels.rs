//! [`Ledger`]: payment channels, with their deposits, payments, disputes and settlements.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tonic::Status;
use tower_prometheus::custom::InProgressGuard;

use super::api;
use super::metrics::{
    ChannelState, DisputeStatus, Millicredits, Party, PaymentStatus, Settlement, SettlementStatus,
    ZeroState,
};

/// The channels that are not settled.
pub struct Ledger {
    metrics: ZeroState,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Number of channels opened so far.
    opened: u64,
    /// By number; the oldest first.
    channels: BTreeMap<u64, Channel>,
}

struct Channel {
    balances: Balances,
    state: ChannelState,
    opened_by: Party,
    opened: Instant,
    /// When a close request opened the dispute.
    disputed: Option<Instant>,
    _active: InProgressGuard,
}

#[derive(Clone, Copy, Debug)]
pub struct Balances {
    pub client: Millicredits,
    pub provider: Millicredits,
}

impl Balances {
    fn get_mut(&mut self, party: Party) -> &mut Millicredits {
        match party {
            Party::Client => &mut self.client,
            Party::Provider => &mut self.provider,
        }
    }

    /// Open if both parties have a balance; a channel without one of the deposits is pending.
    fn state(self) -> ChannelState {
        match self.client > 0 && self.provider > 0 {
            true => ChannelState::Open,
            false => ChannelState::Pending,
        }
    }
}

impl Ledger {
    pub fn new(metrics: ZeroState) -> Self {
        let inner = Mutex::default();
        Self { metrics, inner }
    }

    pub fn open(&self, opened_by: Party, balances: Balances) -> api::ChannelStatus {
        let state = balances.state();
        let mut inner = self.lock();
        inner.opened += 1;
        let number = inner.opened;
        let channel = Channel {
            balances,
            state,
            opened_by,
            opened: Instant::now(),
            disputed: None,
            _active: self.metrics.channel_opened(state, opened_by),
        };
        let status = channel.status(number);
        inner.channels.insert(number, channel);
        status
    }

    pub fn deposit(
        &self,
        channel_id: &str,
        party: Party,
        amount: Millicredits,
    ) -> Result<api::ChannelStatus, Status> {
        self.change(channel_id, |number, channel| {
            channel.check_state(&[ChannelState::Pending, ChannelState::Open])?;
            *channel.balances.get_mut(party) += amount;
            if channel.state != channel.balances.state() {
                self.set_state(channel, channel.balances.state());
            }
            Ok(channel.status(number))
        })
    }

    pub fn pay(
        &self,
        channel_id: &str,
        from: Party,
        amount: Millicredits,
    ) -> Result<api::ChannelStatus, Status> {
        let start = Instant::now();
        let result = self.change(channel_id, |number, channel| {
            channel.check_state(&[ChannelState::Open])?;
            let balance = channel.balances.get_mut(from);
            *balance = balance.checked_sub(amount).ok_or_else(|| {
                Status::failed_precondition(format!(
                    "insufficient balance: at most {balance} can be paid, got {amount}"
                ))
            })?;
            *channel.balances.get_mut(other(from)) += amount;
            Ok(channel.status(number))
        });
        let status = match result {
            Ok(_) => PaymentStatus::Success,
            Err(_) => PaymentStatus::Failed,
        };
        self.metrics.payment(status, amount, start.elapsed());
        result
    }

    /// Settles a channel if the claimed balance equals that of the ledger; otherwise opens a dispute.
    pub fn close(
        &self,
        channel_id: &str,
        client_balance: Millicredits,
    ) -> Result<api::ChannelStatus, Status> {
        let start = Instant::now();
        let is_right = self.change(channel_id, |_, channel| {
            channel.check_state(&[ChannelState::Pending, ChannelState::Open])?;
            let is_right = channel.balances.client == client_balance;
            if !is_right {
                channel.disputed = Some(start);
                self.set_state(channel, ChannelState::Disputed);
                self.metrics.dispute(DisputeStatus::Opened);
            }
            Ok(is_right)
        })?;
        match is_right {
            true => self.settle(channel_id, SettlementStatus::Success, start),
            false => self.get(channel_id),
        }
    }

    /// Decides a dispute and settles the channel.
    pub fn resolve(&self, channel_id: &str, upheld: bool) -> Result<api::ChannelStatus, Status> {
        let closed = self.change(channel_id, |_, channel| {
            channel.check_state(&[ChannelState::Disputed])?;
            Ok(channel.disputed.take())
        })?;
        // `None` if a concurrent call was first.
        let closed =
            closed.ok_or_else(|| Status::aborted("another call already resolves the dispute"))?;
        self.metrics.dispute(match upheld {
            true => DisputeStatus::Upheld,
            false => DisputeStatus::Dismissed,
        });
        self.settle(channel_id, SettlementStatus::Disputed, closed)
    }

    fn settle(
        &self,
        channel_id: &str,
        status: SettlementStatus,
        closed: Instant,
    ) -> Result<api::ChannelStatus, Status> {
        let number = number(channel_id)?;
        let channel = self.lock().channels.remove(&number);
        let channel = channel.ok_or_else(unknown)?;
        self.metrics.settlement(&Settlement {
            status,
            channel_duration: channel.opened.elapsed(),
            settlement_duration: closed.elapsed(),
        });
        let mut status = channel.status(number);
        "settled".clone_into(&mut status.state);
        Ok(status)
    }

    pub fn get(&self, channel_id: &str) -> Result<api::ChannelStatus, Status> {
        self.change(channel_id, |number, channel| Ok(channel.status(number)))
    }

    /// Returns the balances of the `max` oldest channels, and the sum over all others if there are any.
    pub fn balances(&self, max: usize) -> (Vec<(String, Balances)>, Option<Balances>) {
        let inner = self.lock();
        let oldest = inner.channels.iter().take(max);
        let oldest = oldest.map(|(number, channel)| (channel_id(*number), channel.balances));
        let rest = inner.channels.values().skip(max);
        let rest = rest
            .map(|channel| channel.balances)
            .reduce(|a, b| Balances {
                client: a.client + b.client,
                provider: a.provider + b.provider,
            });
        (oldest.collect(), rest)
    }

    fn set_state(&self, channel: &mut Channel, state: ChannelState) {
        channel.state = state;
        channel._active = self.metrics.channel_changed(state, channel.opened_by);
    }

    fn change<T>(
        &self,
        channel_id: &str,
        change: impl FnOnce(u64, &mut Channel) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let number = number(channel_id)?;
        let mut inner = self.lock();
        let channel = inner.channels.get_mut(&number).ok_or_else(unknown)?;
        change(number, channel)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    fn check_state(&self, states: &[ChannelState]) -> Result<(), Status> {
        match states.contains(&self.state) {
            true => Ok(()),
            false => Err(Status::failed_precondition(format!(
                "the channel is {}",
                self.state.as_str()
            ))),
        }
    }

    fn status(&self, number: u64) -> api::ChannelStatus {
        api::ChannelStatus {
            channel_id: channel_id(number),
            state: self.state.as_str().to_owned(),
            client_balance: self.balances.client,
            provider_balance: self.balances.provider,
        }
    }
}

fn other(party: Party) -> Party {
    match party {
        Party::Client => Party::Provider,
        Party::Provider => Party::Client,
    }
}

fn channel_id(number: u64) -> String {
    format!("channel-{number}")
}

fn number(channel_id: &str) -> Result<u64, Status> {
    let number = channel_id.strip_prefix("channel-");
    number.and_then(|n| n.parse().ok()).ok_or_else(unknown)
}

fn unknown() -> Status {
    Status::not_found("the channel is unknown or settled")
}
