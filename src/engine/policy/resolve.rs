//! Every rule that matches is collected; then the declared mode picks one (core.md section 3).

use super::super::code::{Code, Refusal};
use super::{ConflictMode, Policy, Rule, StableOrder, Subject, TieBreaker};

/// What the rules of a policy say of a request.
#[derive(Debug)]
pub struct Resolution<'p> {
    /// The rule that decides; nothing where none matched and the default `block` decides.
    pub rule: Option<&'p Rule>,
    /// Every rule that matched, in the order in which they are written.
    pub matched: Vec<&'p Rule>,
}

impl Policy {
    /// Finds the rule that decides about a request.
    ///
    /// # Errors
    /// `AMBIGUOUS_MAPPING` where rules of different effects are left and the tie breaker is `fail_closed`.
    pub fn resolve(&self, subject: &Subject<'_>) -> Result<Resolution<'_>, Refusal> {
        let mut matched = Vec::new();
        for rule in self.rules() {
            if rule.mismatch(subject).map_err(unmatchable)?.is_none() {
                matched.push(rule);
            }
        }
        let rule = self.pick(&matched)?;
        Ok(Resolution { rule, matched })
    }

    fn pick<'p>(&self, matched: &[&'p Rule]) -> Result<Option<&'p Rule>, Refusal> {
        let switches = self.conflict_resolution();
        let left = match switches.mode {
            ConflictMode::DenyWins => winners(matched, |rule| rule.effect),
            ConflictMode::MostSpecific => winners(matched, Rule::specificity),
            ConflictMode::ExplicitPriority => winners(matched, |rule| rule.priority),
        };
        let differ = left.windows(2).any(|pair| match pair {
            [one, other] => one.effect != other.effect,
            _ => false,
        });
        if differ && switches.tie_breaker == TieBreaker::FailClosed {
            let ids: Vec<_> = left.iter().map(|rule| format!("`{}`", rule.id)).collect();
            return Err(Refusal::new(
                Code::AmbiguousMapping,
                format!(
                    "rules with different effects match equally: {}",
                    ids.join(", ")
                ),
            ));
        }
        Ok(match switches.stable_order_mode {
            StableOrder::LexicalRuleId => left.into_iter().min_by_key(|rule| rule.id.as_bytes()),
            StableOrder::OrderIndex => left
                .into_iter()
                .min_by_key(|rule| (rule.order_index, rule.id.as_bytes())),
        })
    }
}

/// The rules that share the highest rank.
fn winners<'p, Rank: Ord>(matched: &[&'p Rule], rank: impl Fn(&Rule) -> Rank) -> Vec<&'p Rule> {
    let highest = matched.iter().map(|rule| rank(rule)).max();
    matched
        .iter()
        .copied()
        .filter(|rule| Some(rank(rule)) == highest)
        .collect()
}

fn unmatchable(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Code::InvalidPolicy,
        format!("a rule's regex does not compile: {what}"),
    )
}
