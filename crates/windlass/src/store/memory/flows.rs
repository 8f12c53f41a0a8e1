//! What outlives an attempt, and what ties jobs together.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;

use super::attempts::end;
use super::enqueue::record;
use super::jobs::unblocked;
use super::{Data, MemoryStore};
use crate::db;
use crate::model::{
    After, Edge, End, FlowFilter, FlowId, FlowRecord, JobId, Json, Lease, Link, NewFlow, Parent,
    Recorded, RetryRefused, Settled, Signal, State, StepRecord, StepState, Timestamp, retry,
    settle,
};
use crate::store::flows::{FLOW_CANCELLED, MAX_PAGE, kept_for};
use crate::store::{Changed, Error, FlowChanged, Flows, Prune, Started};

/// Every flow, its steps, and who waits for whom.
#[derive(Debug, Default, Clone)]
pub(super) struct Book {
    flows: BTreeMap<FlowId, (FlowRecord, Vec<JobId>)>,
    steps: HashMap<JobId, Step>,
    children: HashMap<JobId, Vec<JobId>>,
}

#[derive(Debug, Clone)]
struct Step {
    flow: FlowId,
    position: u32,
    name: String,
    kind: String,
    after: After,
    parents: Vec<JobId>,
    pending: u32,
    blocked: bool,
    /// What its job is ordered by once it may run.
    ordering_key: Option<String>,
    ended_as: Option<End>,
    result: Option<Json>,
    reason: Option<String>,
}

impl Book {
    /// The flow and the name of a step.
    pub(super) fn place_of(&self, job: JobId) -> Option<(FlowId, String)> {
        let step = self.steps.get(&job)?;
        Some((step.flow, step.name.clone()))
    }

    fn visible(&self, id: FlowId, tenant: Option<&str>) -> Option<&(FlowRecord, Vec<JobId>)> {
        let flow = self.flows.get(&id)?;
        (tenant.is_none() || flow.0.tenant_id.as_deref() == tenant).then_some(flow)
    }

    fn name_of(&self, job: JobId) -> String {
        self.steps
            .get(&job)
            .map_or(String::new(), |step| step.name.clone())
    }

    /// Writes down how a step ended, or that it has not.
    fn set_end(&mut self, job: JobId, end: Option<End>, now: Timestamp) {
        let Some(step) = self.steps.get_mut(&job) else {
            return;
        };
        let before = std::mem::replace(&mut step.ended_as, end);
        let Some((flow, _)) = self.flows.get_mut(&step.flow) else {
            return;
        };
        if let Some(before) = before {
            *count(flow, before) -= 1;
        }
        if let Some(end) = end {
            *count(flow, end) += 1;
        }
        flow.finished_at = (flow.unfinished() == 0).then_some(now);
    }

    fn links(&self, ended: &[(JobId, End)]) -> Vec<Link> {
        // Whoever waits for one of these may end by it, and whoever waits for that one too.
        let mut open: Vec<JobId> = ended.iter().map(|(job, _)| *job).collect();
        let mut seen: std::collections::HashSet<JobId> = open.iter().copied().collect();
        let mut links = Vec::new();
        while let Some(parent) = open.pop() {
            for child in self.children.get(&parent).into_iter().flatten() {
                let Some(step) = self.steps.get(child).filter(|step| step.blocked) else {
                    continue;
                };
                links.push(Link {
                    parent,
                    child: *child,
                    after: step.after,
                    pending: step.pending,
                });
                if seen.insert(*child) {
                    open.push(*child);
                }
            }
        }
        links
    }
}

fn count(flow: &mut FlowRecord, end: End) -> &mut u32 {
    match end {
        End::Completed => &mut flow.completed,
        End::Cancelled | End::Dead => &mut flow.failed,
        End::Skipped => &mut flow.skipped,
    }
}

impl Data {
    pub(super) fn checkpoint(&mut self, lease: Lease, checkpoint: &Json) -> Recorded {
        if self.held(lease).is_none() {
            return Recorded::LeaseLost;
        }
        self.checkpoints.insert(lease.job, checkpoint.clone());
        Recorded::Yes
    }

    /// A job that is revived starts from the beginning.
    pub(super) fn forget_notes(&mut self, id: JobId) {
        self.checkpoints.remove(&id);
        self.signals.retain(|(job, _), _| *job != id);
    }

