//! [`ForcedMatchers`]: a tenant sees its own series.

use std::thread;

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, MatrixSelector, ParenExpr, SubqueryExpr,
    UnaryExpr, parse,
};
use tokio::sync::oneshot;

use super::problem::Problem;
use super::repetition;

/// Stack for each byte of a query. A tree is as deep as a query is long at worst (`((((…`), and is walked,
/// printed, compared and dropped by recursion. Only what is used of it becomes memory.
const STACK_PER_BYTE: usize = 8 * 1024;
const STACK_AT_LEAST: usize = 1028 * 1024;

/// Equality matchers that every selector of every query gets.
#[derive(Clone, Debug, Default)]
pub(super) struct ForcedMatchers(Vec<Matcher>);

impl ForcedMatchers {
    pub(super) fn new(labels: &[(String, String)]) -> Self {
        let matchers = labels
            .iter()
            .map(|(name, value)| Matcher::new(MatchOp::Equal, name, value));
        Self(matchers.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As [`rewrite`](Self::rewrite), on a thread of its own: one with a stack that a hostile query does not
    /// exhaust, and away from the runtime, because compiling the regular expressions of a query takes its time.
    pub(super) async fn rewrite_aside(&self, query: String) -> Result<String, Problem> {
        let (answer, answered) = oneshot::channel();
        let forced = self.clone();
        let stack = STACK_AT_LEAST.max(query.len().saturating_mul(STACK_PER_BYTE));
        let thread = thread::Builder::new()
            .name("promql".into())
            .stack_size(stack)
            .spawn(move || {
                let _ = answer.send(forced.rewrite(&query));
            });
        if thread.is_err() {
            let reason = "no thread for reading the query can be started";
            return Err(Problem::unreachable(reason));
        }
        // The parser is not ours: if it panics on something, that is a query that cannot be read.
        let rewritten = answered
            .await
            .unwrap_or_else(|_| Err("it cannot be read".into()));
        rewritten.map_err(|reason| {
            let error = "the query cannot be bound to this tenant";
            Problem::bad_data(error, reason)
        })
    }

    /// The query in which every selector has the matchers, or why there is none.
    ///
    /// What was printed is parsed again: it must be the same tree. So a text that the printer gets wrong, or
    /// that reads as something else, is refused rather than sent.
    pub(super) fn rewrite(&self, query: &str) -> Result<String, String> {
        repetition::check(query)?;
        let mut tree = parse(query)?;
        self.bind(&mut tree)?;
        let text = tree.to_string();
        match parse(&text) {
            Ok(read) if read == tree => Ok(text),
            _ => Err("it does not read the same after it was rewritten".into()),
        }
    }

    /// Every variant and every field that can hold a selector is named here, so that a new one in the parser
    /// breaks the build. (Its own visitor passes over the parameter of `topk` and `quantile`.)
    fn bind(&self, tree: &mut Expr) -> Result<(), String> {
        match tree {
            Expr::Aggregate(AggregateExpr {
                op: _,
                expr,
                param,
                modifier,
            }) => {
                // `by ()` is the same as nothing, and is printed so.
                if matches!(modifier, Some(LabelModifier::Include(labels)) if labels.is_empty()) {
                    *modifier = None;
                }
                if let Some(param) = param {
                    self.bind(param)?;
                }
                self.bind(expr)
            }
            Expr::Unary(UnaryExpr { expr }) | Expr::Paren(ParenExpr { expr }) => self.bind(expr),
            Expr::Binary(BinaryExpr {
                op: _,
                lhs,
                rhs,
                modifier: _,
            }) => {
                self.bind(lhs)?;
                self.bind(rhs)
            }
            Expr::Subquery(SubqueryExpr {
                expr,
                offset: _,
                at: _,
                range: _,
                step: _,
            }) => self.bind(expr),
            Expr::Call(Call { func, args }) => {
                // It reads `target_info` by itself, without a selector that could be bound.
                if func.name == "info" {
                    return Err("info() reads series of all tenants".into());
                }
                args.args.iter_mut().try_for_each(|arg| self.bind(arg))
            }
            Expr::VectorSelector(selector) => {
                self.bind_selector(&mut selector.matchers);
                Ok(())
            }
            Expr::MatrixSelector(MatrixSelector { vs, range: _ }) => {
                self.bind_selector(&mut vs.matchers);
                Ok(())
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
            Expr::Extension(_) => Err("it has an extension".into()),
        }
    }

    /// Beside what the user wrote, on this label or others: both must match. VictoriaMetrics' `or` makes
    /// alternatives, each of which needs it.
    fn bind_selector(&self, matchers: &mut Matchers) {
        let Matchers {
            matchers,
            or_matchers,
        } = matchers;
        for alternative in or_matchers.iter_mut() {
            alternative.extend_from_slice(&self.0);
        }
        // With alternatives, the printer leaves the plain list out, and the parser leaves it empty.
        if or_matchers.is_empty() {
            matchers.extend_from_slice(&self.0);
            // As the printer does, so that what is read again is in the same order.
            matchers.sort_by_cached_key(Matcher::to_string);
        }
    }
}
