//! How the tables stand to the program: older, the same, or newer.
//!
//! Migrations come in numbered lines that an older and a newer program can both work on: what is added
//! must not disturb a program that does not know it (expand), and what is taken away goes only when no
//! program that needs it runs any more (contract). A migration that takes away is named
//! `NNNN_contract_MMMM_what.sql`: programs that do not know migration `MMMM` refuse to run from then on.

use super::Error;

/// How the tables stand to this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The newest migration that was applied; 0 if none.
    pub found: i64,
    /// The newest that this program knows.
    pub needed: i64,
    /// What this program needs and was not applied, such as `0002_control`, oldest first.
    pub missing: Vec<String>,
    /// Set if the tables no longer have what this program needs: the oldest migration that a program
    /// must know to work on them.
    pub contracted: Option<i64>,
}

impl Schema {
    /// Compares number and description of the migrations a program knows with those applied.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn compare<'a>(
        known: impl Iterator<Item = (i64, &'a str)>,
        applied: &[(i64, String)],
    ) -> Self {
        let known: Vec<(i64, &str)> = known.collect();
        let needed = known.iter().map(|(number, _)| *number).max().unwrap_or(0);
        let is_applied = |number: i64| applied.iter().any(|(other, _)| *other == number);
        let missing = known.iter().filter(|(number, _)| !is_applied(*number));
        let least = applied
            .iter()
            .filter_map(|(_, description)| contract(description));
        Self {
            found: applied.iter().map(|(number, _)| *number).max().unwrap_or(0),
            needed,
            missing: missing
                .map(|(number, name)| format!("{number:04}_{}", name.replace(' ', "_")))
                .collect(),
            contracted: least.max().filter(|least| *least > needed),
        }
    }

    /// Refuses tables that this program cannot work on. Newer ones are fine unless they were contracted.
    pub fn check(&self) -> Result<(), Error> {
        let remedy = if self.contracted.is_some() {
            "a newer program has taken away what this one needs; run the newer version"
        } else if self.missing.is_empty() {
            return Ok(());
        } else {
            "run the migration first"
        };
        Err(Error::Schema {
            found: self.found,
            needed: self.contracted.unwrap_or(self.needed),
            remedy,
        })
    }
}

/// The oldest migration that a program must know once this one was applied.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
fn contract(description: &str) -> Option<i64> {
    let rest = description.strip_prefix("contract ")?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod tests {
    use super::*;

    fn schema(applied: &[(i64, &str)]) -> Schema {
        let known = [(1, "jobs"), (2, "control"), (5, "check points")];
        let applied: Vec<_> = applied
            .iter()
            .map(|(number, name)| (*number, (*name).to_owned()))
            .collect();
        Schema::compare(known.into_iter(), &applied)
    }

    #[test]
    fn an_older_schema_misses_what_was_not_applied_whatever_the_order() {
        let found = schema(&[(1, "jobs"), (5, "check points")]);
        assert_eq!((found.found, found.needed), (5, 5));
        assert_eq!(found.missing, ["0002_control"]);
        assert!(
            found
                .check()
                .unwrap_err()
                .to_string()
                .contains("run the migration")
        );
        assert_eq!(schema(&[]).missing.len(), 3);
    }

    #[test]
    fn a_newer_schema_is_fine_until_it_is_contracted_beyond_the_program() {
        let ours = [(1, "jobs"), (2, "control"), (5, "check points")];
        let and = |more: &[(i64, &str)]| schema(&[&ours[..], more].concat());
        let expanded = and(&[(6, "more")]);
        assert_eq!((expanded.found, expanded.contracted), (6, None));
        assert!(expanded.check().is_ok());
        assert!(
            and(&[(6, "contract 0005 drop tags")]).check().is_ok(),
            "known to need 5"
        );
        let contracted = and(&[(6, "more"), (7, "contract 0006 drop tags")]);
        assert_eq!(contracted.contracted, Some(6));
        let told = contracted.check().unwrap_err().to_string();
        assert!(
            told.contains("at version 7 but this program needs 6"),
            "{told}"
        );
        assert!(told.contains("run the newer version"), "{told}");
    }
}
