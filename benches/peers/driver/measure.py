"""Takes the figures: each peer in turn, with its defaults and tuned, round after round.

A role of a peer is a process of its own, so that a worker's memory and CPU are its own:

    PROGRAM SUBJECT URL set-up | single JOBS | bulk JOBS | steady RATE SECONDS | work-for JOBS SECONDS | count

It ends with a line of JSON, the `Found` of crates/windlass/benches/support/roles.rs. benches/peers/run starts
the servers, builds the programs and calls this.
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from peers import PEERS
from servers import Postgres, Redis
from table import render

# Long enough for a worker to have prepared its statements and gone idle.
SETTLE = 2


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    jobs: int = 100_000
    singles: int = 5_000
    rate: int = 200
    seconds: int = 10
    limit: int = 60


# To see whether it works; its figures say little.
QUICK = Plan(jobs=5_000, singles=500, rate=100, seconds=2, limit=10)


class Subject:
    """One peer with one of its settings."""

    def __init__(self, peer, settings, command, server, plan):
        self.peer, self.settings, self.server, self.plan = peer, settings, server, plan
        name = peer.stock if settings == "defaults" else peer.tuned
        self._command = [*command, name, server.url]

    @contextlib.contextmanager
    def _started(self, *role):
        """A role's process, and how to wait for what it found. No process outlives its measurement."""
        command = [*self._command, *map(str, role)]
        # What it complains about is shown if it fails, and is no pipe that could fill.
        with tempfile.TemporaryFile("w+") as complaints:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)

            def found():
                told, _ = process.communicate(timeout=self.plan.limit + 120)
                if process.returncode != 0:
                    complaints.seek(0)
                    raise RuntimeError(f"{role[0]} ended with {process.returncode}: {complaints.read(500).strip()}")
                return json.loads(told.strip().splitlines()[-1])

            try:
                yield found
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def _play(self, *role):
        with self._started(*role) as found:
            return found()

    def _fresh(self):
        self.server.fresh()
        self._play("set-up")

    def take(self):
        figures = self._drain()
        self._fresh()
        figures["single"] = self._play("single", self.plan.singles)["rate"]
        if self.peer.waits:
            self._fresh()
            figures |= self._wait("wait")
        if self.peer.store == "postgres":
            figures |= self._held()
        return figures

    def _drain(self):
        """Jobs that are all there when the worker starts."""
        plan = self.plan
        self._fresh()
        bulk = self._play("bulk", plan.jobs)
        work = self._play("work-for", plan.jobs, plan.limit)
        if work["complete"] and self.peer.counts:
            finished = self._play("count")["finished"]
            if finished != plan.jobs:
                raise RuntimeError(f"{plan.jobs} jobs must have an outcome, {finished} have")
        return {
            "bulk": bulk["rate"],
            "drain": work["rate"],
            "drained": work["ran"],
            "memory": work["memory"],
            "cpu": work["cpu"] * 100_000 / max(work["ran"], 1),
        }

    def _wait(self, name):
        """At a steady low rate, from another process, to a worker that is idle."""
        plan = self.plan
        jobs = plan.rate * plan.seconds
        with self._started("work-for", jobs, SETTLE + plan.seconds + plan.limit) as found:
            time.sleep(SETTLE)
            self._play("steady", plan.rate, plan.seconds)
            work = found()
        figures = {f"{name}_ran": work["ran"]}
        if work["ran"] > 0:
            figures |= {f"{name}_p50": work["wait_p50"], f"{name}_p99": work["wait_p99"]}
        return figures

    def _held(self):
        """The same drain, then the same steady rate, while a transaction is held open."""
        plan = self.plan
        self._fresh()
        with self.server.held():
            self._play("bulk", plan.jobs)
            work = self._play("work-for", plan.jobs, plan.limit)
            figures = {"held_drain": work["rate"], "held_drained": work["ran"]}
            # Behind jobs that are left, a wait is the backlog's, not the transaction's.
            if self.peer.waits and work["complete"]:
                figures |= self._wait("held_wait")
            return figures


def machine(postgres):
    """Where the figures were taken: they mean nothing without it."""

    def first(path, field):
        for line in Path(path).read_text().splitlines():
            if line.startswith(field):
                return line.split(":", 1)[1].strip()
        return "unknown"

    return {
        "cpu": first("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory": first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "taken": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load": os.getloadavg()[0],
        "sync_us": sync_time(),
        "postgres": postgres.settings(),
    }


def sync_time():
    """The median of some writes of a page, each with its fsync, where the servers have their data."""
    times = []
    with tempfile.TemporaryFile(dir=os.environ.get("TMPDIR", "/var/tmp"), buffering=0) as file:
        for _ in range(101):
            began = time.perf_counter()
            file.write(bytes(8192))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return sorted(times)[50] * 1e6


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", required=True)
    parser.add_argument("--redis")
    parser.add_argument("--psql", required=True)
    parser.add_argument("--ours", nargs=1)
    parser.add_argument("--rust", nargs=1)
    parser.add_argument("--node", nargs=2)
    parser.add_argument("--ruby", nargs=1)
    parser.add_argument("--only", required=True)
    parser.add_argument("--settings", choices=["defaults", "tuned"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--limit", type=int)
    return parser.parse_args()


def plan_of(args):
    plan = QUICK if args.quick else Plan()
    asked = {name: getattr(args, name) for name in ["jobs", "limit"] if getattr(args, name)}
    return Plan(**{**vars(plan), **asked})


def subjects(args, servers, plan):
    programs = {"ours": args.ours, "rust": args.rust, "node": args.node, "ruby": args.ruby}
    if args.ruby:
        programs["ruby"] = [*args.ruby, str(Path(__file__).parent.parent / "ruby" / "peer.rb")]
    wanted = args.only.split(",")
    for peer in PEERS:
        for settings in ["defaults", "tuned"]:
            if peer.name not in wanted or args.settings not in (None, settings) and peer.tuned:
                continue
            if settings == "tuned" and peer.tuned is None:
                continue
            yield Subject(peer, settings, programs[peer.program], servers[peer.store], plan)


def main():
    # As any end does, so that no process outlives this one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = arguments()
    plan = plan_of(args)
    servers = {"postgres": Postgres(args.psql, args.database), "redis": Redis(args.redis)}
    records = [{"machine": machine(servers["postgres"]), "plan": vars(plan), "runs": args.runs}]
    failed = False
    with open(args.out / "results.jsonl", "w") as results:

        def record(entry):
            records.append(entry)
            results.write(json.dumps(entry) + "\n")
            results.flush()

        results.write(json.dumps(records[0]) + "\n")
        for run in range(1, args.runs + 1):
            for subject in subjects(args, servers, plan):
                peer, load = subject.peer, os.getloadavg()[0]
                entry = {"peer": peer.name, "title": peer.title, "settings": subject.settings, "run": run}
                print(f"round {run}: {peer.title}, {subject.settings}", file=sys.stderr, flush=True)
                try:
                    entry |= {"load": load, "figures": subject.take()}
                except (RuntimeError, subprocess.SubprocessError, ValueError) as problem:
                    # One that does not work keeps nobody else from being measured.
                    failed = True
                    print(f"  failed: {problem}", file=sys.stderr, flush=True)
                    entry |= {"failed": str(problem)}
                record(entry)
        record({"load_after": os.getloadavg()[0]})
    text = render(records)
    (args.out / "table.md").write_text(text)
    print(text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
