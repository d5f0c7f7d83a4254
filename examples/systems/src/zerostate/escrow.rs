//! [`Escrow`]: an amount that is held until it is clear to whom it goes.

use super::metrics::{EscrowOutcome, EscrowType, Millicredits, RefundReason, ZeroState};

/// Goes back when it is dropped.
#[must_use = "what is dropped goes back"]
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

    /// Goes to who earned it.
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
