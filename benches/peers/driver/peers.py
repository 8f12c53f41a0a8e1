"""Who is measured, and with which program."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A queue: its name here and for people, what it stands on, and what plays its roles."""

    name: str
    title: str
    store: str  # postgres or redis
    program: str  # one of the driver's arguments
    stock: str  # what the program calls it with its default settings
    tuned: str | None  # and with fast ones
    waits: bool = True  # whether it can be asked how long a job waits
    counts: bool = True  # whether its finished jobs can be counted afterwards


PEERS = [
    Peer("ours", "windlass", "postgres", "ours", "windlass", "windlass-tuned"),
    Peer("sql", "bare SQL (the limit)", "postgres", "rust", "sql-stock", None, waits=False),
    Peer(
        "graphile-worker",
        "graphile-worker (Node)",
        "postgres",
        "node",
        "graphile-worker-stock",
        "graphile-worker-tuned",
        counts=False,  # it deletes them
    ),
    Peer("pg-boss", "pg-boss (Node)", "postgres", "node", "pg-boss-stock", "pg-boss-tuned"),
    Peer(
        "graphile_worker",
        "graphile_worker (Rust)",
        "postgres",
        "rust",
        "graphile_worker-stock",
        "graphile_worker-tuned",
        counts=False,  # it deletes them
    ),
    Peer("awa", "awa (Rust)", "postgres", "rust", "awa-stock", "awa-tuned"),
    Peer("apalis", "apalis-postgres (Rust)", "postgres", "rust", "apalis-stock", "apalis-tuned"),
    Peer(
        "bullmq",
        "BullMQ (Node, Redis)",
        "redis",
        "node",
        "bullmq-stock",
        "bullmq-tuned",
        counts=False,  # tuned, it deletes them
    ),
    Peer("sidekiq", "Sidekiq (Ruby, Redis)", "redis", "ruby", "sidekiq-stock", "sidekiq-tuned"),
]
