// What the JavaScript clients have in common: the commands, their bounds and what they print.
//
//     npm ci
//     node nats2.mjs URL COMMAND …
//     node nats3.mjs URL COMMAND …
//     node_modules/.bin/deno run -A --node-modules-dir=manual --no-lock nats2.mjs URL COMMAND …
//
// Every answer is one line of JSON on stdout, and what is absent is null. An error goes to stderr as text and
// ends the program with 1. client.py knows the same commands.

import process from "node:process";
import { createInterface } from "node:readline";

const bytes = (text) => new TextEncoder().encode(text);
const text = (data) => new TextDecoder().decode(data);
const print = (answer) => console.log(JSON.stringify(answer));

/** Ends the program though a hanging read would keep it alive, but only once a slow pipe has taken all output. */
const leave = (code) => process.stdout.write("", () => process.exit(code));

class Hang extends Error {}

/** Gives up on a read after a while, because the clients themselves wait for a lost chunk for ever. */
async function within(ms, read) {
  let timer;
  const bell = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Hang(`hang: no answer within ${ms} ms`)), ms);
  });
  return await Promise.race([read, bell]).finally(() => clearTimeout(timer));
}

/** One core request. A refusal of a NATS service is an answer, told by its two headers, and not an error. */
async function ask(client, nc, subject, body, id, timeout) {
  const headers = id ? client.headers() : undefined;
  headers?.set("Nats-Msg-Id", id);
  const reply = await nc.request(subject, bytes(body), { timeout: timeout ?? 10_000, headers });
  return {
    body: text(reply.data),
    code: Number(reply.headers?.get("Nats-Service-Error-Code")) || null,
    error: reply.headers?.get("Nats-Service-Error") || null,
  };
}

/** One JetStream publish and its acknowledgement. */
async function put(client, nc, subject, body, id, timeout) {
  const options = { msgID: id, timeout: timeout ?? 5_000 };
  const { stream, seq, duplicate = false } = await client.jetstream(nc).publish(subject, bytes(body), options);
  return { stream, seq, duplicate };
}

const commands = {
  async open(client, nc) {
    await client.objects(nc);
    await client.values(nc);
    print({ opened: true });
  },

  // getBlob compares the digest of what it read with the one in the object's meta and fails if they differ.
  async "get-object"(client, nc, name) {
    const bucket = await client.objects(nc);
    const blob = await within(5_000, bucket.getBlob(name));
    print(blob && text(blob));
  },

  async "put-object"(client, nc, name, content) {
    const bucket = await client.objects(nc);
    await bucket.putBlob({ name }, bytes(content));
    print({ put: true });
  },

  // A deleted key still has an entry, whose operation says so.
  async "get-kv"(client, nc, key) {
    const bucket = await client.values(nc);
    const entry = await bucket.get(key);
    print(entry?.operation === "PUT" ? entry.string() : null);
  },

  async "put-kv"(client, nc, key, content) {
    const bucket = await client.values(nc);
    await bucket.put(key, bytes(content));
    print({ put: true });
  },

  // `reads` counts the reads that brought the whole object. Nothing slows the loop down, because a reader in a
  // hurry is what finds the moments in which an object is half there.
  async hammer(client, nc, name, seconds) {
    const bucket = await client.objects(nc);
    const tally = { reads: 0, absent: 0, errors: [], hangs: 0 };
    for (const end = Date.now() + seconds * 1_000; Date.now() < end;) {
      try {
        const blob = await within(2_000, bucket.getBlob(name));
        tally[blob === null ? "absent" : "reads"]++;
      } catch (error) {
        if (error instanceof Hang) tally.hangs++;
        else if (tally.errors.length < 5) tally.errors.push(client.reason(error));
      }
    }
    print(tally);
  },

  // Reads all these checks' summaries and reports again and again, as a dashboard would. What cannot be read
  // now is absent, and why does not matter: it is read again.
  async observe(client, nc, checks, pause) {
    const values = await client.values(nc);
    const bucket = await client.objects(nc);
    for (;;) {
      for (const [check, url] of JSON.parse(checks)) {
        const seen = { check, from: Date.now(), summary: null, report: null, error: null };
        try {
          const entry = await within(2_000, values.get(check));
          if (entry?.operation === "PUT") seen.summary = entry.json();
          const blob = await within(2_000, bucket.getBlob(url));
          if (blob) seen.report = JSON.parse(text(blob));
        } catch (error) {
          seen.error = client.reason(error);
        }
        print({ ...seen, to: Date.now() });
      }
      await new Promise((resolve) => setTimeout(resolve, Number(pause)));
    }
  },

  async request(client, nc, subject, body, id) {
    print(await ask(client, nc, subject, body, id));
  },

  // A request is sent as soon as its line is read, so that a test can also keep stdin open and send some later.
  // A line with a `publish` subject is a JetStream publish, whose answer is its acknowledgement.
  async requests(client, nc, subject) {
    const asked = [];
    for await (const line of createInterface({ input: process.stdin })) {
      const { publish = null, body, id = null, timeout_ms } = JSON.parse(line);
      const answer = publish
        ? put(client, nc, publish, body, id, timeout_ms)
        : ask(client, nc, subject, body, id, timeout_ms);
      asked.push(
        answer
          .catch((error) => ({ body: null, code: null, error: client.reason(error) }))
          .then((answer) => print({ id, publish, ...answer })),
      );
    }
    await Promise.all(asked);
  },

  async publish(client, nc, subject, body, id) {
    print(await put(client, nc, subject, body, id));
  },
};

/** A user that the URL names is one of deploy/nats, whose replies come to an inbox of its own. */
function options(servers) {
  const { username, password } = new URL(servers);
  if (!username) return { servers };
  const bare = servers.replace(`${username}:${password}@`, "");
  return { servers: bare, user: username, pass: password, inboxPrefix: `_INBOX_${username}` };
}

/** Runs the command line with one client: an object of the few calls in which the two generations differ. */
export async function drive(client) {
  const [servers, command, ...args] = process.argv.slice(2);
  try {
    if (!Object.hasOwn(commands, command)) throw new Error(`no such command: ${command}`);
    const nc = await client.connect(options(servers));
    await commands[command](client, nc, ...args);
    await nc.close();
    leave(0);
  } catch (error) {
    console.error(client.reason(error));
    leave(1);
  }
}
