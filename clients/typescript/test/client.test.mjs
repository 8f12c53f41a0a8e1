// Against a running server: METACHAT_JOBS_URL and METACHAT_JOBS_KEY say which.
import assert from "node:assert/strict";
import test from "node:test";
import { connect, events, ProblemError } from "../dist/index.js";

const options = { baseUrl: process.env.METACHAT_JOBS_URL, key: process.env.METACHAT_JOBS_KEY };
const client = connect(options);
const message = (id) => ({
  tenantId: "acme",
  channel: "webchat",
  message: { id, from: "ada", type: "text", content: { text: "hello" } },
});

test("a job is enqueued, listed page by page, shown and cancelled, and its end is heard", async () => {
  const stop = new AbortController();
  const heard = events(options, { state: "cancelled" }, undefined, stop.signal);
  assert.equal((await heard.next()).value.type, "open");
  const first = heard.next();

  const ids = [];
  for (const name of ["a", "b", "c"]) {
    const { data, response } = await client.POST("/v1/messages", { body: message(name) });
    assert.equal(response.status, 202);
    ids.push(data.id);
  }
  const listed = [];
  let after;
  do {
    const query = { limit: 2, kind: "process_message", ...(after && { after }) };
    const { data } = await client.GET("/v1/jobs", { params: { query } });
    assert.ok(data.jobs.length <= 2);
    listed.push(...data.jobs.map((job) => job.id));
    after = data.next;
  } while (after);
  assert.deepEqual(listed.toSorted(), ids.toSorted());

  const path = { id: ids[0] };
  const { data: job, response } = await client.GET("/v1/jobs/{id}", { params: { path } });
  assert.equal(job.kind, "process_message");
  const tag = response.headers.get("etag");
  const again = await client.GET("/v1/jobs/{id}", {
    params: { path },
    headers: { "if-none-match": tag },
  });
  assert.equal(again.response.status, 304);

  await client.POST("/v1/jobs/{id}/cancel", { params: { path } });
  const { value } = await first;
  assert.equal(value.type, "job");
  assert.equal(value.job.id, ids[0]);
  assert.equal(value.job.state, "cancelled");
  stop.abort();
});

test("a problem is thrown with its stable type", async () => {
  const path = { id: "0198f2c4-7d6e-7cc1-9d2b-3f1e0a5b6c7d" };
  await assert.rejects(client.GET("/v1/jobs/{id}", { params: { path } }), (error) => {
    assert.ok(error instanceof ProblemError);
    assert.equal(error.problem.type, "/problems/job-not-found");
    assert.equal(error.problem.status, 404);
    return true;
  });
  const stranger = connect({ ...options, key: "not-the-key-of-this-server" });
  await assert.rejects(stranger.GET("/v1/queues"), (error) => error.problem.status === 401);
});