    fn start(&mut self, flow: &NewFlow, now: Timestamp) -> Started {
        if self.flows.flows.contains_key(&flow.id) {
            return Started::Duplicate;
        }
        let mut parents: HashMap<JobId, Vec<JobId>> = HashMap::new();
        for Edge { parent, child } in flow.edges() {
            parents.entry(child).or_default().push(parent);
            self.flows.children.entry(parent).or_default().push(child);
        }
        let places: HashMap<JobId, usize> = flow
            .steps
            .iter()
            .zip(0..)
            .map(|(step, place)| (step.job.id, place))
            .collect();
        for (new, position) in flow.steps.iter().zip(0..) {
            let mut parents = parents.remove(&new.job.id).unwrap_or_default();
            parents.sort_unstable_by_key(|parent| places.get(parent));
            let mut job = record(&new.job, now);
            let step = Step {
                flow: flow.id,
                position,
                name: new.name.clone(),
                kind: new.job.kind.clone(),
                after: new.after,
                pending: u32::try_from(parents.len()).unwrap_or(u32::MAX),
                blocked: !parents.is_empty(),
                parents,
                ordering_key: new.job.ordering_key.clone(),
                ended_as: None,
                result: None,
                reason: None,
            };
            if step.blocked {
                job.state = State::Waiting;
                job.ordering_key = None;
                self.jobs.insert_as(job, now);
            } else {
                self.jobs.insert(job, now);
            }
            self.flows.steps.insert(new.job.id, step);
        }
        let record = FlowRecord {
            id: flow.id,
            name: flow.name.clone(),
            tenant_id: flow.tenant_id.clone(),
            correlation_id: flow.correlation_id.clone(),
            created_at: now,
            finished_at: None,
            steps: u32::try_from(flow.steps.len()).unwrap_or(u32::MAX),
            completed: 0,
            failed: 0,
            skipped: 0,
        };
        let jobs = flow.steps.iter().map(|step| step.job.id).collect();
        self.flows.flows.insert(flow.id, (record, jobs));
        Started::Started
    }

    /// Those of the jobs that are steps and have finished let their children go, or end them too.
    pub(super) fn steps_ended(&mut self, jobs: impl IntoIterator<Item = JobId>, now: Timestamp) {
        if self.flows.steps.is_empty() {
            return;
        }
        let mut ended = Vec::new();
        for id in jobs {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            let (Some(end), Some(step)) = (End::of(job.state), self.flows.steps.get_mut(&id))
            else {
                continue;
            };
            if step.ended_as.is_none() {
                step.result.clone_from(&job.result);
                (step.blocked, step.pending) = (false, 0);
                self.flows.set_end(id, Some(end), now);
                ended.push((id, end));
            }
        }
        let settled = settle(&self.flows.links(&ended), ended);
        self.apply(settled, now);
    }

    fn apply(&mut self, settled: Settled, now: Timestamp) {
        for (id, pending) in settled.waiting {
            if let Some(step) = self.flows.steps.get_mut(&id) {
                step.pending = pending;
            }
        }
        for (id, how, cause) in settled.ended {
            let reason = cause.describe(|job| self.flows.name_of(job));
            self.end_step(id, how, reason, now);
        }
        for id in settled.released {
            self.release(id, now);
        }
    }

    /// Ends a step that does not run.
    fn end_step(&mut self, id: JobId, how: End, reason: String, now: Timestamp) {
        if let Some(step) = self.flows.steps.get_mut(&id) {
            (step.blocked, step.pending) = (false, 0);
            step.reason = Some(reason);
        }
        self.flows.set_end(id, Some(how), now);
        self.jobs.change(id, now, |job| end(job, how.state(), now));
    }

    /// Lets a step go: it joins the line of its ordering key, if it has one.
    fn release(&mut self, id: JobId, now: Timestamp) {
        let Some(step) = self.flows.steps.get_mut(&id) else {
            return;
        };
        (step.blocked, step.pending) = (false, 0);
        let key = step.ordering_key.clone();
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let mut in_line = job.clone();
        in_line.ordering_key.clone_from(&key);
        let behind = self.jobs.is_blocked(&in_line);
        self.jobs.change(id, now, |job| {
            job.ordering_key = key;
            job.run_at = job.run_at.max(now);
            job.state = if behind {
                State::Waiting
            } else {
                unblocked(job.run_at, now)
            };
        });
    }

