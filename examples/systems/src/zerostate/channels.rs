//! [`Ledger`]: payment channels, their deposits, and how they end.

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

/// All channels that are not settled, by their number.
pub struct Ledger {
    metrics: ZeroState,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    opened: u64,
    channels: BTreeMap<u64, Channel>,
}

struct Channel {
    balances: Balances,
    state: ChannelState,
    opened_by: Party,
    opened: Instant,
    /// When it was closed and could not be settled.
    disputed: Option<Instant>,
    _active: InProgressGuard,
}

#[derive(Clone, Copy, Debug)]
pub struct Balances {
    pub client: Millicredits,
    pub provider: Millicredits,
}

impl Balances {
    fn of(&mut self, party: Party) -> &mut Millicredits {
        match party {
            Party::Client => &mut self.client,
            Party::Provider => &mut self.provider,
        }
    }

    fn state(self) -> ChannelState {
        match self.client > 0 && self.provider > 0 {
            true => ChannelState::Open,
            false => ChannelState::Pending,
        }
    }
}

impl Ledger {
    pub fn new(metrics: ZeroState) -> Self {
        let books = Mutex::default();
        Self { metrics, books }
    }

    pub fn open(&self, opened_by: Party, balances: Balances) -> api::ChannelStatus {
        let state = balances.state();
        let mut books = self.books();
        books.opened += 1;
        let number = books.opened;
        let channel = Channel {
            balances,
            state,
            opened_by,
            opened: Instant::now(),
            disputed: None,
            _active: self.metrics.channel_opened(state, opened_by),
        };
        let answer = channel.answer(number);
        books.channels.insert(number, channel);
        answer
    }

    pub fn deposit(
        &self,
        channel_id: &str,
        party: Party,
        amount: Millicredits,
    ) -> Result<api::ChannelStatus, Status> {
        self.change(channel_id, |number, channel| {
            channel.expect(&[ChannelState::Pending, ChannelState::Open])?;
            *channel.balances.of(party) += amount;
            if channel.state != channel.balances.state() {
                self.becomes(channel, channel.balances.state());
            }
            Ok(channel.answer(number))
        })
    }

    pub fn pay(
        &self,
        channel_id: &str,
        from: Party,
        amount: Millicredits,
    ) -> Result<api::ChannelStatus, Status> {
        let started = Instant::now();
        let paid = self.change(channel_id, |number, channel| {
            channel.expect(&[ChannelState::Open])?;
            let balance = channel.balances.of(from);
            let rest = balance.checked_sub(amount);
            *balance = rest.ok_or_else(|| Status::failed_precondition("not enough left"))?;
            *channel.balances.of(other(from)) += amount;
            Ok(channel.answer(number))
        });
        let status = match paid {
            Ok(_) => PaymentStatus::Success,
            Err(_) => PaymentStatus::Failed,
        };
        self.metrics.payment(status, amount, started.elapsed());
        paid
    }

    /// Settles a channel if the claim is right, and opens a dispute if not.
    pub fn close(
        &self,
        channel_id: &str,
        client_balance: Millicredits,
    ) -> Result<api::ChannelStatus, Status> {
        let started = Instant::now();
        let is_right = self.change(channel_id, |_, channel| {
            channel.expect(&[ChannelState::Pending, ChannelState::Open])?;
            let is_right = channel.balances.client == client_balance;
            if !is_right {
                channel.disputed = Some(started);
                self.becomes(channel, ChannelState::Disputed);
                self.metrics.dispute(DisputeStatus::Opened);
            }
            Ok(is_right)
        })?;
        match is_right {
            true => self.settle(channel_id, SettlementStatus::Success, started),
            false => self.get(channel_id),
        }
    }

    pub fn resolve(&self, channel_id: &str, upheld: bool) -> Result<api::ChannelStatus, Status> {
        let closed = self.change(channel_id, |_, channel| {
            channel.expect(&[ChannelState::Disputed])?;
            Ok(channel.disputed.take())
        })?;
        // Two arbiters at once: the other one was first.
        let closed = closed.ok_or_else(|| Status::aborted("somebody else resolves it"))?;
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
        let channel = self.books().channels.remove(&number);
        let channel = channel.ok_or_else(unknown)?;
        self.metrics.settlement(&Settlement {
            status,
            lasted: channel.opened.elapsed(),
            took: closed.elapsed(),
        });
        let mut answer = channel.answer(number);
        "settled".clone_into(&mut answer.state);
        Ok(answer)
    }

    pub fn get(&self, channel_id: &str) -> Result<api::ChannelStatus, Status> {
        self.change(channel_id, |number, channel| Ok(channel.answer(number)))
    }

    /// The balances of the oldest open channels, and the sum of those of all others, if there are any.
    pub fn balances(&self, at_most: usize) -> (Vec<(String, Balances)>, Option<Balances>) {
        let books = self.books();
        let oldest = books.channels.iter().take(at_most);
        let oldest = oldest.map(|(number, channel)| (channel_id(*number), channel.balances));
        let rest = books.channels.values().skip(at_most);
        let rest = rest
            .map(|channel| channel.balances)
            .reduce(|a, b| Balances {
                client: a.client + b.client,
                provider: a.provider + b.provider,
            });
        (oldest.collect(), rest)
    }

    fn becomes(&self, channel: &mut Channel, state: ChannelState) {
        channel.state = state;
        channel._active = self.metrics.channel_changed(state, channel.opened_by);
    }

    fn change<T>(
        &self,
        channel_id: &str,
        change: impl FnOnce(u64, &mut Channel) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let number = number(channel_id)?;
        let mut books = self.books();
        let channel = books.channels.get_mut(&number).ok_or_else(unknown)?;
        change(number, channel)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    fn expect(&self, states: &[ChannelState]) -> Result<(), Status> {
        match states.contains(&self.state) {
            true => Ok(()),
            false => Err(Status::failed_precondition(format!(
                "the channel is {}",
                self.state.as_str()
            ))),
        }
    }

    fn answer(&self, number: u64) -> api::ChannelStatus {
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
    Status::not_found("there is no such channel, or it is settled")
}
