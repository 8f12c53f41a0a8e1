use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{JobId, State};

/// Which jobs to list. Every field that is set must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// In one of these states; any if empty.
    pub states: Vec<State>,
    /// Of this kind.
    pub kind: Option<String>,
    /// In this queue.
    pub queue: Option<String>,
    /// Of this tenant. Callers that act for a tenant must set it.
    pub tenant_id: Option<String>,
    /// Of this correlation id.
    pub correlation_id: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
}

/// Where the next page starts: after this job, newest first. Opaque in URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub JobId);

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor; pass the value of the last page's `next` unchanged, or none for page one")]
pub struct InvalidCursor;

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// After this one; from the newest if none.
    pub after: Option<Cursor>,
    /// At most so many, 1 to 1000.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            after: None,
            limit: 50,
        }
    }
}

/// What a page holds, newest first, and where the search goes on.
///
/// A page may hold less than was asked for although more match: a store that would have to look at very
/// many jobs says how far back it came instead of keeping the caller waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// What matches, newest first.
    pub jobs: Vec<T>,
    /// Where the next page starts; none if nothing older matches.
    pub next: Option<Cursor>,
}

impl<T> Found<T> {
    /// A page of at most `limit` that came back to `reached`, or to the end if that is none.
    pub(crate) fn new(
        jobs: Vec<T>,
        limit: u32,
        reached: Option<JobId>,
        id: fn(&T) -> JobId,
    ) -> Self {
        let last = jobs.last().filter(|_| jobs.len() >= limit as usize);
        let next = last.map(id).or(reached).map(Cursor);
        Self { jobs, next }
    }

    /// Pages of several searches, which begin at the same place, as one.
    pub(crate) fn merged(pages: Vec<Self>, limit: u32, id: fn(&T) -> JobId) -> Self {
        // What is older was not looked for by all of them.
        let reached = pages
            .iter()
            .filter_map(|page| page.next)
            .map(|next| next.0)
            .max();
        let jobs = pages.into_iter().flat_map(|page| page.jobs);
        let mut jobs: Vec<T> = jobs
            .filter(|job| reached.is_none_or(|reached| id(job) >= reached))
            .collect();
        jobs.sort_unstable_by_key(|job| Reverse(id(job)));
        jobs.truncate(limit as usize);
        Self::new(jobs, limit, reached, id)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_uuid().simple())
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        text.parse().map(Self).map_err(|_| InvalidCursor)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(id in any::<u128>()) {
            let cursor = Cursor(JobId::from_uuid(Uuid::from_u128(id)));
            let text = cursor.to_string();
            prop_assert!(text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()), "{}", text);
            prop_assert_eq!(text.parse(), Ok(cursor));
        }

        #[test]
        fn searches_that_stop_early_find_all_together(
            ids in proptest::collection::btree_set(any::<u16>(), 0..60),
            limit in 1..8u32,
            looks in 1..9usize,
        ) {
            let id = |number: &u16| JobId::from_uuid(Uuid::from_u128(u128::from(*number)));
            // Of three searches each finds every third, and looks at so many jobs for a page.
            let page = |part: u16, after: Option<Cursor>| {
                let older: Vec<u16> = ids.iter().rev().copied()
                    .filter(|number| after.is_none_or(|after| id(number) < after.0))
                    .collect();
                let seen = older.iter().take(looks);
                let found = seen.copied().filter(|number| number % 3 == part).take(limit as usize);
                let reached = older.get(looks).and_then(|_| older.get(looks - 1));
                Found::new(found.collect(), limit, reached.map(id), id)
            };
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let pages = (0..3).map(|part| page(part, after)).collect();
                let found = Found::merged(pages, limit, id);
                prop_assert!(found.jobs.len() <= limit as usize);
                all.extend(found.jobs);
                prop_assert!(found.next.is_none_or(|next| after.is_none_or(|after| next.0 < after.0)));
                after = found.next;
                if after.is_none() { break; }
            }
            prop_assert_eq!(all, ids.iter().rev().copied().collect::<Vec<_>>());
        }

        #[test]
        fn any_text_is_a_cursor_or_none(text in "\\PC{0,50}|[0-9a-f{}-]{30,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
    }
}
