"""The servers of a run: something fresh for every figure, and a transaction that is held open."""

import contextlib
import socket
import subprocess
from urllib.parse import urlsplit

# What a figure depends on. With one of the first three off, it would be no durable queue.
SETTINGS = ["synchronous_commit", "fsync", "full_page_writes", "server_version", "shared_buffers", "max_wal_size"]


class Postgres:
    """One server; `url` is that of the database of the figure that is being taken."""

    def __init__(self, psql, server):
        self._psql = [psql, "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]
        self._server = server
        self.url = server.rsplit("/", 1)[0] + "/peers"

    def _run(self, statement):
        command = [*self._psql, "--command", statement, self._server]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout

    def settings(self):
        """Refuses a server that would cheat."""
        found = {name: self._run(f"show {name}").strip() for name in SETTINGS}
        for name in SETTINGS[:3]:
            if found[name] != "on":
                raise RuntimeError(f"the server is not durable: {name}={found[name]}")
        return found

    def fresh(self):
        """A new database that was never analysed; no figure pays for what the one before it left."""
        for statement in ["drop database if exists peers with (force)", "create database peers", "checkpoint"]:
            self._run(statement)

    @contextlib.contextmanager
    def held(self):
        """A transaction that has written something and stays open: vacuum can take nothing away."""
        session = subprocess.Popen([*self._psql, self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            session.stdin.write(
                "create table public.held (n int);\nbegin;\ninsert into public.held values (1);\n\\echo held\n"
            )
            session.stdin.flush()
            if session.stdout.readline().strip() != "held":
                raise RuntimeError("no transaction could be held open")
            yield
        finally:
            session.kill()
            session.wait()


class Redis:
    """One server, which is emptied for every figure."""

    def __init__(self, url):
        self.url = url

    def fresh(self):
        place = urlsplit(self.url)
        with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            if not connection.recv(16).startswith(b"+OK"):
                raise RuntimeError("Redis could not be emptied")
