//! Where a claim looks for cells when there are too many to look at each time.
//!
//! Two looks go around in turn, each from where it stopped: a *wide* one that sees few cells of each
//! tenant, so that one tenant's thousands of keys hide no other tenant; and, where that one left
//! something out, a *deep* one that sees every cell there is.

use super::{Cell, Head};

/// Most cells in one look.
const MOST: u32 = 256;
/// Most cells of one tenant in a wide look.
const MOST_OF_TENANT: u32 = 16;
/// How often both go around without anything to take before that is believed.
const ROUNDS: u32 = 2;

/// Goes around the cells of one queue.
#[derive(Debug, Default)]
pub struct Sweep {
    wide: Cursor,
    deep: Cursor,
}

/// Where one of the looks has got to.
#[derive(Debug, Default)]
struct Cursor {
    after: Option<Cell>,
    /// Ends reached since anything was taken.
    rounds: u32,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Cells after this one, in order.
    pub after: Option<Cell>,
    /// At most so many of one tenant.
    pub of_tenant: u32,
    /// At most so many.
    pub most: u32,
}

impl Sweep {
    /// The look to begin with.
    pub fn wide(&self) -> Look {
        Look {
            after: self.wide.after.clone(),
            of_tenant: MOST_OF_TENANT,
            most: MOST,
        }
    }

    /// The look besides, if the wide one may have left something out.
    pub fn deep(&self, wide: &[Head]) -> Option<Look> {
        let bound = MOST_OF_TENANT as usize;
        let of_tenant = |heads: &[Head]| heads[0].cell.tenant == heads[bound - 1].cell.tenant;
        wide.windows(bound).any(of_tenant).then(|| Look {
            after: self.deep.after.clone(),
            of_tenant: u32::MAX,
            most: MOST,
        })
    }

    /// Moves on after a claim; says whether there is more to look at before coming to rest. `room`
    /// says whether the claim could have taken more.
    pub fn looked(
        &mut self,
        wide: &[Head],
        deep: Option<&[Head]>,
        taken: usize,
        room: bool,
    ) -> bool {
        if taken > 0 {
            (self.wide.rounds, self.deep.rounds) = (0, 0);
        }
        let saw_all = self.wide.advance(wide) & deep.is_none_or(|deep| self.deep.advance(deep));
        if !room {
            return true;
        }
        let fruitless =
            self.wide.rounds >= ROUNDS && (deep.is_none() || self.deep.rounds >= ROUNDS);
        let rest = saw_all || fruitless;
        if rest {
            (self.wide.rounds, self.deep.rounds) = (0, 0);
        }
        !rest
    }

    /// Whether a look sees everything there is, so that nothing is learnt by looking on.
    pub fn is_whole(&self) -> bool {
        self.wide.after.is_none() && self.deep.after.is_none()
    }
}

impl Cursor {
    /// Whether these were all the cells there are.
    fn advance(&mut self, heads: &[Head]) -> bool {
        let ended = heads.len() < MOST as usize;
        let began = self.after.is_none();
        self.after = heads
            .last()
            .filter(|_| !ended)
            .map(|head| head.cell.clone());
        self.rounds += u32::from(ended);
        began && ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn heads(tenants: usize, of_each: usize) -> Vec<Head> {
        let cells = (0..tenants).flat_map(|tenant| (0..of_each).map(move |key| (tenant, key)));
        cells
            .map(|(tenant, key)| Head {
                cell: Cell {
                    tenant: format!("t{tenant:06}"),
                    kind: "work".to_owned(),
                    key: format!("k{key:06}"),
                    priority: 5,
                },
                run_at: Timestamp::EPOCH,
                due: 1,
                deep: false,
                later: None,
            })
            .collect()
    }

    /// What a store would find.
    fn find(all: &[Head], look: &Look) -> Vec<Head> {
        let mut found: Vec<Head> = Vec::new();
        let mut nth = 0;
        for head in all {
            if look.after.as_ref().is_some_and(|after| head.cell <= *after) {
                continue;
            }
            let same = found
                .last()
                .is_some_and(|last| last.cell.tenant == head.cell.tenant);
            nth = if same { nth + 1 } else { 1 };
            if nth <= look.of_tenant && found.len() < look.most as usize {
                found.push(head.clone());
            }
        }
        found
    }

    /// Claims that take nothing, until it comes to rest; how many, and how many cells they saw.
    fn until_rest(sweep: &mut Sweep, all: &[Head]) -> (usize, usize) {
        let mut seen = std::collections::BTreeSet::new();
        for claims in 1..10_000 {
            let wide = find(all, &sweep.wide());
            let deep = sweep.deep(&wide).map(|look| find(all, &look));
            seen.extend(
                wide.iter()
                    .chain(deep.iter().flatten())
                    .map(|head| head.cell.clone()),
            );
            if !sweep.looked(&wide, deep.as_deref(), 0, true) {
                return (claims, seen.len());
            }
        }
        panic!("never comes to rest");
    }

    #[test]
    fn few_cells_are_seen_at_once() {
        let mut sweep = Sweep::default();
        assert_eq!(until_rest(&mut sweep, &heads(10, 10)), (1, 100));
        assert_eq!(until_rest(&mut sweep, &[]), (1, 0));
        assert!(sweep.is_whole());
    }

    #[test]
    fn every_cell_is_seen_before_it_rests() {
        for (tenants, of_each) in [(1000, 1), (1, 5000), (300, 30), (2, 256), (256, 1), (3, 16)] {
            let all = heads(tenants, of_each);
            let (claims, seen) = until_rest(&mut Sweep::default(), &all);
            assert_eq!(seen, all.len(), "{tenants} x {of_each}");
            let rounds = ROUNDS as usize + 1;
            assert!(
                claims <= rounds * (all.len() / MOST as usize + 1),
                "{claims}"
            );
        }
    }

    #[test]
    fn one_tenants_many_keys_hide_no_other_tenant() {
        let mut all = heads(1, 100_000);
        all.extend(heads(2, 1).pop());
        let sweep = Sweep::default();
        let wide = find(&all, &sweep.wide());
        assert_eq!(
            wide.last().map(|head| head.cell.tenant.as_str()),
            Some("t000001")
        );
    }
}
