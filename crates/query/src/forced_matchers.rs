//! [`ForcedMatchers`]: restricts every selector of a query to series with given labels.

use std::thread;

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, MatrixSelector, ParenExpr, SubqueryExpr,
    UnaryExpr, parse,
};
use tokio::sync::oneshot;

use crate::concurrency::ConcurrencyPermit;
use crate::error::Error;
use crate::error_response::ErrorResponse;
use crate::names::is_label_name;
use crate::regex_cost;

/// Stack size per byte of the query. In the worst case, the syntax tree is as deep as the query is long (`((((…`), and
/// the tree is walked, printed, compared and dropped recursively. Only the used part of the stack takes memory.
const STACK_PER_BYTE: usize = 8 * 1024;
const MIN_STACK: usize = 1024 * 1024;

/// Equality matchers to add to every selector of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForcedMatchers(Vec<Matcher>);

impl ForcedMatchers {
    pub(crate) fn new(labels: &[(String, String)]) -> Result<Self, Error> {
        let mut matchers: Vec<Matcher> = Vec::new();
        for (name, value) in labels {
            if !is_label_name(name) || name == "__name__" {
                let message = format!(
                    "force_label: invalid label name {name:?}; a name has ASCII letters, digits and _, does not start with a digit, and is not __name__"
                );
                return Err(Error::setting(message));
            }
            if value.is_empty() {
                let message = format!(
                    "force_label: the value of label {name:?} must not be empty: it would match all series without the label"
                );
                return Err(Error::setting(message));
            }
            if matchers.iter().any(|matcher| matcher.name == *name) {
                let message = format!("force_label: label {name:?} is set twice; set it once");
                return Err(Error::setting(message));
            }
            matchers.push(Matcher::new(MatchOp::Equal, name, value));
        }
        Ok(Self(matchers))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs [`rewrite`](Self::rewrite) on its own thread: its stack is large enough for a deeply nested query, and
    /// compiling the query's regular expressions does not block the runtime.
    ///
    /// Returns the query and the permit. If the future is dropped, the thread holds the permit until it ends, so that
    /// the number of threads is limited.
    pub(crate) async fn rewrite_on_thread(
        &self,
        query: String,
        permit: ConcurrencyPermit,
    ) -> Result<(String, ConcurrencyPermit), ErrorResponse> {
        let (sender, receiver) = oneshot::channel();
        let forced = self.clone();
        let stack_size = MIN_STACK.max(query.len().saturating_mul(STACK_PER_BYTE));
        let thread = thread::Builder::new()
            .name("promql".into())
            .stack_size(stack_size)
            .spawn(move || {
                let rewritten = forced.rewrite(&query);
                let _ = sender.send(rewritten.map(|query| (query, permit)));
            });
        if thread.is_err() {
            return Err(ErrorResponse::unavailable(
                "the query cannot be parsed",
                "no thread can be started for it",
            ));
        }
        // The sender is dropped without a result if the third-party parser panics: the query cannot be parsed.
        let rewritten = receiver
            .await
            .unwrap_or_else(|_| Err("it cannot be parsed".into()));
        rewritten.map_err(|reason| {
            ErrorResponse::bad_data("the forced labels cannot be added to the query", reason)
        })
    }

    /// Returns the query with the matchers in every selector, or the reason why it is rejected.
    ///
    /// The printed query is parsed again, and the query is rejected unless the result is the same tree. This detects
    /// bugs of the printer.
    pub(crate) fn rewrite(&self, query: &str) -> Result<String, String> {
        regex_cost::check(query)?;
        let mut tree = parse(query)?;
        self.add_to(&mut tree)?;
        let text = tree.to_string();
        match parse(&text) {
            Ok(reparsed) if reparsed == tree => Ok(text),
            _ => Err("the rewritten query does not parse to the same tree".into()),
        }
    }

    /// Adds the matchers to every selector of a tree.
    ///
    /// The match lists all variants and fields, so that a new one in the parser is a compile error. The parser's own
    /// visitor is not used, because it skips the parameters of `topk` and `quantile`.
    fn add_to(&self, tree: &mut Expr) -> Result<(), String> {
        match tree {
            Expr::Aggregate(AggregateExpr {
                op: _,
                expr,
                param,
                modifier,
            }) => {
                // The printer omits `by ()`, so the parsed print has no modifier.
                if matches!(modifier, Some(LabelModifier::Include(labels)) if labels.is_empty()) {
                    *modifier = None;
                }
                if let Some(param) = param {
                    self.add_to(param)?;
                }
                self.add_to(expr)
            }
            Expr::Unary(UnaryExpr { expr }) | Expr::Paren(ParenExpr { expr }) => self.add_to(expr),
            Expr::Binary(BinaryExpr {
                op: _,
                lhs,
                rhs,
                modifier: _,
            }) => {
                self.add_to(lhs)?;
                self.add_to(rhs)
            }
            Expr::Subquery(SubqueryExpr {
                expr,
                offset: _,
                at: _,
                range: _,
                step: _,
            }) => self.add_to(expr),
            Expr::Call(Call { func, args }) => {
                // `info()` reads `target_info`, which has no selector in the query.
                if func.name == "info" {
                    return Err("info() reads series that the forced labels do not restrict".into());
                }
                args.args.iter_mut().try_for_each(|arg| self.add_to(arg))
            }
            Expr::VectorSelector(selector) => {
                self.add_to_selector(&mut selector.matchers);
                Ok(())
            }
            Expr::MatrixSelector(MatrixSelector { vs, range: _ }) => {
                self.add_to_selector(&mut vs.matchers);
                Ok(())
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
            Expr::Extension(_) => Err("it has an extension of PromQL".into()),
        }
    }

    /// Adds the matchers to one selector and keeps the client's matchers, also on the same label, because all must
    /// match. `or` in VictoriaMetrics' selectors separates alternatives: each gets the matchers.
    fn add_to_selector(&self, matchers: &mut Matchers) {
        let Matchers {
            matchers,
            or_matchers,
        } = matchers;
        for alternative in or_matchers.iter_mut() {
            alternative.extend_from_slice(&self.0);
        }
        // With alternatives, the parser leaves `matchers` empty and the printer ignores it.
        if or_matchers.is_empty() {
            matchers.extend_from_slice(&self.0);
            // The printer sorts the matchers, so the parsed print has this order.
            matchers.sort_by_cached_key(Matcher::to_string);
        }
    }
}