    fn cancel_flow(&mut self, id: FlowId, tenant: Option<&str>, now: Timestamp) -> FlowChanged {
        let Some((flow, jobs)) = self.flows.visible(id, tenant) else {
            return FlowChanged::NotFound;
        };
        if flow.finished_at.is_some() {
            return FlowChanged::Finished;
        }
        let mut changed = 0;
        for id in jobs.clone() {
            match self.jobs.get(id).map(|job| job.state) {
                Some(State::Running) => self.jobs.change(id, now, |job| {
                    job.cancel_requested_at.get_or_insert(now);
                }),
                Some(state) if !state.is_finished() => {
                    self.end_step(id, End::Cancelled, FLOW_CANCELLED.to_owned(), now);
                }
                _ => continue,
            }
            changed += 1;
        }
        FlowChanged::Done(changed)
    }

    fn retry_flow(
        &mut self,
        id: FlowId,
        tenant: Option<&str>,
        from: Option<&str>,
        now: Timestamp,
    ) -> FlowChanged {
        let Some((_, jobs)) = self.flows.visible(id, tenant) else {
            return FlowChanged::NotFound;
        };
        let (mut steps, mut edges) = (Vec::new(), Vec::new());
        for (job, step) in jobs
            .iter()
            .filter_map(|job| Some((*job, self.flows.steps.get(job)?)))
        {
            steps.push(StepState {
                job,
                name: step.name.clone(),
                after: step.after,
                ended_as: step.ended_as,
                blocked: step.blocked,
            });
            edges.extend(step.parents.iter().map(|parent| Edge {
                parent: *parent,
                child: job,
            }));
        }
        let retried = match retry(&steps, &edges, from) {
            Ok(retried) => retried,
            Err(refused) => return FlowChanged::Refused(refused),
        };
        let pruned = |(job, _): &&(JobId, u32)| self.jobs.get(*job).is_none();
        if let Some((job, _)) = retried.reset.iter().find(pruned) {
            return FlowChanged::Refused(RetryRefused::Pruned(self.flows.name_of(*job)));
        }
        let count = retried.reset.len() as u64;
        for (job, pending) in retried.reset {
            self.reset(job, pending, now);
        }
        self.apply(retried.settled, now);
        FlowChanged::Done(count)
    }

    /// Makes an ended step one that waits for its parents.
    fn reset(&mut self, id: JobId, pending: u32, now: Timestamp) {
        self.flows.set_end(id, None, now);
        if let Some(step) = self.flows.steps.get_mut(&id) {
            (step.blocked, step.pending) = (true, pending);
            (step.result, step.reason) = (None, None);
        }
        self.forget_notes(id);
        self.jobs.change(id, now, |job| {
            job.state = State::Waiting;
            job.ordering_key = None;
            job.run_at = now;
            (job.attempt, job.crashes) = (0, 0);
            (job.finished_at, job.result, job.progress) = (None, None, None);
        });
    }

    /// Reviving a finished step is retrying its flow from there.
    pub(super) fn retry_step(
        &mut self,
        flow: FlowId,
        name: &str,
        state: State,
        now: Timestamp,
    ) -> Changed {
        match self.retry_flow(flow, None, Some(name), now) {
            FlowChanged::Done(_) => Changed::Done,
            _ => Changed::Refused(state),
        }
    }

    /// Forgets flows that have been finished for as long as their jobs are kept.
    pub(super) fn prune_flows(&mut self, prune: Prune, now: Timestamp) {
        let over = |flow: &FlowRecord| {
            let keep = kept_for(flow.failed > 0, &prune);
            flow.finished_at.is_some_and(|at| at < now.minus(keep))
        };
        let ids: Vec<FlowId> = self
            .flows
            .flows
            .values()
            .filter(|(flow, _)| over(flow))
            .map(|(flow, _)| flow.id)
            .collect();
        for id in ids {
            for job in self.flows.flows.remove(&id).into_iter().flat_map(|f| f.1) {
                self.flows.steps.remove(&job);
                self.flows.children.remove(&job);
            }
        }
    }

    fn steps(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: u32,
        limit: u32,
        now: Timestamp,
    ) -> Vec<StepRecord> {
        let Some((_, jobs)) = self.flows.visible(id, tenant) else {
            return Vec::new();
        };
        let jobs = jobs.iter().skip(from as usize);
        jobs.take(limit.clamp(1, MAX_PAGE) as usize)
            .filter_map(|id| {
                let step = self.flows.steps.get(id)?;
                let job = self.jobs.get(*id);
                let stored = step.ended_as.map(End::state);
                Some(StepRecord {
                    position: step.position,
                    name: step.name.clone(),
                    job: *id,
                    kind: step.kind.clone(),
                    after: step.after,
                    parents: step
                        .parents
                        .iter()
                        .take(StepRecord::MOST_PARENTS)
                        .map(|parent| self.flows.name_of(*parent))
                        .collect(),
                    pending: step.pending,
                    state: stored.or_else(|| job.map(|job| job.state.at(job.run_at, now)))?,
                    ended_as: step.ended_as,
                    reason: step.reason.clone(),
                })
            })
            .collect()
    }

