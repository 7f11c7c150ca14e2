// The @nats-io packages: the third generation of nats.js, split by topic.

import { connect, errors, headers, nanos } from "@nats-io/transport-node";
import { jetstream, StorageType } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { drive } from "./drive.mjs";

await drive({
  connect,
  headers,
  jetstream,
  // `create` opens what is already there, as the views of the second generation do.
  objects: (nc) => new Objm(nc).create("supercheck", { storage: StorageType.File, ttl: nanos(30_000) }),
  values: (nc) => new Kvm(nc).create("supercheck_kv", { storage: StorageType.File, ttl: 86_400_000 }),
  // A failed request comes wrapped in more general errors ("jetstream is not enabled" for a subject that no
  // stream takes), and only the innermost cause tells what happened.
  reason: (error) => {
    let cause = error;
    while (cause.cause) cause = cause.cause;
    if (cause instanceof errors.TimeoutError) return "timeout";
    if (cause instanceof errors.NoRespondersError) return "no responders";
    return error.message;
  },
});
