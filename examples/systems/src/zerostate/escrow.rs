//! [`Escrow`]: an amount that is held until it is released to the earning party or refunded.

use super::metrics::{EscrowOutcome, EscrowType, Millicredits, RefundReason, ZeroState};

/// An amount in escrow. Dropping it refunds the amount.
#[must_use = "dropping an escrow refunds it"]
pub struct Escrow {
    metrics: ZeroState,
    amount: Millicredits,
    is_settled: bool,
}

impl Escrow {
    pub fn hold(metrics: ZeroState, kind: EscrowType, amount: Millicredits) -> Self {
        metrics.escrow_created(kind, amount);
        Self {
            metrics,
            amount,
            is_settled: false,
        }
    }

    /// Releases the amount to the earning party, and returns it.
    pub fn release(mut self, outcome: EscrowOutcome) -> Millicredits {
        self.is_settled = true;
        self.metrics.escrow_released(outcome);
        self.amount
    }

    pub fn refund(mut self, reason: RefundReason) {
        self.is_settled = true;
        self.metrics.escrow_refunded(reason);
    }
}

impl Drop for Escrow {
    fn drop(&mut self) {
        if !self.is_settled {
            self.metrics.escrow_refunded(RefundReason::Abandoned);
        }
    }
}