    fn parents(&self, job: JobId) -> Vec<Parent> {
        let Some(step) = self.flows.steps.get(&job) else {
            return Vec::new();
        };
        step.parents
            .iter()
            .filter_map(|id| {
                let parent = self.flows.steps.get(id)?;
                Some(Parent {
                    name: parent.name.clone(),
                    job: *id,
                    kind: parent.kind.clone(),
                    ended_as: parent.ended_as,
                    result: parent.result.clone(),
                })
            })
            .collect()
    }
}

#[async_trait]
impl Flows for MemoryStore {
    async fn checkpoint(&self, lease: Lease, checkpoint: &Json) -> Result<Recorded, Error> {
        Ok(self.at(None, |data, _| data.checkpoint(lease, checkpoint)))
    }

    async fn checkpoint_in(
        &self,
        _tx: &mut db::Tx,
        _lease: Lease,
        _checkpoint: &Json,
    ) -> Result<Recorded, Error> {
        Err(Self::unsupported("keep a checkpoint in a transaction"))
    }

    async fn start(&self, flow: &NewFlow, now: Option<Timestamp>) -> Result<Started, Error> {
        Ok(self.at(now, |data, now| data.start(flow, now)))
    }

    async fn start_in(
        &self,
        _tx: &mut db::Tx,
        _flow: &NewFlow,
        _now: Option<Timestamp>,
    ) -> Result<Started, Error> {
        Err(Self::unsupported("start a flow in a transaction"))
    }

    async fn flow(&self, id: FlowId, tenant: Option<&str>) -> Result<Option<FlowRecord>, Error> {
        Ok(self.at(None, |data, _| {
            data.flows.visible(id, tenant).map(|(flow, _)| flow.clone())
        }))
    }

    async fn flows(
        &self,
        filter: &FlowFilter,
        before: Option<FlowId>,
        limit: u32,
    ) -> Result<Vec<FlowRecord>, Error> {
        Ok(self.at(None, |data, _| {
            let flows = data.flows.flows.values().rev().map(|(flow, _)| flow);
            let matching = flows
                .filter(|flow| before.is_none_or(|before| flow.id < before))
                .filter(|flow| matches(flow, filter));
            let page = matching.take(limit.clamp(1, MAX_PAGE) as usize);
            page.cloned().collect()
        }))
    }

    async fn steps(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: u32,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Vec<StepRecord>, Error> {
        Ok(self.at(now, |data, now| data.steps(id, tenant, from, limit, now)))
    }

    async fn parents(&self, job: JobId) -> Result<Vec<Parent>, Error> {
        Ok(self.at(None, |data, _| data.parents(job)))
    }

    async fn cancel_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<FlowChanged, Error> {
        Ok(self.at(now, |data, now| data.cancel_flow(id, tenant, now)))
    }

    async fn retry_flow(
        &self,
        id: FlowId,
        tenant: Option<&str>,
        from: Option<&str>,
        now: Option<Timestamp>,
    ) -> Result<FlowChanged, Error> {
        Ok(self.at(now, |data, now| data.retry_flow(id, tenant, from, now)))
    }

    async fn signal(
        &self,
        job: JobId,
        tenant: Option<&str>,
        name: &str,
        payload: &Json,
        now: Option<Timestamp>,
    ) -> Result<Changed, Error> {
        Ok(self.at(now, |data, now| {
            data.signal(job, tenant, name, payload, now)
        }))
    }

    async fn signalled(&self, job: JobId, name: &str) -> Result<Signal, Error> {
        Ok(self.at(None, |data, _| {
            let signal = data.signals.get(&(job, name.to_owned()));
            signal.cloned().unwrap_or_default()
        }))
    }
}

fn matches(flow: &FlowRecord, filter: &FlowFilter) -> bool {
    let same =
        |wanted: &Option<String>, has: Option<&str>| wanted.is_none() || wanted.as_deref() == has;
    same(&filter.tenant_id, flow.tenant_id.as_deref())
        && same(&filter.name, Some(&flow.name))
        && filter
            .finished
            .is_none_or(|finished| finished == flow.finished_at.is_some())
}
