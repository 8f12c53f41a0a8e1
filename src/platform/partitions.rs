use chrono::{Datelike, Months, NaiveDate};

use super::{Error, Platform};

/// Tables that a platform may have partitioned by month.
pub const PARTITIONED: [&str; 2] = ["messages", "api_logs"];

impl Platform {
    /// Makes sure that each of [`PARTITIONED`] that is partitioned has the month of `today` and the
    /// `ahead` months after it: without its month, an insert fails. Returns what it made, such as
    /// `messages 2026-01`.
    pub async fn add_months(&self, today: NaiveDate, ahead: u32) -> Result<Vec<String>, Error> {
        let mut made = Vec::new();
        for table in PARTITIONED {
            if !self.repository.is_partitioned(table).await? {
                continue;
            }
            for month in months(today, ahead) {
                if self.repository.add_month(table, month).await? {
                    made.push(format!("{table} {}", month.format("%Y-%m")));
                }
            }
        }
        Ok(made)
    }
}

/// The first days of a month and of those after it.
fn months(today: NaiveDate, ahead: u32) -> impl Iterator<Item = NaiveDate> {
    let first = today.with_day(1).unwrap_or(today); // every month has a first day
    (0..=ahead).filter_map(move |n| first.checked_add_months(Months::new(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other_over_the_end_of_a_year() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 30).unwrap();
        let names: Vec<String> = months(today, 3).map(|month| month.to_string()).collect();
        assert_eq!(
            names,
            ["2026-11-01", "2026-12-01", "2027-01-01", "2027-02-01"]
        );
    }
}
