//! What the doctor finds, and how it is printed.

use serde::Serialize;
use std::fmt;

/// A share of the machine from which a finding makes the doctor fail.
const DEAR: f64 = 0.10;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing: it may cost something, or forbids something.
    Note,
    /// It costs something now.
    Cost,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    bench: &'static str,
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// The share of the machine that it costs, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, found: String) -> Finding {
        Finding { bench: "doctor", check, verdict, found, cost: None, advice: None }
    }

    /// All is well.
    pub fn good(check: &'static str, found: impl Into<String>) -> Finding {
        Finding::new(check, Verdict::Good, found.into())
    }

    /// Worth knowing.
    pub fn note(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { advice: Some(advice.into()), ..Finding::new(check, Verdict::Note, found.into()) }
    }

    /// Costs this share of the machine; a share below one percent is good.
    pub fn cost(
        check: &'static str,
        share: f64,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        if share < 0.01 {
            return Finding { cost: Some(share), ..Finding::good(check, found) };
        }
        Finding {
            cost: Some(share),
            advice: Some(advice.into()),
            ..Finding::new(check, Verdict::Cost, found.into())
        }
    }

    /// Whether it costs more than a tenth of the machine.
    pub fn is_dear(&self) -> bool {
        self.verdict == Verdict::Cost && self.cost.is_some_and(|share| share > DEAR)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Good => "ok",
            Verdict::Note => "note",
            Verdict::Cost if self.is_dear() => "COST",
            Verdict::Cost => "cost",
        };
        write!(f, "{mark:<5} {:<16} {}", self.check, self.found)?;
        if let (Verdict::Cost, Some(share)) = (self.verdict, self.cost) {
            write!(f, " [costs {:.0} %]", share * 100.0)?;
        }
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_cost_and_what_to_do() {
        let finding = Finding::cost("quota", 0.25, "1.5 of 2 CPUs", "raise it");
        assert_eq!(finding.to_string(), "COST  quota            1.5 of 2 CPUs [costs 25 %]; raise it");
        assert!(finding.is_dear() && !Finding::cost("quota", 0.1, "", "").is_dear());
        let none = Finding::cost("quota", 0.004, "as allowed", "raise it");
        assert_eq!(none.to_string(), "ok    quota            as allowed");
        assert_eq!(
            Finding::note("swap", "used", "add memory").to_string(),
            "note  swap             used; add memory"
        );
    }
}
